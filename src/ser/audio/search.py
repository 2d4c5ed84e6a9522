"""Search for audio files below a folder by their suffix. Links are followed, and each real path is found once."""

import logging
import os
from collections import deque
from pathlib import Path, PurePath

from ser.audio.containers import SUFFIX_CONTAINERS
from ser.errors import DataError
from ser.wording import printable

log = logging.getLogger(__name__)

SYSTEM_PREFIX = "._"
"""Prefix of the files in which macOS stores attributes on file systems that do not support them."""
SYSTEM_FOLDERS = ("__MACOSX",)


def find_audio(folder: Path, unlisted: list[tuple[Path, str]] | None = None) -> list[Path]:
    """Paths below `folder` with an audio suffix, including those that are not regular files. System files are ignored.

    Links are followed last, so that a file is found under its own path, not under that of a link to it.

    Args:
        unlisted: list that receives the folders that cannot be listed, each with the error message.

    Raises:
        DataError: a folder cannot be listed and `unlisted` is None.
    """
    seen: set[str] = set()
    found: list[Path] = []
    own, links = deque([folder]), deque[Path]()
    while own or links:
        path = own.popleft() if own else links.popleft()
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        if is_folder(path):
            entries = [entry for entry in entries_of(path, unlisted) if not is_system(entry.name)]
            links.extend(Path(entry.path) for entry in entries if entry.is_symlink())
            own.extend(Path(entry.path) for entry in entries if not entry.is_symlink() and (entry.is_dir() or has_audio_suffix(entry.path)))
        if has_audio_suffix(path):
            found.append(path)
        elif path.is_symlink() and not path.exists():
            log.warning("%s is a link to a file that does not exist", printable(str(path)))
    return sorted(found)


def entries_of(folder: Path, unlisted: list[tuple[Path, str]] | None) -> list[os.DirEntry[str]]:
    """Entries of a folder; see `find_audio` for arguments and errors."""
    try:
        return list_folder(folder)
    except DataError as error:
        if unlisted is None:
            raise
        unlisted.append((folder, str(error)))
        return []


def is_folder(path: Path) -> bool:
    """Whether the path is a folder, or a link to an accessible one."""
    try:
        return path.is_dir()
    except OSError:
        return False


def list_folder(folder: Path) -> list[os.DirEntry[str]]:
    """Entries of a folder, sorted by name.

    Raises:
        DataError: the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be listed: {error.strerror}") from None


def has_audio_suffix(path: str | Path) -> bool:
    return PurePath(path).suffix.lower() in SUFFIX_CONTAINERS


def is_system(name: str) -> bool:
    """Whether a file or folder belongs to the operating system.

    >>> [is_system(name) for name in ("._a.wav", "__MACOSX", "a.wav")]
    [True, True, False]
    """
    return name.startswith(SYSTEM_PREFIX) or name in SYSTEM_FOLDERS
