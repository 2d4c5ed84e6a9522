"""Which files of a folder are audio files by name: any depth, links followed, each real path once."""

import logging
import os
from collections import deque
from pathlib import Path, PurePath

from ser.audio.containers import SUFFIX_CONTAINERS
from ser.errors import DataError
from ser.wording import printable

log = logging.getLogger(__name__)

SYSTEM_PREFIX = "._"
"""macOS keeps a file's attributes in a file of that name beside it, where the file system cannot hold them."""
SYSTEM_FOLDERS = ("__MACOSX",)


def find_audio(folder: Path, unlisted: list[tuple[Path, str]] | None = None) -> list[Path]:
    """Paths below `folder` that end like audio, also where they turn out to be no regular files; system files are ignored silently.

    What no link leads to comes first, so that a file keeps its own path however many links point at it.

    Args:
        unlisted: takes the folders that cannot be listed, and why.

    Raises:
        DataError: a folder cannot be listed, and nothing takes it.
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
            log.warning("%s is a link that leads nowhere", printable(str(path)))
    return sorted(found)


def entries_of(folder: Path, unlisted: list[tuple[Path, str]] | None) -> list[os.DirEntry[str]]:
    """As of `find_audio`."""
    try:
        return list_folder(folder)
    except DataError as error:
        if unlisted is None:
            raise
        unlisted.append((folder, str(error)))
        return []


def is_folder(path: Path) -> bool:
    """A folder, or a link to one that may be looked at."""
    try:
        return path.is_dir()
    except OSError:
        return False


def list_folder(folder: Path) -> list[os.DirEntry[str]]:
    """In the order of the names.

    Raises:
        DataError: it cannot be listed: its files would be missing without a word.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be listed: {error.strerror}") from None


def has_audio_suffix(path: str | Path) -> bool:
    return PurePath(path).suffix.lower() in SUFFIX_CONTAINERS


def is_system(name: str) -> bool:
    """
    >>> [is_system(name) for name in ("._a.wav", "__MACOSX", "a.wav")]
    [True, True, False]
    """
    return name.startswith(SYSTEM_PREFIX) or name in SYSTEM_FOLDERS
