"""Memory of a process: settings of the allocator, and detection of out-of-memory errors."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ser.errors import DataError, SerError

M_TRIM_THRESHOLD = -1
"""Parameter of mallopt: size of the free memory at the top of the heap above which glibc returns it to the system."""
M_MMAP_THRESHOLD = -3
"""Parameter of mallopt: size from which glibc maps an allocation separately and unmaps it when it is freed."""
LARGEST_TRIM_THRESHOLD = 2**31 - 1
MMAP_THRESHOLD = 2**30
OLD_GLIBC_MMAP_THRESHOLD = 2**25
"""Largest value that glibc accepts before version 2.35."""

MEMORY_PHRASES = ("out of memory", "allocate memory", "alloc_failed", "bad_alloc", "bad allocation")
"""Lower-case parts of the out-of-memory messages of CUDA and MPS, torch on the CPU and onnxruntime, cuDNN and cuBLAS, and C++. Few of these
libraries have an exception class for this error."""
LOADER_PHRASE = "failed to map segment"
"""Part of the out-of-memory message of the loader of shared libraries. Its other messages about memory have different causes: "cannot
allocate memory in static TLS block" depends on the order in which libraries are loaded."""

MEMORY_MESSAGE = "out of memory"
"""Beginning of every message about this error."""


def keep_memory() -> None:
    """Set glibc's allocator to keep freed memory instead of returning it to the system.

    The page faults of allocating it again cost about as much as the arithmetic of a training step, and slow the transform step too. The
    setting applies to the whole process and to children forked later; it has no effect without glibc.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    if not mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD):
        mallopt(M_MMAP_THRESHOLD, OLD_GLIBC_MMAP_THRESHOLD)
    mallopt(M_TRIM_THRESHOLD, LARGEST_TRIM_THRESHOLD)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python, numpy, torch or onnxruntime is an out-of-memory error.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("CUDA out of memory.")), is_out_of_memory(ValueError("shape"))
    (True, True, False)
    """
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, ImportError):
        return LOADER_PHRASE in str(error)
    return not isinstance(error, SerError) and any(phrase in str(error).lower() for phrase in MEMORY_PHRASES)


@contextmanager
def memory_errors(advice: str, *, detail: bool = False) -> Iterator[None]:
    """Convert an out-of-memory error in the block to a `DataError` with advice.

    Args:
        advice: what to do about it; included in the message.
        detail: whether to append the first line of the library's message.

    Raises:
        DataError: the device or the machine is out of memory.
    """
    try:
        yield
    except Exception as error:  # onnxruntime has a class of its own for each status, directly below Exception
        if not is_out_of_memory(error):
            raise
        first_line = (str(error).splitlines() or [""])[0]
        raise DataError(f"{MEMORY_MESSAGE}: {advice}" + (f" ({first_line})" if detail else "")) from error
