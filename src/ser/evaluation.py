"""From a table of predictions to scores. Every score is computed from the table alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser.certificate import Entry
from ser.errors import ArtefactError
from ser.intervals import bootstrap, bootstrap_mean
from ser.metrics import METRICS, Counts, Floats, confusion_matrices, confusion_matrix, per_class
from ser.tables import write_table

COLLAPSE = 0.95
"""Mean weight of one expert over a test split, above which the others hardly count."""


@dataclass(frozen=True)
class Predictions:
    """What a model says of n utterances, beside the truth.

    Raises:
        ValueError: the parts differ in length.
        ArtefactError: a probability is not finite.
    """

    ids: Sequence[str]
    corpora: Sequence[str]
    speakers: Sequence[str]
    truth: NDArray[np.int64]
    """(n,) index into `classes`."""
    probabilities: NDArray[np.floating[Any]]
    """(n, C)."""
    classes: tuple[str, ...]
    gates: Mapping[str, NDArray[np.floating[Any]]] = field(default_factory=dict)
    """expert -> (n,) weight in the mixture."""

    def __post_init__(self) -> None:
        n = len(self.ids)
        lengths = [len(self.corpora), len(self.speakers), len(self.truth), *(len(gate) for gate in self.gates.values())]
        if any(length != n for length in lengths) or self.probabilities.shape != (n, len(self.classes)):
            raise ValueError(f"{n} ids, but parts of {lengths} and probabilities of {self.probabilities.shape}")
        broken = np.flatnonzero(~np.isfinite(self.probabilities).all(axis=1))
        if len(broken):
            raise ArtefactError(f"the probabilities of {self.ids[broken[0]]} are not finite: the model's weights are damaged")

    @classmethod
    def of(
        cls,
        entries: Sequence[Entry],
        probabilities: NDArray[np.floating[Any]],
        classes: tuple[str, ...],
        gates: Mapping[str, NDArray[np.floating[Any]]] | None = None,
    ) -> "Predictions":
        """For the rows of a split; probabilities (n, C) and the weights of the experts, each (n,), in the same order."""
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
        """(n,) the class of highest probability, the first among equals."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def confusion(self) -> Counts:
        """(C, C), truth in rows."""
        return confusion_matrix(self.truth, self.prediction, len(self.classes))


def score(predictions: Predictions) -> dict[str, Any]:
    """Scores overall, for each class and corpus, and as the mean over corpora, with intervals over speakers. Strict JSON: None, not NaN.

    The interval of the overall scores resamples the speakers of all corpora together.
    """
    by_corpus = speaker_matrices(predictions)
    every_speaker = np.concatenate([*by_corpus.values(), np.zeros((0, len(predictions.classes), len(predictions.classes)), np.int64)])
    return {
        **scores_of(every_speaker),
        "classes": list(predictions.classes),
        "per_class": class_scores(predictions),
        "per_corpus": {corpus: scores_of(matrices) for corpus, matrices in by_corpus.items()},
        "mean_over_corpora": mean_over_corpora(by_corpus),
    }


def speaker_matrices(predictions: Predictions) -> dict[str, Counts]:
    """corpus -> (speakers, C, C) confusion matrix of each of its speakers, in the order of their names."""
    num_classes = len(predictions.classes)
    corpora = np.asarray(predictions.corpora, dtype=str)
    result = {}
    for corpus in sorted(set(predictions.corpora)):
        chosen = corpora == corpus
        names, group = np.unique(np.asarray(predictions.speakers, dtype=str)[chosen], return_inverse=True)
        pairs = predictions.truth[chosen], predictions.prediction[chosen]
        result[corpus] = confusion_matrices(*pairs, group, num_groups=len(names), num_classes=num_classes)
    return result


def scores_of(matrices: Counts) -> dict[str, Any]:
    """Each metric with n, the number of speakers, and the intervals, from (speakers, C, C)."""
    total = matrices.sum(axis=0)
    return {
        **{name: or_none(metric(total)) for name, metric in METRICS.items()},
        "n": int(total.sum()),
        "speakers": len(matrices),
        "intervals": {name: asdict(bootstrap(matrices, metric)) for name, metric in METRICS.items()},
    }


def mean_over_corpora(by_corpus: Mapping[str, Counts]) -> dict[str, Any]:
    """Each metric averaged over corpora, every corpus with equal weight."""
    totals = [matrices.sum(axis=0) for matrices in by_corpus.values()]
    return {
        **{name: or_none(np.mean([metric(total) for total in totals]) if totals else np.nan) for name, metric in METRICS.items()},
        "corpora": list(by_corpus),
        "intervals": {name: asdict(bootstrap_mean(by_corpus, metric)) for name, metric in METRICS.items()},
    }


def class_scores(predictions: Predictions) -> dict[str, dict[str, float | int | None]]:
    """label -> precision, recall, f1, support."""
    scores = per_class(predictions.confusion)
    return {
        label: {
            "precision": or_none(scores.precision[index]),
            "recall": or_none(scores.recall[index]),
            "f1": or_none(scores.f1[index]),
            "support": int(scores.support[index]),
        }
        for index, label in enumerate(predictions.classes)
    }


def summarise_gates(predictions: Predictions) -> dict[str, Any]:
    """How the experts were weighed: means over all, by corpus and by emotion, the entropy of the weights, and a collapse.

    `entropy` is the mean over utterances of the weights' entropy, `entropy_of_mean` the entropy of the mean weights, both as shares of the
    entropy of equal weights: a gate that chooses a single expert, but another one for each utterance, has 0 and 1. `collapsed_onto` names
    an expert whose mean weight is above `COLLAPSE`.
    """
    weights = np.stack(list(predictions.gates.values()), axis=1)
    names = tuple(predictions.gates)
    mean = weights.mean(axis=0)
    emotions = np.asarray(predictions.classes)[predictions.truth]
    return {
        "mean": named(names, mean),
        "per_corpus": {key: named(names, of) for key, of in group_means(weights, predictions.corpora).items()},
        "per_emotion": {key: named(names, of) for key, of in group_means(weights, emotions).items()},
        "entropy": float(relative_entropy(weights).mean()),
        "entropy_of_mean": float(relative_entropy(mean[None])[0]),
        "collapsed_onto": names[int(mean.argmax())] if mean.max() > COLLAPSE else None,
    }


def group_means(weights: NDArray[np.floating[Any]], keys: Sequence[str] | NDArray[Any]) -> dict[str, NDArray[np.floating[Any]]]:
    """(n, E) and n keys -> {key: mean (E,)}, sorted by key."""
    column = np.asarray(keys, dtype=str)
    return {str(key): weights[column == key].mean(axis=0) for key in np.unique(column)}


def named(names: Sequence[str], values: NDArray[np.floating[Any]]) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


def relative_entropy(weights: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Entropy of each row, (n, E) -> (n,), as a share of that of E equal weights.

    >>> relative_entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [1.0, 0.0]
    """
    logs = np.log(np.where(weights > 0, weights, 1))
    shares: NDArray[np.floating[Any]] = np.abs((weights * logs).sum(axis=1)) / np.log(weights.shape[1])
    return shares


def or_none(value: float | np.floating[Any] | Floats) -> float | None:
    """
    >>> or_none(0.5), or_none(float("nan"))
    (0.5, None)
    """
    number = float(value)
    return None if np.isnan(number) else number


def write_predictions(path: Path, predictions: Mapping[str, Predictions]) -> None:
    """predictions.csv of several splits: split, id, corpus, speaker, truth, prediction, p_<label>..., gate_<expert>...

    Numbers are written so that reading them gives the same float.

    Raises:
        ValueError: the splits differ in classes or experts.
    """
    headers = {table_columns(of) for of in predictions.values()}
    if len(headers) != 1:
        raise ValueError(f"predictions of {', '.join(predictions)} differ in classes or experts")
    columns = headers.pop()
    rows = (dict(zip(columns, row, strict=True)) for name, of in predictions.items() for row in table_rows(name, of))
    write_table(path, columns, rows)


def table_columns(of: Predictions) -> tuple[str, ...]:
    probabilities = (f"p_{label}" for label in of.classes)
    return ("split", "id", "corpus", "speaker", "truth", "prediction", *probabilities, *(f"gate_{expert}" for expert in of.gates))


def table_rows(name: str, of: Predictions) -> Iterator[tuple[str, ...]]:
    labels = np.asarray(of.classes)
    numbers = [*of.probabilities.T, *of.gates.values()]
    return zip(
        [name] * len(of.ids),
        of.ids,
        of.corpora,
        of.speakers,
        labels[of.truth].tolist(),
        labels[of.prediction].tolist(),
        *(column.astype(str).tolist() for column in numbers),
        strict=True,
    )


def write_confusion_matrix(path: Path, matrix: Counts, classes: Sequence[str]) -> None:
    """CSV with the truth in rows: class names in the first column (`truth`) and in the header."""
    rows = ({"truth": label, **dict(zip(classes, row.tolist(), strict=True))} for label, row in zip(classes, matrix, strict=True))
    write_table(path, ("truth", *classes), rows)
