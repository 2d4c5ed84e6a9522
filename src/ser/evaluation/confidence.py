"""Quality of probabilities: log loss, Brier score, calibration error, and the risk-coverage curve."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ser.evaluation.metrics import FloatArray, Floats, divide

Labels = NDArray[np.int64]

SMALLEST = 1e-12
"""Lower bound of probabilities, because a probability of 0 for the truth would give an infinite loss."""

BINS = 15


class Judged(Protocol):
    """Probabilities of a model for n utterances, and their true classes."""

    @property
    def probabilities(self) -> FloatArray:
        """(n, C)"""

    @property
    def truth(self) -> Labels:
        """(n,)"""


def log_loss(probabilities: FloatArray, truth: Labels) -> float:
    """Mean of -log p(truth), in nats; NaN for no utterances.

    >>> round(log_loss(np.array([[0.5, 0.5]]), np.array([1])), 4)
    0.6931
    """
    return mean(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], SMALLEST)))


def brier_score(probabilities: FloatArray, truth: Labels) -> float:
    """Multiclass Brier score (Brier 1950): mean over utterances of sum_c (p_c - [c = truth])^2, from 0 to 2; NaN for no utterances.

    >>> brier_score(np.array([[1.0, 0.0]]), np.array([1]))
    2.0
    """
    one_hot = np.eye(probabilities.shape[1])[truth]
    return mean(((probabilities - one_hot) ** 2).sum(axis=1))


def mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else math.nan


@dataclass(frozen=True)
class Reliability:
    """Accuracy in bins of equal width over the confidence. A bin includes its upper edge, but not its lower one."""

    edges: Floats
    """(bins + 1,) from 0 to 1."""
    confidence: Floats
    """(bins,) mean confidence; NaN for empty bins."""
    accuracy: Floats
    """(bins,) share of right answers; NaN for empty bins."""
    count: Labels
    """(bins,) number of utterances."""

    @property
    def error(self) -> float:
        """Expected calibration error: |accuracy - confidence|, averaged over utterances."""
        filled = self.count > 0
        gaps = np.abs(self.accuracy - self.confidence)[filled] * self.count[filled]
        return float(gaps.sum() / self.count.sum()) if filled.any() else math.nan


def reliability(probabilities: FloatArray, truth: Labels, bins: int = BINS) -> Reliability:
    """Accuracy of the answers in bins of similar confidence.

    >>> found = reliability(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), bins=2)
    >>> found.confidence.round(2), found.accuracy, found.count
    (array([ nan, 0.85]), array([nan, 0.5]), array([0, 2]))
    """
    confidence, right = judge(probabilities, truth)
    edges = np.linspace(0, 1, bins + 1)
    home = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(home, minlength=bins)
    sums = (np.bincount(home, weights=column, minlength=bins).astype(np.float64) for column in (confidence, right))
    mean_confidence, accuracy = (divide(column, count.astype(np.float64)) for column in sums)
    return Reliability(edges, mean_confidence, accuracy, count)


def expected_calibration_error(probabilities: FloatArray, truth: Labels, bins: int = BINS) -> float:
    """ECE (Naeini et al. 2015) of the confidence in the answer, over bins of equal width, from 0 to 1; NaN for no utterances.

    >>> round(expected_calibration_error(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1])), 2)
    0.45
    """
    return reliability(probabilities, truth, bins).error


@dataclass(frozen=True)
class RiskCoverage:
    """Coverage and risk of each threshold, from the highest, with the fewest answers, to the lowest, which answers all utterances."""

    coverage: Floats
    """(m,) share of utterances with a confidence of at least the threshold."""
    risk: Floats
    """(m,) share of wrong answers among them."""
    threshold: Floats
    """(m,) distinct confidences in descending order; utterances with equal confidence are answered together."""

    @property
    def area(self) -> float:
        """AURC (Geifman et al. 2019): the risk averaged over the coverages 1/n, 2/n ... 1; lower is better. NaN for no utterances."""
        return float((self.risk * np.diff(self.coverage, prepend=0.0)).sum()) if len(self.risk) else math.nan


def risk_coverage(probabilities: FloatArray, truth: Labels) -> RiskCoverage:
    """Compute the risk-coverage curve.

    >>> curve = risk_coverage(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]))
    >>> curve.coverage, curve.risk, curve.threshold
    (array([0.5, 1. ]), array([0. , 0.5]), array([0.9, 0.8]))
    """
    confidence, right = judge(probabilities, truth)
    threshold, group = np.unique(-confidence, return_inverse=True)
    answered = np.bincount(group, minlength=len(threshold)).cumsum()
    wrong = np.bincount(group, weights=~right, minlength=len(threshold)).cumsum()
    return RiskCoverage(answered / max(len(truth), 1), wrong / answered, -threshold)


def judge(probabilities: FloatArray, truth: Labels) -> tuple[Floats, NDArray[np.bool_]]:
    """(confidence of each answer, whether it is right). Of classes with equal probabilities the first one is the answer."""
    return np.asarray(probabilities.max(axis=1), np.float64), probabilities.argmax(axis=1) == truth
