"""Fit of temperature and threshold on val, and their effect on val and test. Nothing is fitted on test.

A single temperature corrects most of a network's miscalibration (Guo et al. 2017) without changing answers. It is left at 1 if val does not
determine it, because no answer there is wrong or because the optimum is at a bound of the search.
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
"""Lowest temperature. If every answer is right, the optimum would be 0."""
HIGHEST = 20.0
"""Highest temperature. If the probabilities are not informative, the optimum would be infinite."""

NO_BETTER = 1e-9
"""Difference in log loss, in nats, that counts as equal. Near a bound the loss may be so flat that the search ends far from it."""

NO_VAL = "no speaker was left for validation, and nothing is fitted on test"
NONE_WRONG = "no answer on val is wrong, so val does not say how sure is too sure"
AT_BOUND = "for val no temperature is better than one at a bound, so val does not determine it"


def fit_temperature(probabilities: FloatArray, truth: Labels) -> float:
    """Find the temperature T from `LOWEST` to `HIGHEST` with the lowest log loss of softmax(log p / T), by a search over log T.

    The loss is convex in 1 / T, so there is one minimum. The result is 1 if no other temperature is better.

    Raises:
        ValueError: there are no utterances.

    >>> sure_but_wrong_every_fourth_time = np.array([[0.99, 0.01]] * 4)
    >>> temperature = fit_temperature(sure_but_wrong_every_fourth_time, np.array([0, 0, 0, 1]))
    >>> apply_temperature(np.array([0.99, 0.01]), temperature).round(3)
    array([0.75, 0.25])
    """
    from scipy.optimize import minimize_scalar  # imported late, because it is slow and not necessary to apply a temperature

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
    """The lowest observed confidence such that at most `max_error` of the answers with at least this confidence are wrong.

    Utterances with equal confidence are all answered or all not answered. None if there is no such confidence, or if fewer than
    `least_answers` would be left. The threshold is never below the lowest observed confidence.

    >>> rows = np.linspace(0.99, 0.51, 40)
    >>> threshold_for(np.stack([rows, 1 - rows], axis=1), np.array([0] * 20 + [1] * 20), max_error=0.2).__round__(3)
    0.695
    """
    curve = risk_coverage(probabilities, truth)
    enough = np.rint(curve.coverage * len(truth)) >= least_answers(max_error)
    kept = enough & (curve.risk <= max_error)
    return float(curve.threshold[kept][-1]) if kept.any() else None


def least_answers(max_error: float) -> int:
    """Number of answers without an error after which an error rate of `max_error` is unlikely (5 %), by the rule of three.

    >>> least_answers(0.2), least_answers(0.05)
    (15, 60)
    """
    return math.ceil(round(3 / max_error, 6))


def calibrate(val: Judged | None, test: Judged, config: CalibrationConfig, weights: str | None = None) -> StoredCalibration:
    """Fit temperature and threshold on val and measure their effect on val and test; return the content of calibration.json.

    Args:
        val: predictions on val; None without a validation set, then nothing is fitted and `reason` states it.
        test: predictions on test.
        weights: digest of the weights that the probabilities were computed with.
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
    """The fitted temperature and None; or 1 and the reason if val does not determine a temperature."""
    if judge(val.probabilities, val.truth)[1].all():
        return 1.0, NONE_WRONG
    temperature = fit_temperature(val.probabilities, val.truth)
    fitted, *bounds = (log_loss(apply_temperature(val.probabilities, value), val.truth) for value in (temperature, LOWEST, HIGHEST))
    return (1.0, AT_BOUND) if min(bounds) < fitted + NO_BETTER else (temperature, None)


def effect(calibration: Calibration, table: Judged, bins: int) -> Effect:
    """Quality of the probabilities before and after calibration, the share of utterances answered, and the share of wrong answers."""
    before = quality(table.probabilities, table.truth, bins)
    after = None if calibration.temperature is None else quality(calibration.apply(table.probabilities), table.truth, bins)
    coverage, error = (None, None) if calibration.threshold is None else answer_rates(calibration, table)
    return Effect(before=before, after=after, n=len(table.truth), coverage=coverage, error=error)


def answer_rates(calibration: Calibration, table: Judged) -> tuple[float, float | None]:
    """(share of utterances with an answer, share of wrong answers or None if nothing is answered)."""
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
