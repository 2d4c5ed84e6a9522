"""Votes of listeners on the emotion of each clip, as published with a corpus."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser.config import LabelMapping
from ser.emotions import SHARED_EMOTIONS
from ser.errors import ArtefactError
from ser.system.tables import iter_table, write_table

Counts = NDArray[np.int64]
Votes = Mapping[str, Counts]
"""{utterance id: counts (6,) in the order of `HEARD`}"""

HEARD = SHARED_EMOTIONS
"""Emotions that a listener could choose, in the order of the vocabulary."""
COLUMNS = ("id", "n", *HEARD)
"""Columns of votes.csv."""


def write_votes(path: Path, votes: Votes) -> None:
    """Write votes.csv: id, number of votes, and the count of each emotion."""
    rows = ({"id": key, "n": int(votes[key].sum()), **dict(zip(HEARD, votes[key].tolist(), strict=True))} for key in sorted(votes))
    write_table(path, COLUMNS, rows)


def read_votes(path: Path) -> dict[str, Counts]:
    """Read votes.csv; empty if there is no such file because the corpus's table was not found.

    Raises:
        ArtefactError: the file is corrupted.
    """
    votes: dict[str, Counts] = {}
    if not path.exists():
        return votes
    try:
        for row in iter_table(path, COLUMNS):
            counts = np.array([int(row[emotion]) for emotion in HEARD], np.int64)
            if counts.min() < 0 or not 0 < counts.sum() == int(row["n"]) or row["id"] in votes:
                raise ValueError(f"the row of {row['id']} does not add up, or is repeated")
            votes[row["id"]] = counts
    except (ValueError, OverflowError) as error:
        raise ArtefactError(f"{path} is corrupted ({error}): run the extract step again") from None
    return votes


def on_classes(counts: Counts, classes: Sequence[str], labels: LabelMapping) -> Counts:
    """Convert counts by emotion, (..., 6), to counts by class, (..., C). Merged emotions are added, emotions without a class are dropped.

    >>> on_classes(np.array([5, 1, 2, 0, 0, 3]), ("neutral", "sad", "angry"), LabelMapping(merge={"disgust": "angry"}))
    array([5, 2, 3])
    """
    merge = {str(source): str(target) for source, target in labels.merge.items()}
    homes = [merge.get(emotion, emotion) for emotion in HEARD]
    mapping = np.array([[home == label for label in classes] for home in homes], np.int64)
    mapped: Counts = counts @ mapping
    return mapped


def plurality(counts: Counts) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Class with the most votes in each row of (n, C), and whether it is the only one (False also for rows without votes).

    >>> plurality(np.array([[0, 3, 1], [2, 2, 0], [0, 0, 0]]))
    (array([1, 0, 0]), array([ True, False, False]))
    """
    highest = counts.max(axis=1, keepdims=True)
    return counts.argmax(axis=1), ((counts == highest).sum(axis=1) == 1) & (highest[:, 0] > 0)
