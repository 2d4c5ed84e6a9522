"""Temperature and threshold, fitted on val, and what both do on val and test. Nothing here is fitted on test.

One temperature mends most of what a network lacks in calibration (Guo et al. 2017) and changes no answer. Where val does not determine it,
because no answer there is wrong or because none is better than one at a bound, it stays at 1: what would be fitted then is the bound.
"""

import math

import numpy as np

from ser.config import CalibrationConfig
from ser.evaluation.calibration import Calibration, Effect, Quality, StoredCalibration, apply_temperature, scaled_logs
from ser.evaluation.confidence import (
    Judged,
    Labels,
    brier_score,
    expected_calibration_error,
    judge,
    log_loss,
    risk_coverage,
)
from ser.evaluation.metrics import FloatArray

LOWEST = 0.05
"""Of a temperature. Where every answer is right, the best one would be 0."""
HIGHEST = 20.0
"""Of a temperature. Where the probabilities say nothing, the best one would be infinite."""

NO_BETTER = 1e-9
"""Nats of log loss. Towards a bound the loss may be so flat that the search ends far from it."""

NO_VAL = "no speaker was left for validation, and nothing is fitted on test"
NONE_WRONG = "no answer on val is wrong, so val does not say how sure is too sure"
AT_BOUND = "for val no temperature is better than one at a bound, so val does not determine it"


def fit_temperature(probabilities: FloatArray, truth: Labels) -> float:
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


def threshold_for(probabilities: FloatArray, truth: Labels, max_error: float) -> float | None:
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


def calibrate(val: Judged | None, test: Judged, config: CalibrationConfig, weights: str | None = None) -> StoredCalibration:
    """Fit temperature and threshold on val, and measure what both do on val and test: the content of calibration.json.

    Args:
        val: None where no speaker was left for it: then nothing is fitted, and `reason` says so.
        weights: digest of the weights that gave these probabilities.
    """
    fitted = fit(val, config)
    return StoredCalibration(
        **dict(fitted),
        weights=weights,
        fitted_on=None if val is None else "val",
        n=0 if val is None else len(val.truth),
        bins=config.bins,
        val=None if val is None else effect(fitted, val, config.bins),
        test=effect(fitted, test, config.bins),
    )


def fit(val: Judged | None, config: CalibrationConfig) -> Calibration:
    if val is None:
        return Calibration(temperature=None, threshold=None, max_error=config.max_error, reason=NO_VAL)
    temperature, left = temperature_or_one(val)
    threshold = threshold_for(apply_temperature(val.probabilities, temperature), val.truth, config.max_error)
    least, share = least_answers(config.max_error), f"{100 * config.max_error:g} %"
    reason = None if threshold is not None else f"on val no confidence leaves {least} answers or more with at most {share} of them wrong"
    return Calibration(temperature=temperature, temperature_reason=left, threshold=threshold, max_error=config.max_error, reason=reason)


def temperature_or_one(val: Judged) -> tuple[float, str | None]:
    """The fitted temperature; or 1, and why: where val does not determine one, the fit would give an end of its range."""
    if judge(val.probabilities, val.truth)[1].all():
        return 1.0, NONE_WRONG
    temperature = fit_temperature(val.probabilities, val.truth)
    fitted, *bounds = (log_loss(apply_temperature(val.probabilities, value), val.truth) for value in (temperature, LOWEST, HIGHEST))
    return (1.0, AT_BOUND) if min(bounds) < fitted + NO_BETTER else (temperature, None)


def effect(calibration: Calibration, table: Judged, bins: int) -> Effect:
    """Quality of the probabilities before and after; which share is answered, and which share of the answers is wrong."""
    before = quality(table.probabilities, table.truth, bins)
    after = None if calibration.temperature is None else quality(calibration.apply(table.probabilities), table.truth, bins)
    coverage, error = (None, None) if calibration.threshold is None else answer_rates(calibration, table)
    return Effect(before=before, after=after, n=len(table.truth), coverage=coverage, error=error)


def answer_rates(calibration: Calibration, table: Judged) -> tuple[float, float | None]:
    """The share of utterances that get an answer, and the share of the answers that are wrong; None where nothing is answered."""
    answered = calibration.answered(table.probabilities)
    wrong = table.probabilities.argmax(axis=1) != table.truth
    return float(answered.mean()), float(wrong[answered].mean()) if answered.any() else None


def quality(probabilities: FloatArray, truth: Labels, bins: int) -> Quality:
    return Quality(
        ece=expected_calibration_error(probabilities, truth, bins),
        brier=brier_score(probabilities, truth),
        log_loss=log_loss(probabilities, truth),
        aurc=risk_coverage(probabilities, truth).area,
    )
