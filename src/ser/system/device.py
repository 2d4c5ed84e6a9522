"""Device, precision and threads of a process that uses torch."""

import torch

from ser.config import RuntimeConfig, SslConfig, TrainConfig
from ser.errors import ConfigError
from ser.system.cores import available_cores
from ser.system.memory import keep_memory


def prepare_process(config: RuntimeConfig) -> None:
    """Set the number of threads, the memory allocator and deterministic kernels. Call it once, before the first large tensor."""
    torch.set_num_threads(config.threads or available_cores())
    repeat_exactly()
    keep_memory()


def repeat_exactly() -> None:
    """Select deterministic kernels.

    On the CPU a run then depends only on the seed and the number of threads. On a GPU, cuDNN uses deterministic kernels without
    benchmarking, and fp32 does not fall back to TF32 with its 10-bit mantissa. A few kernels outside cuDNN add in no fixed order, so two
    GPU runs may still differ in the last bits.
    """
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def choose_device(config: TrainConfig | SslConfig) -> torch.device:
    """
    Raises:
        ConfigError: the device that the config names is not available.
    """
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if config.device != "auto":
        if not here[config.device]:
            section = "ssl" if isinstance(config, SslConfig) else "train"
            raise ConfigError(f"{section}.device {config.device} is not available on this machine; use auto or cpu")
        return torch.device(config.device)
    return torch.device("cuda" if here["cuda"] else "cpu")


def use_bf16(config: TrainConfig | SslConfig, device: torch.device) -> bool:
    """Whether training or the backbone computes convolutions and matrix products in bfloat16. `auto` requires hardware instructions."""
    if config.precision != "auto":
        return config.precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def resolved(device: torch.device, bf16: bool) -> dict[str, str | int]:
    """The device, precision and number of threads in use once `auto` has been resolved."""
    return {"device": device.type, "precision": "bf16" if bf16 else "fp32", "threads": torch.get_num_threads()}
