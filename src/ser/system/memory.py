"""The memory of a process: its allocator, and the one place that recognises an error as too little memory."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ser.errors import DataError, SerError

M_TRIM_THRESHOLD = -1
"""Parameter of mallopt: free memory at the top of the heap above which glibc gives it back."""
M_MMAP_THRESHOLD = -3
"""Parameter of mallopt: the size from which glibc maps an allocation on its own, and unmaps it when it is freed."""
LARGEST_TRIM_THRESHOLD = 2**31 - 1
MMAP_THRESHOLD = 2**30
OLD_GLIBC_MMAP_THRESHOLD = 2**25
"""The largest that glibc accepts before version 2.35."""

MEMORY_PHRASES = ("out of memory", "allocate memory", "alloc_failed", "bad_alloc", "bad allocation")
"""Parts of the messages of CUDA and MPS, of torch on the CPU and onnxruntime, of cuDNN and cuBLAS, and of C++, in small letters. Few of
them have a class for this error."""
LOADER_PHRASE = "failed to map segment"
"""Of the loader of shared libraries. Other words of it about memory mean something else: "cannot allocate memory in static TLS block" is
a matter of the order in which libraries are loaded."""

MEMORY_MESSAGE = "the memory does not suffice"
"""The first words of every message of this error."""


def keep_memory() -> None:
    """Tell glibc not to give memory back at once: the page faults of asking again cost about as much as the arithmetic of a training step,
    and the transform step pays for them too.

    Acts on the whole process and on children that it forks from then on; without glibc it does nothing.
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
    """Whether an error of Python, numpy, torch or onnxruntime means that there was not enough memory.

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
    """Report too little memory in the block as one error with advice.

    Args:
        advice: what to do about it; part of the message.
        detail: whether the message ends with the first line of the library's own.

    Raises:
        DataError: the block asked for more memory than the device, or the machine, has.
    """
    try:
        yield
    except Exception as error:  # onnxruntime has a class of its own for each status, directly below Exception
        if not is_out_of_memory(error):
            raise
        first_line = (str(error).splitlines() or [""])[0]
        raise DataError(f"{MEMORY_MESSAGE}: {advice}" + (f" ({first_line})" if detail else "")) from error
