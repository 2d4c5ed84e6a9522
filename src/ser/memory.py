"""The memory allocator of a process."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST = 2**31 - 1
OLD_GLIBC_MMAP_THRESHOLD = 2**25
"""The most that glibc takes before version 2.35."""


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
