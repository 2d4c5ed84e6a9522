"""The table of predictions, with the truth and the probabilities of each utterance, and its CSV files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser.emotions import EMOTIONS
from ser.errors import ArtefactError
from ser.evaluation.metrics import Counts, FloatArray, confusion_matrix
from ser.splits.certificate import Entry
from ser.system.tables import iter_table, write_table

FIXED = ("id", "corpus", "speaker", "truth", "prediction")
"""Columns after those of the part that a row belongs to, and before p_<label>..., gate_<expert>..."""


@dataclass(frozen=True)
class Predictions:
    """Predictions of a model for n utterances, and their true classes.

    Raises:
        ValueError: the parts differ in length.
        ArtefactError: a probability is not finite.
    """

    ids: Sequence[str]
    corpora: Sequence[str]
    speakers: Sequence[str]
    truth: NDArray[np.int64]
    """(n,) index into `classes`."""
    probabilities: FloatArray
    """(n, C)"""
    classes: tuple[str, ...]
    gates: Mapping[str, FloatArray] = field(default_factory=dict)
    """{expert: (n,) weight in the mixture}"""

    def __post_init__(self) -> None:
        n = len(self.ids)
        lengths = [len(self.corpora), len(self.speakers), len(self.truth), *(len(gate) for gate in self.gates.values())]
        if any(length != n for length in lengths) or self.probabilities.shape != (n, len(self.classes)):
            raise ValueError(f"{n} ids, but parts of {lengths} and probabilities of {self.probabilities.shape}")
        broken = np.flatnonzero(~np.isfinite(self.probabilities).all(axis=1))
        if len(broken):
            raise ArtefactError(f"the probabilities of {self.ids[broken[0]]} are not finite: the model's weights are corrupted")

    @classmethod
    def from_entries(
        cls,
        entries: Sequence[Entry],
        probabilities: FloatArray,
        classes: tuple[str, ...],
        gates: Mapping[str, FloatArray] | None = None,
    ) -> "Predictions":
        """Build from the rows of a split, with probabilities (n, C) and weights of the experts, each (n,), in the same order."""
        return cls(
            ids=[entry.id for entry in entries],
            corpora=[entry.corpus for entry in entries],
            speakers=[entry.speaker for entry in entries],
            truth=np.array([entry.label for entry in entries], np.int64),
            probabilities=probabilities,
            classes=classes,
            gates=gates or {},
        )

    @property
    def prediction(self) -> NDArray[np.int64]:
        """(n,) class with the highest probability; the first of equal ones."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def confusion(self) -> Counts:
        """(C, C), truth in rows."""
        return confusion_matrix(self.truth, self.prediction, len(self.classes))

    def select(self, mask: NDArray[np.bool_]) -> "Predictions":
        """Select the utterances where the mask (n,) is true, in order.

        >>> two = Predictions(["a", "b"], ["tess"] * 2, ["tess/OAF"] * 2, np.array([0, 1]), np.eye(2), ("sad", "happy"))
        >>> two.select(np.array([False, True])).ids
        ['b']
        """
        chosen = np.flatnonzero(mask).tolist()
        return Predictions(
            ids=[self.ids[index] for index in chosen],
            corpora=[self.corpora[index] for index in chosen],
            speakers=[self.speakers[index] for index in chosen],
            truth=self.truth[chosen],
            probabilities=self.probabilities[chosen],
            classes=self.classes,
            gates={expert: weights[chosen] for expert, weights in self.gates.items()},
        )


def write_predictions(path: Path, predictions: Mapping[str, Predictions]) -> None:
    """Write predictions.csv of several splits: split, id, corpus, speaker, truth, prediction, p_<label>..., gate_<expert>...

    Numbers are written with enough digits to read the same float.

    Raises:
        ValueError: the splits differ in classes or experts.
    """
    if len({(table.classes, tuple(table.gates)) for table in predictions.values()}) != 1:
        raise ValueError(f"predictions of {', '.join(predictions)} differ in classes or experts")
    write_parts(path, ("split",), [((split,), table) for split, table in predictions.items()])


def read_predictions(path: Path) -> dict[str, Predictions]:
    """Read the file of `write_predictions`: {split: predictions}, with probabilities and gates as float64.

    Raises:
        ArtefactError: the table is corrupted, or is not a table of predictions.
    """
    return {split: table for (split,), table in read_parts(path, ("split",)).items()}


def write_protocol_predictions(path: Path, predictions: Mapping[str, Mapping[int, Predictions]]) -> None:
    """Write predictions.csv of a protocol from {fold: {seed: predictions}}: fold, seed, id, ... as in `write_predictions`.

    Folds may differ in classes and experts; a cell is empty if the fold does not have the class or expert.
    """
    parts = [((fold, str(seed)), table) for fold, seeds in predictions.items() for seed, table in seeds.items()]
    write_parts(path, ("fold", "seed"), parts)


def read_protocol_predictions(path: Path) -> dict[str, list[Predictions]]:
    """Read the file of `write_protocol_predictions`: {fold: predictions of each seed}, in the order of the table.

    Raises:
        ArtefactError: the table is corrupted, or is not a table of predictions, or the seeds of a fold differ in utterances, speakers,
            truths or classes.
    """
    folds: dict[str, list[Predictions]] = {}
    for (fold, _seed), table in read_parts(path, ("fold", "seed")).items():
        folds.setdefault(fold, []).append(table)
    for fold, seeds in folds.items():
        if not all(same_rows(seeds[0], table) for table in seeds):
            raise ArtefactError(f"{path}: the seeds of fold {fold} differ in utterances, speakers, truths or classes")
    return folds


def is_of_protocol(path: Path) -> bool:
    """Whether the table has folds and seeds instead of splits, according to its header."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        return file.readline().startswith("fold,seed,")


def same_rows(one: Predictions, other: Predictions) -> bool:
    """Whether two tables have the same utterances in the same order, with the same speakers, corpora, truths and classes."""
    names = all(list(mine) == list(its) for mine, its in zip(names_in(one), names_in(other), strict=True))
    return names and np.array_equal(one.truth, other.truth)


def names_in(table: Predictions) -> tuple[Sequence[str], ...]:
    return table.ids, table.speakers, table.corpora, table.classes


Key = tuple[str, ...]
"""Part of the table that a row belongs to: (split,) or (fold, seed)."""


def write_parts(path: Path, keys: Sequence[str], parts: Sequence[tuple[Key, Predictions]]) -> None:
    """Write a table of several parts, with all their classes (in the order of the vocabulary) and experts as columns."""
    classes = sorted(merged(table.classes for _, table in parts), key=vocabulary_order)
    numbers = (*(f"p_{label}" for label in classes), *(f"gate_{expert}" for expert in merged(table.gates for _, table in parts)))
    rows = ({**dict.fromkeys(numbers), **dict(zip(keys, key, strict=True)), **row} for key, table in parts for row in rows_of(table))
    write_table(path, (*keys, *FIXED, *numbers), rows)


def vocabulary_order(label: str) -> int:
    return EMOTIONS.index(label) if label in EMOTIONS else len(EMOTIONS)


def merged(names: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """All distinct names in order of first appearance."""
    return tuple(dict.fromkeys(name for several in names for name in several))


def rows_of(table: Predictions) -> Iterator[dict[str, str]]:
    labels = np.asarray(table.classes)
    columns: dict[str, Sequence[str]] = {
        "id": table.ids,
        "corpus": table.corpora,
        "speaker": table.speakers,
        "truth": labels[table.truth].tolist(),
        "prediction": labels[table.prediction].tolist(),
        **{f"p_{label}": column.astype(str).tolist() for label, column in zip(table.classes, table.probabilities.T, strict=True)},
        **{f"gate_{expert}": weights.astype(str).tolist() for expert, weights in table.gates.items()},
    }
    return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def read_parts(path: Path, keys: Sequence[str]) -> dict[Key, Predictions]:
    """Read the file of `write_parts`: {part: predictions}, in order."""
    parts: dict[Key, list[dict[str, str]]] = {}
    for row in iter_table(path, (*keys, *FIXED)):
        parts.setdefault(tuple(row[key] for key in keys), []).append(row)
    return {key: parse(f"{path}, {', '.join(map(' '.join, zip(keys, key, strict=True)))}", rows) for key, rows in parts.items()}


def parse(where: str, rows: Sequence[dict[str, str]]) -> Predictions:
    """Parse the rows of one part.

    Raises:
        ArtefactError: a cell is missing or not a number, a label has no probability, the prediction is not the most probable class, or an
            utterance is repeated.
    """
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    classes = filled(where, columns, "p_")
    index = {label: number for number, label in enumerate(classes)}
    unknown = {*columns["truth"], *columns["prediction"]} - index.keys()
    if unknown:
        raise ArtefactError(f"{where}: no probability of {', '.join(sorted(unknown))}")
    found = Predictions(
        ids=columns["id"],
        corpora=columns["corpus"],
        speakers=columns["speaker"],
        truth=np.array([index[label] for label in columns["truth"]], np.int64),
        probabilities=np.stack([numbers(where, columns[f"p_{label}"]) for label in classes], axis=1),
        classes=classes,
        gates={expert: numbers(where, columns[f"gate_{expert}"]) for expert in filled(where, columns, "gate_")},
    )
    check(where, found, np.array([index[label] for label in columns["prediction"]], np.int64))
    return found


def filled(where: str, columns: Mapping[str, Sequence[str]], prefix: str) -> tuple[str, ...]:
    """Names without the prefix of the columns that start with it and have numbers.

    Raises:
        ArtefactError: a column has numbers in some rows only.
    """
    names = [name for name in columns if name.startswith(prefix) and any(columns[name])]
    gaps = [name for name in names if not all(columns[name])]
    if gaps:
        raise ArtefactError(f"{where}: {', '.join(gaps)} is empty in some rows")
    return tuple(name.removeprefix(prefix) for name in names)


def numbers(where: str, cells: Sequence[str]) -> NDArray[np.float64]:
    """Parse numbers.

    Raises:
        ArtefactError: a cell is not a number.
    """
    try:
        return np.array(cells, np.float64)
    except ValueError as error:
        raise ArtefactError(f"{where}: {error}") from None


def check(where: str, found: Predictions, prediction: NDArray[np.int64]) -> None:
    wrong = np.flatnonzero(found.prediction != prediction)
    if len(wrong):
        raise ArtefactError(f"{where}: the prediction of {found.ids[wrong[0]]} is not its most probable class")
    if len(set(found.ids)) != len(found.ids):
        raise ArtefactError(f"{where}: an utterance is repeated")
