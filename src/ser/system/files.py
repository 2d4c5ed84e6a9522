"""Atomic file writes, checksums and locks. If the process is killed during a write, the old file or the new one is left, never a part."""

import errno
import fcntl
import hashlib
import json
import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from ser.errors import ArtefactError, ConfigError, LockedError

log = logging.getLogger(__name__)

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""Errors of a file system without locks."""


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that is renamed to `path` only if the block succeeds (temporary, flush, fsync, rename, fsync of the folder)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # the error of a full disk does not name the file
        raise
    sync_folder(path.parent)


def refuse_place(path: Path, option: str) -> None:
    """Check the place of a file that is written at the end, so that an error is reported before minutes of work.

    Args:
        option: option of the command line that names the file.

    Raises:
        ConfigError: nothing can be written there.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: {option} names the file to write")
    above = next(parent for parent in path.absolute().parents if parent.exists())
    try:
        with TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


def sync_folder(folder: Path) -> None:
    """Flush a folder to disk, so that a rename in it survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed writers. The caller must hold the folder's lock, because active writers have such files too."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text atomically as UTF-8. The bytes of file names that are not valid UTF-8 are kept, so that they can be read back."""
    with atomic_write(path) as file:
        file.write(text.encode(errors="surrogateescape"))


def write_json(path: Path, value: object) -> None:
    """Write strict JSON atomically.

    Raises:
        ValueError: a number is NaN or infinite (use None instead).
    """
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read strict JSON.

    Raises:
        ArtefactError: the file is not strict JSON (NaN and infinity are not allowed), or is nested too deeply.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        return json.loads(text, parse_constant=finite, parse_float=finite)
    except (ValueError, RecursionError) as error:
        raise ArtefactError(f"{path} is corrupted ({error}); remove it and run the step that writes it again") from None


def finite(number: str) -> float:
    """Parse a finite number.

    Raises:
        ValueError: the text is not a number, or the number is not finite.
    """
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number[:20]} is not a finite number")
    return value


def digest_json(value: object) -> str:
    """SHA-256 of a value's canonical JSON; equal values have equal digests.

    >>> digest_json({"b": 1, "a": 2}) == digest_json({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold a lock on `path` during the block; afterwards the file is gone, and with it folders that were made for it and are empty. The
    kernel releases the lock when its owner ends, so a stale file never blocks a later run.

    Raises:
        LockedError: another process holds it; the message names the process.
    """
    made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path) as file:
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()  # while the lock is held: who has opened this file meanwhile sees that it is another one
                for folder in made:
                    folder.rmdir()


def locked(path: Path) -> IO[str]:
    """The opened file, locked. Raises the errors of `exclusive_lock`."""
    while True:
        file = path.open("a+")
        try:
            flock(file, path.parent)
            if os.path.exists(path) and os.path.samestat(os.fstat(file.fileno()), os.stat(path)):  # noqa: PTH110, PTH116
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # the former owner has just removed it


def flock(file: IO[str], folder: Path) -> None:
    """Raises the errors of `exclusive_lock`. Some network file systems have no locks; there a warning is all."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        raise LockedError(f"{folder} is being written by process {owner}; try again when it has ended") from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        log.warning("%s: this file system has no locks (%s): make sure that no other process writes there", folder, error.strerror)
