"""The owners' table of votes on CREMA-D, with answers as a test wants them."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from places import SHARED
from ser.corpora.votes import HEARD

REAL = SHARED / "data/crema-tables"
real_tables = pytest.mark.skipif(not REAL.is_dir(), reason="the owners' tables are not here")

LETTERS = "ADFHNS"
COLUMNS = ("", *LETTERS, "fileName", "numResponses", "agreement", "emoVote")
KINDS = {"voice": 1, "face": 2, "both": 3}

Answers = Mapping[str, int]
"""letter -> answers"""


def row(kind: str, number: int, name: str, answers: Answers) -> dict[str, str | int]:
    counts = {letter: answers.get(letter, 0) for letter in LETTERS}
    return {
        "": KINDS[kind] * 100_000 + number,
        **counts,
        "fileName": name,
        "numResponses": sum(counts.values()),
        "agreement": 0,
        "emoVote": "",
    }


def write_owners_table(path: Path, rows: Iterable[Mapping[str, str | int]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_answers(path: Path, answers: Mapping[str, Answers]) -> Path:
    """Clips as {name: answers to the voice}; who sees the face always hears anger."""
    rows = []
    for number, (name, votes) in enumerate(answers.items(), start=1):
        rows += [row("voice", number, name, votes), row("face", number, name, {"A": 9}), row("both", number, name, {"A": 10})]
    return write_owners_table(path, rows)


def counts(**answers: int) -> NDArray[np.int64]:
    return np.array([answers.get(emotion, 0) for emotion in HEARD])
