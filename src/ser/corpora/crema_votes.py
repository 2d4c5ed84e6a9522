"""The table of the owners of CREMA-D: how a crowd of listeners heard its clips.

`tabulatedVotes.csv` (folder processedResults of the corpus's repository) counts for every clip which of six emotions each of some ten
people chose: in rows 1xxxxx those who heard the voice alone, in 2xxxxx those who saw the face, in 3xxxxx both. (On all 7442 clips the
plurality of these rows is the VoiceVote, FaceVote and MultiModalVote of summaryTable.csv, ties included.) Only the voice counts here.
"""

import logging
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path, PurePath

import numpy as np

from ser.audio.search import is_folder, is_system, list_folder
from ser.corpora.crema_names import HOW_TO_GET_VOTES, LABELS, VOTE_TABLE, parse
from ser.corpora.votes import HEARD, Counts, Votes
from ser.errors import ArtefactError, AudioError, DataError
from ser.system.tables import iter_table
from ser.wording import examples, printable

log = logging.getLogger(__name__)

LETTERS = {label.emotion: code[0] for code, label in LABELS.items()}
"""emotion -> its column in the owners' table"""
OWNERS_COLUMNS = (*LETTERS.values(), "fileName", "numResponses")
"""Those that are read here."""


def find_votes(folder: Path) -> Votes | None:
    """The votes in the owners' table, wherever it lies below the corpus's folder; None where it is not.

    Raises:
        DataError: the table is corrupted, or there are several that differ.
    """
    tables = find_tables(folder)
    found = [read_owners_table(path) for path in tables]
    for path, votes in zip(tables[1:], found[1:], strict=True):
        if votes.keys() != found[0].keys() or any(not np.array_equal(votes[key], found[0][key]) for key in votes):
            raise DataError(f"{tables[0]} and {path} differ: keep one of them")
    return found[0] if found else None


def find_tables(folder: Path) -> list[Path]:
    """Files of that name, in any case, at any depth; links are followed, each real path once."""
    seen: set[str] = set()
    found: list[Path] = []
    waiting = deque([folder])
    while waiting:
        path = waiting.popleft()
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        if is_folder(path):
            entries = (entry for entry in list_folder(path) if not is_system(entry.name))
            waiting.extend(Path(entry.path) for entry in entries if entry.is_symlink() or entry.is_dir() or is_table(entry.name))
        elif is_table(path.name):
            found.append(path)
    return sorted(found)


def is_table(name: str) -> bool:
    """In any case."""
    return name.lower() == VOTE_TABLE.lower()


def read_owners_table(path: Path) -> dict[str, Counts]:
    """The votes on voices. Rows that name no clip of the corpus are left out with a warning that counts them.

    Raises:
        DataError: the table is corrupted, or another one: without it there are scores that nobody can compute, so it is no warning.
    """
    votes: dict[str, Counts] = {}
    unknown: list[str] = []
    try:
        if not path.is_file():
            raise ValueError("it is no regular file")
        for name, counts in voice_rows(path):
            try:
                utterance_id = parse(PurePath(name)).id
            except AudioError:
                unknown.append(printable(name))
                continue
            if not np.array_equal(votes.setdefault(utterance_id, counts), counts):
                raise ValueError(f"two rows of {name} differ")
        if not votes:
            raise ValueError("it holds no vote on a voice")
    except (ValueError, OverflowError, ArtefactError) as error:
        what = str(error).partition("; ")[0].removeprefix(str(path)).lstrip(", ")
        raise DataError(f"{path} cannot be used ({what}): {HOW_TO_GET_VOTES}; without the file extract goes on without votes") from None
    if unknown:
        log.warning("%s: %d row(s) name no clip of the corpus: %s", path, len(unknown), examples(unknown))
    return votes


def voice_rows(path: Path) -> Iterator[tuple[str, Counts]]:
    """File name and answers of each row of kind 1.

    Raises:
        ValueError: a number is none, or the answers do not add up.
        ArtefactError: the table is no CSV, or has other columns.
    """
    for row in iter_table(path, OWNERS_COLUMNS):
        number = next(iter(row.values()))  # R gives the column of its row names no name
        if len(number) != 6 or number[0] not in "123" or not number.isdecimal():
            raise ValueError(f"the row {printable(number)!r} is none of 1xxxxx, 2xxxxx, 3xxxxx")
        counts = np.array([int(row[LETTERS[emotion]]) for emotion in HEARD], np.int64)
        if counts.min() < 0 or counts.sum() != int(row["numResponses"]):
            raise ValueError(f"the answers of row {number} do not add up to numResponses")
        if number[0] == "1" and counts.any():
            yield row["fileName"], counts
