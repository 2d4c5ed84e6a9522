"""Weights of the experts of a mixture on the utterances of a split."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ser.evaluation.metrics import FloatArray
from ser.evaluation.predictions import Predictions
from ser.evaluation.records import Record

COLLAPSE = 0.95
"""Mean weight of an expert over a test split above which the gate counts as collapsed."""

Weights = Mapping[str, float]
"""{expert: mean weight}"""


class GateSummary(Record):
    """Mean weights over all utterances, by corpus and by emotion.

    Both entropies are relative to that of equal weights. A gate that selects one expert for each utterance, and all equally often, has an
    `entropy` of 0 and an `entropy_of_mean` of 1.
    """

    mean: Weights
    per_corpus: Mapping[str, Weights]
    per_emotion: Mapping[str, Weights]
    entropy: float
    """Mean entropy of the weights over utterances."""
    entropy_of_mean: float
    """Entropy of the mean weights."""
    collapsed_onto: str | None
    """Expert with a mean weight above `COLLAPSE`, if any."""


def summarise_gates(predictions: Predictions) -> GateSummary:
    weights = np.stack(list(predictions.gates.values()), axis=1)
    experts = tuple(predictions.gates)
    mean = weights.mean(axis=0)
    emotions = np.asarray(predictions.classes)[predictions.truth]
    return GateSummary(
        mean=named(experts, mean),
        per_corpus=group_means(experts, weights, np.asarray(predictions.corpora, dtype=str)),
        per_emotion=group_means(experts, weights, emotions),
        entropy=float(relative_entropy(weights).mean()),
        entropy_of_mean=float(relative_entropy(mean[None])[0]),
        collapsed_onto=experts[int(mean.argmax())] if mean.max() > COLLAPSE else None,
    )


def group_means(experts: Sequence[str], weights: FloatArray, keys: npt.NDArray[np.str_]) -> dict[str, Weights]:
    """Mean weights of each group, sorted by group, from weights (n, E) and the group of each row."""
    return {str(key): named(experts, weights[keys == key].mean(axis=0)) for key in np.unique(keys)}


def named(experts: Sequence[str], values: FloatArray) -> dict[str, float]:
    return dict(zip(experts, values.tolist(), strict=True))


def relative_entropy(weights: FloatArray) -> FloatArray:
    """Entropy of each row relative to that of E equal weights, (n, E) -> (n,).

    >>> relative_entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [1.0, 0.0]
    """
    logs = np.log(np.where(weights > 0, weights, 1))
    shares: FloatArray = np.abs((weights * logs).sum(axis=1)) / np.log(weights.shape[1])
    return shares
