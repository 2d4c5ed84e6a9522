"""How listeners heard the clips of CREMA-D: the crowd's votes, from the table of the corpus's owners.

`tabulatedVotes.csv` (folder processedResults of the corpus's repository) counts for every clip which of six emotions each of some ten
people chose: in rows 1xxxxx those who heard the voice alone, in 2xxxxx those who saw the face, in 3xxxxx both. (On all 7442 clips the
plurality of these rows is the VoiceVote, FaceVote and MultiModalVote of summaryTable.csv, ties included.) Only the voice counts here.
"""

import logging
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from ser.audio.search import is_folder, is_system, list_folder
from ser.config import LabelsConfig
from ser.corpora.crema import CREMA, LABELS
from ser.emotions import SHARED_EMOTIONS
from ser.errors import ArtefactError, AudioError, DataError
from ser.system.tables import iter_table, write_table
from ser.wording import examples, printable

log = logging.getLogger(__name__)

Counts = NDArray[np.int64]
Votes = Mapping[str, Counts]
"""Utterance id -> (6,) answers, in the order of `HEARD`."""

HEARD = SHARED_EMOTIONS
"""What a listener could choose, in the order of the vocabulary."""

TABLE = "tabulatedVotes.csv"
HOW_TO_GET = f"{TABLE} is in the folder processedResults of {CREMA.url}"
LETTERS = {label.emotion: code[0] for code, label in LABELS.items()}
"""emotion -> its column in the owners' table"""
OWNERS_COLUMNS = (*LETTERS.values(), "fileName", "numResponses")
COLUMNS = ("id", "n", *HEARD)


def find_votes(folder: Path) -> Votes | None:
    """The votes in the owners' table, wherever it lies below the corpus's folder; None where it is not.

    Raises:
        DataError: the table is damaged, or there are several that differ.
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
            waiting.extend(Path(of.path) for of in entries if of.is_symlink() or of.is_dir() or of.name.lower() == TABLE.lower())
        elif path.name.lower() == TABLE.lower():
            found.append(path)
    return sorted(found)


def read_owners_table(path: Path) -> dict[str, Counts]:
    """The votes on voices. Rows that name no clip of the corpus are left out with a warning that counts them.

    Raises:
        DataError: the table is damaged, or another one: without it there are scores that nobody can compute, so it is no warning.
    """
    votes: dict[str, Counts] = {}
    unknown: list[str] = []
    try:
        if not path.is_file():
            raise ValueError("it is no regular file")
        for name, counts in voice_rows(path):
            try:
                utterance_id = CREMA.parse(PurePath(name)).id
            except AudioError:
                unknown.append(printable(name))
                continue
            if not np.array_equal(votes.setdefault(utterance_id, counts), counts):
                raise ValueError(f"two rows of {name} differ")
        if not votes:
            raise ValueError("it holds no vote on a voice")
    except (ValueError, OverflowError, ArtefactError) as error:
        what = str(error).partition("; ")[0].removeprefix(str(path)).lstrip(", ")
        raise DataError(f"{path} cannot be used ({what}): {HOW_TO_GET}; without the file extract goes on without votes") from None
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


def write_votes(path: Path, votes: Votes) -> None:
    """votes.csv: id, n, and the answers for each emotion."""
    rows = ({"id": key, "n": int(votes[key].sum()), **dict(zip(HEARD, votes[key].tolist(), strict=True))} for key in sorted(votes))
    write_table(path, COLUMNS, rows)


def read_votes(path: Path) -> dict[str, Counts]:
    """What `write_votes` wrote; nothing where there is no such file, because the owners' table was not there.

    Raises:
        ArtefactError: the file is damaged.
    """
    votes: dict[str, Counts] = {}
    if not path.exists():
        return votes
    try:
        for row in iter_table(path, COLUMNS):
            counts = np.array([int(row[emotion]) for emotion in HEARD], np.int64)
            if counts.min() < 0 or not 0 < counts.sum() == int(row["n"]) or row["id"] in votes:
                raise ValueError(f"the row of {row['id']} does not add up, or comes twice")
            votes[row["id"]] = counts
    except (ValueError, OverflowError) as error:
        raise ArtefactError(f"{path} is damaged ({error}): run the extract step again") from None
    return votes


def on_classes(counts: Counts, classes: Sequence[str], labels: LabelsConfig) -> Counts:
    """Answers by emotion, (..., 6), to answers by class, (..., C): merged emotions add up, those without a class are left out.

    >>> on_classes(np.array([5, 1, 2, 0, 0, 3]), ("neutral", "sad", "angry"), LabelsConfig(merge={"disgust": "angry"}))
    array([5, 2, 3])
    """
    merge = {str(source): str(target) for source, target in labels.merge.items()}
    homes = [merge.get(emotion, emotion) for emotion in HEARD]
    mapping = np.array([[home == label for label in classes] for home in homes], np.int64)
    mapped: Counts = counts @ mapping
    return mapped


def plurality(counts: Counts) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The class with most answers in each row of (n, C), and whether no other has as many (and any has an answer).

    >>> plurality(np.array([[0, 3, 1], [2, 2, 0], [0, 0, 0]]))
    (array([1, 0, 0]), array([ True, False, False]))
    """
    highest = counts.max(axis=1, keepdims=True)
    return counts.argmax(axis=1), ((counts == highest).sum(axis=1) == 1) & (highest[:, 0] > 0)
