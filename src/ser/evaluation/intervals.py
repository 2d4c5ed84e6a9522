"""Confidence intervals over speakers.

Utterances of one speaker are not independent, so an interval states how a score would vary with other speakers. A score is a function of
the weight of each speaker. Pooled scores, means over corpora or folds, and differences of two systems all have this form.

The interval is Student's t around the score, with the standard error of the jackknife over speakers (each is left out once: Efron and
Tibshirani 1993, chapter 11; for clusters MacKinnon, Nielsen and Webb 2023) and one degree of freedom less than there are speakers. It is
computed on the logit scale, which keeps it between 0 and 1; that of a difference is not.

Coverage in % measured with simulated speakers (benchmarks/interval_coverage.py), for this interval and for the percentile bootstrap over
speakers, which is too narrow for few speakers:

    speakers              5     10     15     24     48     91
    UAR                94.8   93.7   94.0   93.8   94.8   94.5
    bootstrap          85.6   89.2   90.0   92.0   93.6   93.2
    difference of two  95.3   95.1   94.2   93.9   94.9   95.9

BCa and the bootstrap-t were not better. The interval covers the variation between speakers, not between trainings, which is given by the
spread over seeds. Its limits: if one speaker has a third of all clips it covers 92 to 95 %; if all speakers have the same score it is a
point; and a class with a single speaker is estimated from that speaker alone. With fewer than five speakers there is a reason instead.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, stdtrit

from ser.evaluation.metrics import Counts, Floats, mean_of_defined

Metric = Callable[[Floats], Floats]
"""Function from confusion matrices (..., C, C) to scores (...)."""

Score = Callable[[Floats], Floats]
"""Function from weights of speakers, (R, S), to scores (R,); NaN if no utterances are left."""

MIN_SPEAKERS = 5
LEVEL = 0.95
NOTHING = 1e-24
"""A variance below this is a rounding error: all speakers have the same score."""
VANISHING = 1e-300
"""Small count that marks a class as predicted without changing the sums."""
METHOD = "Student's t with the jackknife over speakers, on the logit scale"
METHOD_OF_DIFFERENCES = "Student's t with the jackknife over speakers"


@dataclass(frozen=True)
class Interval:
    """Confidence interval. If there is none, `low` and `high` are None and `reason` is the reason."""

    low: float | None
    high: float | None
    speakers: int
    """Number of speakers that the interval is based on."""
    reason: str | None = None
    level: float = LEVEL
    method: str = METHOD
    standard_error: float | None = None
    degrees: float | None = None
    """Degrees of freedom of Student's t."""


NOT_STORED = Interval(None, None, 0, "the file does not hold it")
"""Interval of a score in a file of an earlier version."""


@dataclass(frozen=True)
class Estimate:
    """A score, or a difference of two, with its interval over speakers."""

    value: float | None
    """Value as a share of 1; None if there are no utterances."""
    interval: Interval = NOT_STORED

    @property
    def low(self) -> float | None:
        return self.interval.low

    @property
    def high(self) -> float | None:
        return self.interval.high

    @property
    def speakers(self) -> int:
        return self.interval.speakers

    @property
    def reason(self) -> str | None:
        """Reason why there is no interval; None if there is one."""
        return self.interval.reason

    def in_percent(self) -> str:
        """The score in percent with its interval.

        >>> Estimate(0.612, Interval(0.58, 0.641, 24)).in_percent(), Estimate(0.612).in_percent(), Estimate(None).in_percent()
        ('61.2 [58.0, 64.1]', '61.2', '-')
        """
        return self.format(".1f")

    def in_points(self) -> str:
        """A difference in percentage points with its sign and interval.

        >>> Estimate(-0.031, Interval(-0.04, 0.01, 24)).in_points()
        '-3.1 [-4.0, +1.0]'
        """
        return self.format("+.1f")

    def format(self, digits: str) -> str:
        if self.value is None:
            return "-"
        text = f"{100 * self.value:{digits}}"
        return text if self.low is None or self.high is None else f"{text} [{100 * self.low:{digits}}, {100 * self.high:{digits}}]"


def pooled(matrices: Counts | Floats, metric: Metric, members: Sequence[int] | slice = slice(None)) -> Score:
    """Score of the summed confusion matrices.

    If the only speaker with a class is left out, that class is not part of the mean over classes. A class that is never the truth stays in
    macro-F1 with 0, even if the only speaker with a clip predicted as it is left out; otherwise that clip would determine the interval.

    Args:
        matrices: (M, C, C) confusion matrix of each member.
        members: indices of the members among the S speakers.

    >>> from ser.evaluation.metrics import wa
    >>> score = pooled(np.array([[[3, 1], [0, 0]], [[0, 0], [2, 2]]]), wa)
    >>> score(np.array([[1.0, 1.0], [1.0, 0.0]]))
    array([0.625, 0.75 ])
    """
    floats = matrices.astype(np.float64)
    never_true = np.where(floats.sum(axis=(0, 2)) == 0, floats.sum(axis=(0, 1)), 0.0) * VANISHING

    def score(weights: Floats) -> Floats:
        total = np.tensordot(weights[:, members], floats, axes=1)
        return metric(total + never_true * (total.sum(axis=-1, keepdims=True) > 0))

    return score


def mean_of(scores: Sequence[Score]) -> Score:
    """Mean of several scores, ignoring those without utterances."""
    return lambda weights: mean_of_defined(
        np.stack([score(weights) for score in scores], axis=-1) if scores else np.zeros((len(weights), 0))
    )


def difference_of(one: Score, other: Score) -> Score:
    return lambda weights: one(weights) - other(weights)


def value_of(score: Score, speakers: int) -> float:
    """Value of a score in which every speaker has weight 1."""
    return float(score(np.ones((1, speakers)))[0])


def interval_of(score: Score, strata: Sequence[Hashable], difference: bool = False) -> Interval:
    """95 % interval of a score over speakers.

    Args:
        strata: for each of the S speakers, the group of exchangeable speakers: the corpus in a mean over corpora, the fold in a mean over
            folds. If a group has a single speaker, all speakers form one group.
        difference: whether the score is a difference of two scores, which is not bounded.

    >>> from ser.evaluation.metrics import wa
    >>> accuracies = np.array([[[9, 1], [0, 0]], [[7, 3], [0, 0]], [[8, 2], [0, 0]], [[6, 4], [0, 0]], [[5, 5], [0, 0]]])
    >>> interval = interval_of(pooled(accuracies, wa), ["ravdess"] * 5)
    >>> round(interval.low, 3), round(interval.high, 3), round(interval.standard_error, 4), interval.speakers
    (0.478, 0.856, 0.0707, 5)
    >>> interval_of(pooled(accuracies[:4], wa), ["savee"] * 4).reason
    '4 speakers: an interval over fewer than 5 means nothing'
    """
    speakers = len(strata)
    method = METHOD_OF_DIFFERENCES if difference else METHOD
    if speakers < MIN_SPEAKERS:
        reason = f"{speakers} speaker{'' if speakers == 1 else 's'}: an interval over fewer than {MIN_SPEAKERS} means nothing"
        return Interval(None, None, speakers, reason, method=method)
    value = value_of(score, speakers)
    error, degrees = jackknife(score, strata)
    if not np.isfinite(value) or not np.isfinite(error):
        return Interval(None, None, speakers, "without some speaker there is no score", method=method)
    low, high = student(value, error, degrees, difference)
    return Interval(low, high, speakers, method=method, standard_error=error, degrees=degrees)


def no_interval(speakers: int, reason: str) -> Interval:
    return Interval(None, None, speakers, reason)


def jackknife(score: Score, strata: Sequence[Hashable]) -> tuple[float, float]:
    """(standard error of a score over speakers, degrees of freedom).

    Each stratum of n speakers adds the variance (n - 1) / n * sum of (score without a speaker - their mean) ** 2, with n - 1 degrees of
    freedom. The degrees of freedom of the sum are those of Welch and Satterthwaite.
    """
    speakers = len(strata)
    without_one = score(np.ones((speakers, speakers)) - np.eye(speakers))
    group = groups(strata)
    counts = np.bincount(group).astype(np.float64)
    mean = np.bincount(group, without_one) / counts
    variances = (counts - 1) / counts * np.bincount(group, (without_one - mean[group]) ** 2)
    total = float(variances.sum())
    if total < NOTHING:
        return 0.0, float(speakers - len(counts))
    return float(np.sqrt(total)), float(total**2 / (variances**2 / (counts - 1)).sum())


def groups(strata: Sequence[Hashable]) -> NDArray[np.int64]:
    """Index of each speaker's stratum; all 0 if a stratum has only one speaker."""
    names = {name: index for index, name in enumerate(dict.fromkeys(strata))}
    group = np.array([names[name] for name in strata], np.int64)
    return np.zeros_like(group) if np.bincount(group).min() < 2 else group


def student(value: float, error: float, degrees: float, difference: bool) -> tuple[float, float]:
    """Ends of the interval. The error is converted to the logit scale by the delta method."""
    half = float(stdtrit(degrees, (1 + LEVEL) / 2)) * error
    if difference or half == 0:
        return value - half, value + half
    centre, slope = logit(value), value * (1 - value)
    if slope <= 0:
        return max(0.0, value - half), min(1.0, value + half)
    low, high = expit(centre - half / slope), expit(centre + half / slope)
    return float(low), float(high)
