"""What a confidence is worth, and when the answer is `unknown`: temperature, calibration error, risk and coverage.

A probability is calibrated if of the answers given with 70 % some 70 % are right. One temperature, fitted on val, mends most of what a
network lacks there (Guo et al. 2017) and changes no answer. Where val does not determine it, because no answer there is wrong or because
none is better than one at a bound, it stays at 1: what would be fitted then is the bound. On the calibrated confidence stands the threshold
below which the answer is `unknown`. Nothing here is fitted on test.
"""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, ValidationError, model_validator

from ser.config import CalibrationConfig, Config
from ser.errors import ArtefactError
from ser.evaluation.metrics import Floats, divide
from ser.system.files import digest_json, read_json, write_json

log = logging.getLogger(__name__)

Labels = NDArray[np.int64]

SMALLEST = 1e-12
"""Probabilities count as no less: a 0 for the truth would be an infinite loss."""

LOWEST, HIGHEST = 0.05, 20.0
"""Of a temperature. Where every answer is right or where the probabilities say nothing, the best one would be 0 or infinite."""

NO_BETTER = 1e-9
"""Nats of log loss. Towards a bound the loss may be so flat that the search ends far from it."""

BINS = 15

NO_VAL = "no speaker was left for validation, and nothing is fitted on test"
NONE_WRONG = "no answer on val is wrong, so val does not say how sure is too sure"
AT_BOUND = "for val no temperature is better than one at a bound, so val does not determine it"


class Judged(Protocol):
    """What a model says of n utterances, beside the truth."""

    @property
    def probabilities(self) -> NDArray[np.floating[Any]]:
        """(n, C)"""

    @property
    def truth(self) -> Labels:
        """(n,)"""


class Calibration(Config):
    """What was fitted on val: how a model's probabilities become confidences, and which of them are too low for an answer."""

    temperature: float | None = Field(gt=0)
    """None leaves the probabilities as they are, and so does 1."""
    temperature_reason: str | None = None
    """Why the temperature was left at 1, though there is a val to fit it on."""
    threshold: float | None = Field(ge=0, le=1)
    """Of the calibrated confidence. None answers always."""
    max_error: float = Field(gt=0, lt=1)
    """Share of wrong answers on val that the threshold keeps to."""
    reason: str | None
    """Why there is no temperature or no threshold."""

    def apply(self, probabilities: NDArray[np.floating[Any]]) -> Floats:
        """Calibrated probabilities, (..., C)."""
        if self.temperature is None:
            return np.asarray(probabilities, np.float64)
        return apply_temperature(probabilities, self.temperature)

    def answered(self, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """(..., C) as the model gives them -> (...) whether the confidence suffices for an answer."""
        return np.asarray(self.apply(probabilities).max(axis=-1) >= (self.threshold or 0.0))

    def answer(self, probabilities: NDArray[np.floating[Any]]) -> int | None:
        """(C,) as the model gives them -> index of the answer, None for `unknown`.

        >>> calibration = Calibration(temperature=2.0, threshold=0.6, max_error=0.2, reason=None)
        >>> calibration.answer(np.array([0.9, 0.1])), calibration.answer(np.array([0.6, 0.4]))
        (0, None)
        """
        return int(np.argmax(probabilities)) if self.answered(probabilities) else None


def apply_temperature(probabilities: NDArray[np.floating[Any]], temperature: float) -> Floats:
    """softmax(log p / T) over the last axis, as dividing the logits by T gives it. The highest stays the highest; 1 changes nothing.

    >>> apply_temperature(np.array([0.8, 0.2]), 2.0).round(3)
    array([0.667, 0.333])
    """
    if temperature == 1:
        return np.asarray(probabilities, np.float64)
    powers = np.exp(scaled_logs(probabilities, temperature))
    scaled: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return scaled


def scaled_logs(probabilities: NDArray[np.floating[Any]], temperature: float) -> Floats:
    """log p / T, shifted so that the highest of a row is 0."""
    logs = np.log(np.maximum(np.asarray(probabilities, np.float64), SMALLEST))
    shifted: Floats = (logs - logs.max(axis=-1, keepdims=True)) / temperature
    return shifted


def fit_temperature(probabilities: NDArray[np.floating[Any]], truth: Labels) -> float:
    """The temperature T from `LOWEST` to `HIGHEST` with the lowest log loss of softmax(log p / T), found over log T.

    The loss is convex in 1 / T, so there is one minimum. 1 where no other temperature is better.

    Raises:
        ValueError: no utterances.

    >>> sure_but_wrong_every_fourth_time = np.array([[0.99, 0.01]] * 4)
    >>> temperature = fit_temperature(sure_but_wrong_every_fourth_time, np.array([0, 0, 0, 1]))
    >>> apply_temperature(np.array([0.99, 0.01]), temperature).round(3)
    array([0.75, 0.25])
    """
    from scipy.optimize import minimize_scalar  # for who only applies a temperature it would be a slow import

    if not len(truth):
        raise ValueError("no utterances to fit a temperature on")
    rows = np.arange(len(truth))

    def loss(log_temperature: float) -> float:
        logs = scaled_logs(probabilities, math.exp(log_temperature))
        return float((np.log(np.exp(logs).sum(axis=1)) - logs[rows, truth]).mean())

    found = minimize_scalar(loss, bounds=(math.log(LOWEST), math.log(HIGHEST)), method="bounded", options={"xatol": 1e-6})
    temperature = math.exp(found.x)
    return temperature if log_loss(apply_temperature(probabilities, temperature), truth) < log_loss(probabilities, truth) else 1.0


def log_loss(probabilities: NDArray[np.floating[Any]], truth: Labels) -> float:
    """Mean of -log p(truth), in nats; NaN for no utterances.

    >>> round(log_loss(np.array([[0.5, 0.5]]), np.array([1])), 4)
    0.6931
    """
    return mean(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], SMALLEST)))


def brier_score(probabilities: NDArray[np.floating[Any]], truth: Labels) -> float:
    """Brier's own score of several classes (1950): mean over utterances of sum_c (p_c - [c = truth])^2, from 0 to 2; NaN for none.

    >>> brier_score(np.array([[1.0, 0.0]]), np.array([1]))
    2.0
    """
    one_hot = np.eye(probabilities.shape[1])[truth]
    return mean(((probabilities - one_hot) ** 2).sum(axis=1))


def mean(values: NDArray[np.floating[Any]]) -> float:
    return float(values.mean()) if len(values) else math.nan


@dataclass(frozen=True)
class Reliability:
    """Bins of equal width over the confidence in the answer, each without its lower edge and with its upper one."""

    edges: Floats
    """(bins + 1,) from 0 to 1."""
    confidence: Floats
    """(bins,) mean of the confidence; NaN where nothing is."""
    accuracy: Floats
    """(bins,) share of right answers; NaN where nothing is."""
    count: Labels
    """(bins,) utterances."""

    @property
    def error(self) -> float:
        """Expected calibration error: |accuracy - confidence|, averaged over utterances."""
        filled = self.count > 0
        gaps = np.abs(self.accuracy - self.confidence)[filled] * self.count[filled]
        return float(gaps.sum() / self.count.sum()) if filled.any() else math.nan


def reliability(probabilities: NDArray[np.floating[Any]], truth: Labels, bins: int = BINS) -> Reliability:
    """How often answers of equal confidence are right.

    >>> found = reliability(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), bins=2)
    >>> found.confidence.round(2), found.accuracy, found.count
    (array([ nan, 0.85]), array([nan, 0.5]), array([0, 2]))
    """
    confidence, right = judge(probabilities, truth)
    edges = np.linspace(0, 1, bins + 1)
    home = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(home, minlength=bins)
    sums = (np.bincount(home, weights=of, minlength=bins).astype(np.float64) for of in (confidence, right))
    of_confidence, of_right = (divide(of, count.astype(np.float64)) for of in sums)
    return Reliability(edges, of_confidence, of_right, count)


def expected_calibration_error(probabilities: NDArray[np.floating[Any]], truth: Labels, bins: int = BINS) -> float:
    """ECE (Naeini et al. 2015) of the confidence in the answer, over bins of equal width, from 0 to 1; NaN for no utterances.

    >>> round(expected_calibration_error(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1])), 2)
    0.45
    """
    return reliability(probabilities, truth, bins).error


@dataclass(frozen=True)
class RiskCoverage:
    """What each threshold costs and buys, from the highest one, which answers least, to the lowest, which answers all."""

    coverage: Floats
    """(m,) share of utterances with at least that confidence."""
    risk: Floats
    """(m,) share of wrong answers among them."""
    threshold: Floats
    """(m,) the confidences that occur, descending; utterances of equal confidence are answered together."""

    @property
    def area(self) -> float:
        """AURC (Geifman et al. 2019): the risk averaged over the coverages 1/n, 2/n ... 1; lower is better. NaN for no utterances."""
        return float((self.risk * np.diff(self.coverage, prepend=0.0)).sum()) if len(self.risk) else math.nan


def risk_coverage(probabilities: NDArray[np.floating[Any]], truth: Labels) -> RiskCoverage:
    """
    >>> curve = risk_coverage(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]))
    >>> curve.coverage, curve.risk, curve.threshold
    (array([0.5, 1. ]), array([0. , 0.5]), array([0.9, 0.8]))
    """
    confidence, right = judge(probabilities, truth)
    threshold, group = np.unique(-confidence, return_inverse=True)
    answered = np.bincount(group, minlength=len(threshold)).cumsum()
    wrong = np.bincount(group, weights=~right, minlength=len(threshold)).cumsum()
    return RiskCoverage(answered / max(len(truth), 1), wrong / answered, -threshold)


def judge(probabilities: NDArray[np.floating[Any]], truth: Labels) -> tuple[Floats, NDArray[np.bool_]]:
    """The confidence in each answer, and whether it is right; of equal probabilities the first class is the answer."""
    return np.asarray(probabilities.max(axis=1), np.float64), probabilities.argmax(axis=1) == truth


def threshold_for(probabilities: NDArray[np.floating[Any]], truth: Labels, max_error: float) -> float | None:
    """The smallest confidence that occurs and keeps the share of wrong answers among those of at least that confidence at `max_error`.

    Utterances of equal confidence are answered together or not at all. None where there is no such confidence, and where it would leave
    fewer than `least_answers`. Confidences below all that occur are refused too: nothing is known of them.

    >>> rows = np.linspace(0.99, 0.51, 40)
    >>> threshold_for(np.stack([rows, 1 - rows], axis=1), np.array([0] * 20 + [1] * 20), max_error=0.2).__round__(3)
    0.695
    """
    curve = risk_coverage(probabilities, truth)
    enough = np.rint(curve.coverage * len(truth)) >= least_answers(max_error)
    kept = enough & (curve.risk <= max_error)
    return float(curve.threshold[kept][-1]) if kept.any() else None


def least_answers(max_error: float) -> int:
    """Answers without a single error that it takes before an error of `max_error` is unlikely (5 %): the rule of three.

    >>> least_answers(0.2), least_answers(0.05)
    (15, 60)
    """
    return math.ceil(round(3 / max_error, 6))


class Quality(Config):
    """Of probabilities."""

    model_config = ConfigDict(strict=True)

    ece: float
    brier: float
    log_loss: float
    aurc: float


class Effect(Config):
    """What a calibration does on a split."""

    model_config = ConfigDict(strict=True)

    before: Quality
    after: Quality | None
    n: int
    coverage: float | None = Field(ge=0, le=1)
    error: float | None = Field(ge=0, le=1)


class Stored(Calibration):
    """The content of calibration.json, but for its digest."""

    model_config = ConfigDict(strict=True)

    weights: str | None = None
    """Digest of the weights whose probabilities these are."""
    fitted_on: Literal["val"] | None
    n: int
    bins: int
    val: Effect | None
    test: Effect

    @model_validator(mode="after")
    def agrees_with_itself(self) -> Self:
        if (self.val is None) != (self.fitted_on is None) or (self.val is None and (self.temperature, self.threshold) != (None, None)):
            raise ValueError("what was fitted, and what on, contradict each other")
        for effect in (self.test, self.val or self.test):
            if (effect.after is None) != (self.temperature is None) or (effect.coverage is None) != (self.threshold is None):
                raise ValueError("what was fitted, and what it does, contradict each other")
        if self.reason is None and None in (self.temperature, self.threshold):
            raise ValueError("no reason for what is missing")
        return self


def calibrate(val: Judged | None, test: Judged, config: CalibrationConfig, weights: str | None = None) -> dict[str, Any]:
    """Fit temperature and threshold on val, and say what both do on val and test. Strict JSON; the content of calibration.json.

    Args:
        val: None where no speaker was left for it: then nothing is fitted, and `reason` says so.
        weights: digest of the weights that gave these probabilities.
    """
    fitted = fit(val, config)
    return {
        **fitted.model_dump(mode="json"),
        "weights": weights,
        "fitted_on": None if val is None else "val",
        "n": 0 if val is None else len(val.truth),
        "bins": config.bins,
        "val": None if val is None else effect(fitted, val, config.bins),
        "test": effect(fitted, test, config.bins),
    }


def fit(val: Judged | None, config: CalibrationConfig) -> Calibration:
    if val is None:
        return Calibration(temperature=None, threshold=None, max_error=config.max_error, reason=NO_VAL)
    temperature, left = judged_temperature(val)
    threshold = threshold_for(apply_temperature(val.probabilities, temperature), val.truth, config.max_error)
    least, share = least_answers(config.max_error), f"{100 * config.max_error:g} %"
    reason = None if threshold is not None else f"on val no confidence leaves {least} answers or more with at most {share} of them wrong"
    return Calibration(temperature=temperature, temperature_reason=left, threshold=threshold, max_error=config.max_error, reason=reason)


def judged_temperature(val: Judged) -> tuple[float, str | None]:
    """The fitted temperature; or 1, and why: where val does not determine one, the fit would give an end of its range."""
    if judge(val.probabilities, val.truth)[1].all():
        return 1.0, NONE_WRONG
    temperature = fit_temperature(val.probabilities, val.truth)
    fitted, *bounds = (log_loss(apply_temperature(val.probabilities, of), val.truth) for of in (temperature, LOWEST, HIGHEST))
    return (1.0, AT_BOUND) if min(bounds) < fitted + NO_BETTER else (temperature, None)


def effect(calibration: Calibration, on: Judged, bins: int) -> dict[str, Any]:
    """Quality of the probabilities before and after; which share is answered, and which share of the answers is wrong."""
    calibrated = calibration.apply(on.probabilities)
    result: dict[str, Any] = {
        "before": quality(on.probabilities, on.truth, bins),
        "after": None if calibration.temperature is None else quality(calibrated, on.truth, bins),
        "n": len(on.truth),
        "coverage": None,
        "error": None,
    }
    if calibration.threshold is not None:
        answered = calibration.answered(on.probabilities)
        wrong = on.probabilities.argmax(axis=1) != on.truth
        result |= {"coverage": float(answered.mean()), "error": float(wrong[answered].mean()) if answered.any() else None}
    return result


def quality(probabilities: NDArray[np.floating[Any]], truth: Labels, bins: int) -> dict[str, float]:
    return {
        "ece": expected_calibration_error(probabilities, truth, bins),
        "brier": brier_score(probabilities, truth),
        "log_loss": log_loss(probabilities, truth),
        "aurc": risk_coverage(probabilities, truth).area,
    }


def write_calibration(path: Path, content: dict[str, Any]) -> None:
    """Atomic; what `calibrate` returns, with a digest beside it."""
    write_json(path, {**content, "digest": digest_json(content)})


def read_calibration(path: Path, weights: str | None = None) -> Calibration:
    """
    Args:
        weights: digest of the weights that it is meant for, as in test_metrics.json and as `checkpoint.digest` gives it; None asks nothing.

    Raises:
        ArtefactError: there is none, it is damaged, or it is of other weights.
    """
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist: the run was not calibrated") from None
    if not isinstance(content, dict) or content.pop("digest", None) != digest_json(content):
        raise ArtefactError(f"{path} is damaged: its digest does not fit")
    try:
        stored = Stored.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ArtefactError(f"{path} holds no calibration of this program ({where}{': ' if where else ''}{first['msg']})") from None
    if weights not in (None, stored.weights):
        raise ArtefactError(f"{path} is of other weights, so it says nothing of these: take the file that the same training wrote")
    return Calibration.model_validate({name: getattr(stored, name) for name in Calibration.model_fields})


def calibration_of(path: Path, weights: str) -> Calibration:
    """Of a run, wherever its model answers: what stands in its calibration.json. One that was not calibrated answers always, and a
    warning says so.

    Raises:
        ArtefactError: it is damaged, or of another model than the one with these weights.
    """
    if path.exists():
        return read_calibration(path, weights)
    log.warning("%s does not exist: probabilities are the model's own, and no answer is unknown", path)
    return Calibration(temperature=None, threshold=None, max_error=0.5, reason="the run was not calibrated")
