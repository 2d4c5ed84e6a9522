"""Reading the bytes of a regular file. Special files such as FIFOs are rejected without blocking."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ser.errors import AudioError

HEAD_BYTES = 4096
"""Number of bytes at the beginning of a file that are read once and kept."""

OPEN_REASONS = {errno.ELOOP: "link-loop", errno.ENXIO: "not-a-file", errno.ENODEV: "not-a-file", errno.EISDIR: "not-a-file"}
"""{error number: reason code}; all other errors are `unreadable`."""


@dataclass(frozen=True, slots=True)
class Source:
    """An open file of known size. Reads stop at its end."""

    descriptor: int
    size: int
    """Bytes."""
    head: bytes

    @classmethod
    def from_descriptor(cls, descriptor: int, size: int) -> Self:
        return cls(descriptor, size, os.pread(descriptor, HEAD_BYTES, 0))

    def at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`. The position of the descriptor does not change."""
        if offset + count <= len(self.head):
            return self.head[offset : offset + count]
        return os.pread(self.descriptor, max(0, min(count, self.size - offset)), offset)


@contextmanager
def open_regular(path: Path) -> Iterator[Source]:
    """Open a regular file without blocking on a FIFO or device.

    Raises:
        AudioError: not-a-file, link-loop, dangling-link or unreadable.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        dangling = error.errno == errno.ENOENT and path.is_symlink()
        reason = "dangling-link" if dangling else OPEN_REASONS.get(error.errno or 0, "unreadable")
        raise AudioError(reason, error.strerror or str(error)) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise AudioError("not-a-file", "a folder" if stat.S_ISDIR(status.st_mode) else "a FIFO, socket or device")
        yield Source.from_descriptor(descriptor, status.st_size)
    except OSError as error:
        raise AudioError("unreadable", error.strerror or str(error)) from None
    finally:
        os.close(descriptor)
