"""Device, precision, threads and memory allocator of a torch process."""

import ctypes
import logging
import os
import sys

import torch

from ser.config import RuntimeConfig, TrainConfig
from ser.errors import ConfigError

log = logging.getLogger(__name__)

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST = 2**31 - 1
OLD_GLIBC_MMAP_THRESHOLD = 2**25
"""The most that glibc takes before version 2.35."""


def prepare_process(config: RuntimeConfig) -> None:
    """Threads, and an allocator that keeps its memory. Once, before the first large tensor."""
    torch.set_num_threads(config.threads or os.cpu_count() or 1)
    keep_memory()


def keep_memory() -> None:
    """Tell glibc not to give memory back after every step: the page faults of asking again cost as much as the arithmetic.

    Acts on the whole process; without glibc it does nothing.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    if not mallopt(M_MMAP_THRESHOLD, 2**30):
        mallopt(M_MMAP_THRESHOLD, OLD_GLIBC_MMAP_THRESHOLD)
    mallopt(M_TRIM_THRESHOLD, LARGEST)


def choose_device(config: TrainConfig) -> torch.device:
    """
    Raises:
        ConfigError: the device that the config names is not here.
    """
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if config.device != "auto":
        if not here[config.device]:
            raise ConfigError(f"train.device {config.device} is not available here")
        return torch.device(config.device)
    return torch.device("cuda" if here["cuda"] else "cpu")


def use_bf16(config: TrainConfig, device: torch.device) -> bool:
    """Whether training runs its convolutions and products in bfloat16: `auto` asks for instructions, not only for emulation."""
    if config.precision != "auto":
        return config.precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
