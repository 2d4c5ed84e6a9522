"""Match the folders below data/raw to corpora by their names."""

import re
from pathlib import Path

from ser.audio.search import is_system, list_folder
from ser.corpora.registry import CORPORA
from ser.errors import DataError

NO_LETTERS = re.compile(r"[^a-z0-9]+")


def find_corpus_folder(raw_dir: Path, name: str) -> Path | None:
    """Find the folder of a corpus, or a link to it: by its name in any case, or as its download named it, such as CREMA-D.

    Raises:
        DataError: `raw_dir` cannot be listed, or two of its folders match.
    """
    folders = candidates(raw_dir)
    exact = [folder for folder in folders if folder.name.lower() == name]
    found = exact or [folder for folder in folders if corpus_of(folder.name) == name]
    if len(found) > 1:
        raise DataError(f"{' and '.join(map(str, found))} are folders of the same corpus: merge them into one, named {name}")
    return found[0] if found else None


def unknown_folders(raw_dir: Path) -> list[Path]:
    """List the folders that are not read: not the name of a corpus, or a second folder of one. Hidden and system folders are left out.

    Raises:
        DataError: `raw_dir` cannot be listed.
    """
    folders = candidates(raw_dir)
    own = {folder.name.lower() for folder in folders} & CORPORA.keys()
    return [folder for folder in folders if folder.name.lower() not in own and (corpus_of(folder.name) or "") in {"", *own}]


def candidates(raw_dir: Path) -> list[Path]:
    """In the order of their names."""
    if not raw_dir.is_dir():
        return []
    entries = list_folder(raw_dir)
    return [Path(entry.path) for entry in entries if entry.is_dir() and not is_system(entry.name) and not entry.name.startswith(".")]


def corpus_of(folder_name: str) -> str | None:
    """The one corpus whose name begins a folder's name or is a word of it, whatever case and signs.

    >>> [corpus_of(name) for name in ("CREMA-D", "ravdess_emotional_speech", "Toronto TESS data", "AudioWAV", "tessellation")]
    ['crema', 'ravdess', 'tess', None, None]
    """
    words = NO_LETTERS.sub(" ", folder_name.lower()).split()
    names = [name for name in CORPORA if name in words or f"{name}d" in words]
    return names[0] if len(names) == 1 else None
