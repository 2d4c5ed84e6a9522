"""The memory of a process: its allocator, and what is said where it does not suffice."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ser.errors import DataError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST = 2**31 - 1
OLD_GLIBC_MMAP_THRESHOLD = 2**25
"""The most that glibc takes before version 2.35."""

OUT_OF_MEMORY = ("allocate memory", "bad_alloc", "bad allocation")
"""What onnxruntime says, in small letters."""


def keep_memory() -> None:
    """Tell glibc not to give memory back at once: the page faults of asking again cost about as much as the arithmetic of a training step,
    and are felt in the transform step too.

    Acts on the whole process and on children that it forks from then on; without glibc it does nothing.
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


@contextmanager
def enough_memory(advice: str) -> Iterator[None]:
    """For a block that calls numpy or onnxruntime, which has a class of its own for each status, below Exception alone.

    Raises:
        DataError: the block asked for more memory than there is.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, MemoryError) and not any(words in str(error).lower() for words in OUT_OF_MEMORY):
            raise
        raise DataError(f"the memory does not suffice: {advice}") from error
