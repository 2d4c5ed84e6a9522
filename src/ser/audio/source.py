"""The bytes of a regular file, opened so that nothing of that name can hang the program."""

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
"""Of the beginning, which is read once and kept."""

OPEN_REASONS = {errno.ELOOP: "link-loop", errno.ENXIO: "not-a-file", errno.ENODEV: "not-a-file", errno.EISDIR: "not-a-file"}
"""Error number: reason code. Any other one is unreadable."""


@dataclass(frozen=True, slots=True)
class Source:
    """An open file that never reads past its own end."""

    descriptor: int
    size: int
    """Bytes."""
    head: bytes

    @classmethod
    def from_descriptor(cls, descriptor: int, size: int) -> Self:
        return cls(descriptor, size, os.pread(descriptor, HEAD_BYTES, 0))

    def at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`. The position of the descriptor stays where it is."""
        if offset + count <= len(self.head):
            return self.head[offset : offset + count]
        return os.pread(self.descriptor, max(0, min(count, self.size - offset)), offset)


@contextmanager
def open_regular(path: Path) -> Iterator[Source]:
    """A regular file, opened so that a FIFO or device of that name cannot hang the program.

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
