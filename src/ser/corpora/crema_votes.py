"""The votes of CREMA-D's listeners on the emotion of each clip.

`tabulatedVotes.csv` (folder processedResults of the corpus's repository) has for every clip the number of people, about ten, who chose each
of six emotions. Rows 1xxxxx are votes on the voice alone, 2xxxxx on the face, 3xxxxx on both. (On all 7442 clips the plurality of these
rows equals VoiceVote, FaceVote and MultiModalVote of summaryTable.csv, ties included.) Only the votes on the voice are used.
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
"""{emotion: column of the table}"""
OWNERS_COLUMNS = (*LETTERS.values(), "fileName", "numResponses")
"""Columns of the table that are used."""


def find_votes(folder: Path) -> Votes | None:
    """Read the votes from the table, anywhere below the corpus's folder; None if there is no table.

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
    """Find tables by name, in any case and at any depth. Links are followed, and each real path is found once."""
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
    """Whether a file has the table's name, in any case."""
    return name.lower() == VOTE_TABLE.lower()


def read_owners_table(path: Path) -> dict[str, Counts]:
    """Read the votes on the voice. Rows that do not name a clip of the corpus are ignored with one warning.

    Raises:
        DataError: the file is not the table or is corrupted. This is not a warning, because some scores cannot be computed without it.
    """
    votes: dict[str, Counts] = {}
    unknown: list[str] = []
    try:
        if not path.is_file():
            raise ValueError("it is not a regular file")
        for name, counts in voice_rows(path):
            try:
                utterance_id = parse(PurePath(name)).id
            except AudioError:
                unknown.append(printable(name))
                continue
            if not np.array_equal(votes.setdefault(utterance_id, counts), counts):
                raise ValueError(f"two rows of {name} differ")
        if not votes:
            raise ValueError("it has no vote on the voice")
    except (ValueError, OverflowError, ArtefactError) as error:
        what = str(error).partition("; ")[0].removeprefix(str(path)).lstrip(", ")
        raise DataError(f"{path} cannot be used ({what}): {HOW_TO_GET_VOTES}; to continue without votes, remove the file") from None
    if unknown:
        log.warning("%s: %d row(s) do not name a clip of the corpus: %s", path, len(unknown), examples(unknown))
    return votes


def voice_rows(path: Path) -> Iterator[tuple[str, Counts]]:
    """Yield the file name and the counts of each row with votes on the voice.

    Raises:
        ValueError: a cell is not a number, or the counts do not add up.
        ArtefactError: the table is not CSV, or has other columns.
    """
    for row in iter_table(path, OWNERS_COLUMNS):
        number = next(iter(row.values()))  # R leaves the name of the row-number column empty
        if len(number) != 6 or number[0] not in "123" or not number.isdecimal():
            raise ValueError(f"the row {printable(number)!r} is not one of 1xxxxx, 2xxxxx, 3xxxxx")
        counts = np.array([int(row[LETTERS[emotion]]) for emotion in HEARD], np.int64)
        if counts.min() < 0 or counts.sum() != int(row["numResponses"]):
            raise ValueError(f"the counts of row {number} do not add up to numResponses")
        if number[0] == "1" and counts.any():
            yield row["fileName"], counts
