"""Writing so that a kill at any moment leaves the old file or the new one, never half of one; and one writer at a time."""

import fcntl
import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ser.errors import ArtefactError, LockedError


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that appears under `path` only when the block has ended well (temporary, flush, fsync, rename, fsync of the folder)."""
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
            error.filename = str(path)  # a full disk does not say which file it has no room for
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Temporary files of killed writers. Only for who holds the folder's lock: a living writer has one too."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Atomic; UTF-8 (a file name that is not UTF-8 keeps its bytes, so that it still names the file when it is read back)."""
    with atomic_write(path) as file:
        file.write(text.encode(errors="surrogateescape"))


def write_json(path: Path, value: object) -> None:
    """Atomic; strict JSON (a NaN raises ValueError: write None)."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """
    Raises:
        ArtefactError: the file is no strict JSON (a NaN, an infinity), or nested deeper than any of ours.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        return json.loads(text, parse_constant=finite, parse_float=finite)
    except (ValueError, RecursionError) as error:
        raise ArtefactError(f"{path} is damaged ({error}); remove it and run the step that writes it again") from None


def finite(number: str) -> float:
    """
    Raises:
        ValueError: it is none, or too large for one.
    """
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number[:20]} is no number of JSON")
    return value


def digest_json(value: object) -> str:
    """sha256 of a value's canonical JSON: equal values, equal digests.

    >>> digest_json({"b": 1, "a": 2}) == digest_json({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold `path` as a lock for the block. The kernel frees the lock of a dead owner, so a stale file never blocks anybody.

    Raises:
        LockedError: another process holds it; the message names the process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise LockedError(f"{path.parent} is being written by process {file.read().strip() or 'unknown'}") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
