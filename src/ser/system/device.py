"""Device, precision and threads of a process that uses torch."""

import torch

from ser.config import RuntimeConfig, SslConfig, TrainConfig
from ser.errors import ConfigError
from ser.system.cores import available_cores
from ser.system.memory import keep_memory


def prepare_process(config: RuntimeConfig) -> None:
    """Threads, an allocator that keeps its memory, and arithmetic that repeats. Once, before the first large tensor."""
    torch.set_num_threads(config.threads or available_cores())
    repeat_exactly()
    keep_memory()


def repeat_exactly() -> None:
    """On the CPU a run depends on seed and threads alone. On a GPU, cuDNN takes only kernels that repeat, never the fastest of several
    tries, and fp32 means fp32, not TF32 with its mantissa of 10 bits. A few kernels outside cuDNN add in no fixed order, so two runs there
    may still differ in the last bits.
    """
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def choose_device(config: TrainConfig | SslConfig) -> torch.device:
    """
    Raises:
        ConfigError: the device that the config names is not here.
    """
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if config.device != "auto":
        if not here[config.device]:
            section = "ssl" if isinstance(config, SslConfig) else "train"
            raise ConfigError(f"{section}.device {config.device} is not available here")
        return torch.device(config.device)
    return torch.device("cuda" if here["cuda"] else "cpu")


def use_bf16(config: TrainConfig | SslConfig, device: torch.device) -> bool:
    """Whether training, or the backbone, runs convolutions and products in bfloat16: `auto` asks for instructions, not emulation."""
    if config.precision != "auto":
        return config.precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def resolved(device: torch.device, bf16: bool) -> dict[str, str | int]:
    """What a training runs on, after `auto` and what the machine has: device, precision, threads."""
    return {"device": device.type, "precision": "bf16" if bf16 else "fp32", "threads": torch.get_num_threads()}
