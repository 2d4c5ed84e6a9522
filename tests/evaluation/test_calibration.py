"""Calibration: numbers done by hand, what temperature and threshold promise on any data, agreement with scikit-learn."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as reference_log_loss

from ser.config import CalibrationConfig
from ser.errors import ArtefactError
from ser.evaluation.calibration import (
    Calibration,
    StoredCalibration,
    apply_temperature,
    read_calibration,
    write_calibration,
    write_with_digest,
)
from ser.evaluation.calibration_fit import (
    AT_BOUND,
    HIGHEST,
    LOWEST,
    NO_VAL,
    NONE_WRONG,
    calibrate,
    fit_temperature,
    least_answers,
    threshold_for,
)
from ser.evaluation.confidence import brier_score, expected_calibration_error, log_loss, reliability, risk_coverage

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

CLASSES = 4


@dataclass(frozen=True)
class Table:
    """What `calibrate` needs of a table of predictions."""

    probabilities: Floats
    truth: Labels


@st.composite
def tables(draw: st.DrawFn, least: int = 1) -> Table:
    """Up to 60 utterances, some probabilities 0, some equal to others."""
    n = draw(st.integers(least, 60))
    grid = draw(arrays(np.int64, (n, CLASSES), elements=st.integers(0, 12)))
    grid[:, 0] += grid.sum(axis=1) == 0
    truth = draw(arrays(np.int64, n, elements=st.integers(0, CLASSES - 1)))
    return Table(grid / grid.sum(axis=1, keepdims=True), truth)


def sampled(n: int, temperature: float, seed: int = 0) -> Table:
    """Truths drawn from probabilities that are then sharpened: with this temperature they are what they were."""
    generator = np.random.default_rng(seed)
    honest = generator.dirichlet(np.ones(CLASSES), n)
    truth = np.array([generator.choice(CLASSES, p=row) for row in honest], np.int64)
    return Table(apply_temperature(honest, 1 / temperature), truth)


def two_classes(*confidences: float) -> Floats:
    return np.stack([np.array(confidences), 1 - np.array(confidences)], axis=1)


def zeros(n: int) -> Labels:
    return np.zeros(n, np.int64)


# -- temperature ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("probabilities", "temperature", "expected"),
    [
        ([0.8, 0.2], 1.0, [0.8, 0.2]),
        ([0.8, 0.2], 0.5, [16 / 17, 1 / 17]),
        ([0.9, 0.1], 2.0, [0.75, 0.25]),
        ([0.25] * 4, 3.0, [0.25] * 4),
        ([1.0, 0.0], 2.0, [1 / (1 + 1e-6), 1e-6 / (1 + 1e-6)]),
        ([0.5, 0.5, 0.0], 4.0, [1 / (2 + 2e-12**0.25)] * 2 + [2e-12**0.25 / (2 + 2e-12**0.25)]),
    ],
)
def test_a_temperature_by_hand(probabilities: list[float], temperature: float, expected: list[float]) -> None:
    np.testing.assert_allclose(apply_temperature(np.array(probabilities), temperature), expected, rtol=1e-9)


def test_a_temperature_is_a_division_of_the_logits() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (20, CLASSES))
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    cooler = np.exp(logits / 1.7) / np.exp(logits / 1.7).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(apply_temperature(softmax, 1.7), cooler, rtol=1e-9)


@given(table=tables(), temperature=st.floats(LOWEST, HIGHEST))
@settings(max_examples=60, deadline=None)
def test_a_temperature_changes_no_answer_and_keeps_the_sum(table: Table, temperature: float) -> None:
    calibrated = apply_temperature(table.probabilities, temperature)
    np.testing.assert_allclose(calibrated.sum(axis=1), 1)
    assert np.isfinite(calibrated).all()
    answers = table.probabilities.argmax(axis=1)
    assert (calibrated[np.arange(len(answers)), answers] == calibrated.max(axis=1)).all()


@given(table=tables())
@settings(max_examples=60, deadline=None)
def test_the_fitted_temperature_never_raises_the_loss_it_was_fitted_on(table: Table) -> None:
    temperature = fit_temperature(table.probabilities, table.truth)
    assert LOWEST <= temperature <= HIGHEST
    assert log_loss(apply_temperature(table.probabilities, temperature), table.truth) <= log_loss(table.probabilities, table.truth)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.8, 4.0])
def test_the_temperature_that_sharpened_the_probabilities_is_found(temperature: float) -> None:
    table = sampled(20_000, temperature)
    assert fit_temperature(table.probabilities, table.truth) == pytest.approx(temperature, rel=0.05)


def test_no_other_temperature_has_a_lower_loss() -> None:
    table = sampled(300, 2.5)
    best = log_loss(apply_temperature(table.probabilities, fit_temperature(table.probabilities, table.truth)), table.truth)
    others = np.exp(np.linspace(math.log(LOWEST), math.log(HIGHEST), 400))
    assert best <= min(log_loss(apply_temperature(table.probabilities, t), table.truth) for t in others) + 1e-9


@pytest.mark.parametrize(
    ("probabilities", "truth", "expected"),
    [
        (two_classes(0.9, 0.8), [0, 0], LOWEST),
        (two_classes(0.9, 0.8), [1, 1], HIGHEST),
        (two_classes(0.5, 0.5), [0, 1], 1.0),
        (two_classes(1.0, 1.0), [0, 0], 1.0),
    ],
)
def test_where_the_best_temperature_would_be_0_or_infinite_or_any_it_is_bounded(
    probabilities: Floats, truth: list[int], expected: float
) -> None:
    assert fit_temperature(probabilities, np.array(truth)) == pytest.approx(expected, rel=1e-3)


def test_no_utterances_fit_no_temperature() -> None:
    with pytest.raises(ValueError, match="no utterances"):
        fit_temperature(np.zeros((0, 3)), zeros(0))


# -- scores of probabilities -----------------------------------------------------


@given(table=tables())
@settings(max_examples=40, deadline=None)
def test_brier_score_and_log_loss_agree_with_scikit_learn(table: Table) -> None:
    brier = brier_score_loss(table.truth, table.probabilities, labels=range(CLASSES), scale_by_half=False)
    assert brier_score(table.probabilities, table.truth) == pytest.approx(brier)
    safe = (table.probabilities + 1e-6) / (1 + CLASSES * 1e-6)
    assert log_loss(safe, table.truth) == pytest.approx(reference_log_loss(table.truth, safe, labels=range(CLASSES)))


def test_brier_score_is_twice_what_scikit_learn_says_of_two_classes_by_default() -> None:
    """Brier's own definition adds up over the classes; scikit-learn halves it where there are two."""
    probabilities, truth = two_classes(0.9, 0.6), np.array([0, 1])
    assert brier_score(probabilities, truth) == pytest.approx(2 * brier_score_loss(1 - truth, probabilities[:, 0]))


def test_the_log_loss_of_an_excluded_truth_is_finite() -> None:
    assert log_loss(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(12 * math.log(10))


def test_scores_of_nothing_are_not_defined() -> None:
    nothing, none = np.zeros((0, 3)), zeros(0)
    scores = [log_loss(nothing, none), brier_score(nothing, none), expected_calibration_error(nothing, none)]
    assert np.isnan([*scores, risk_coverage(nothing, none).area]).all()


# -- reliability -----------------------------------------------------------------


def test_bins_by_hand() -> None:
    found = reliability(two_classes(0.5, 0.6, 0.9, 1.0), np.array([0, 1, 0, 0]), bins=5)
    np.testing.assert_allclose(found.edges, [0, 0.2, 0.4, 0.6, 0.8, 1])
    assert found.count.tolist() == [0, 0, 2, 0, 2]
    np.testing.assert_allclose(found.confidence, [np.nan, np.nan, 0.55, np.nan, 0.95])
    np.testing.assert_allclose(found.accuracy, [np.nan, np.nan, 0.5, np.nan, 1.0])
    assert found.error == pytest.approx((2 * 0.05 + 2 * 0.05) / 4)


@pytest.mark.parametrize(("confidence", "right", "expected"), [(1.0, True, 0.0), (1.0, False, 1.0), (0.75, True, 0.25)])
def test_calibration_error_by_hand(confidence: float, right: bool, expected: float) -> None:
    probabilities = two_classes(*[confidence] * 3)
    assert expected_calibration_error(probabilities, zeros(3) + (not right)) == pytest.approx(expected)


@given(table=tables(), bins=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_every_utterance_is_in_one_bin_and_the_error_is_a_share(table: Table, bins: int) -> None:
    found = reliability(table.probabilities, table.truth, bins)
    assert found.count.sum() == len(table.truth)
    filled = found.count > 0
    assert (np.isnan(found.accuracy) == ~filled).all()
    middle = found.confidence[filled]
    assert (found.edges[:-1][filled] - 1e-12 <= middle).all()
    assert (middle <= found.edges[1:][filled] + 1e-12).all()
    assert 0 <= found.error <= 1
    accuracy = float((found.accuracy[filled] * found.count[filled]).sum() / len(table.truth))
    assert accuracy == pytest.approx(float((table.probabilities.argmax(axis=1) == table.truth).mean()))


def test_calibration_lowers_the_calibration_error_of_a_network_that_is_too_sure() -> None:
    table = sampled(5000, 3.0)
    calibrated = apply_temperature(table.probabilities, fit_temperature(table.probabilities, table.truth))
    assert expected_calibration_error(table.probabilities, table.truth) > 0.15
    assert expected_calibration_error(calibrated, table.truth) < 0.03


# -- risk and coverage -----------------------------------------------------------


def test_risk_and_coverage_by_hand() -> None:
    curve = risk_coverage(two_classes(0.9, 0.7, 0.7, 0.6), np.array([0, 1, 0, 1]))
    np.testing.assert_allclose(curve.threshold, [0.9, 0.7, 0.6])
    np.testing.assert_allclose(curve.coverage, [0.25, 0.75, 1])
    np.testing.assert_allclose(curve.risk, [0, 1 / 3, 0.5])
    assert curve.area == pytest.approx(0.25 * 0 + 0.5 / 3 + 0.25 / 2)


@given(table=tables())
@settings(max_examples=60, deadline=None)
def test_the_curve_ends_at_full_coverage_and_the_error_rate(table: Table) -> None:
    curve = risk_coverage(table.probabilities, table.truth)
    assert curve.coverage[-1] == 1
    assert curve.risk[-1] == pytest.approx(float((table.probabilities.argmax(axis=1) != table.truth).mean()))
    assert (np.diff(curve.coverage) > 0).all()
    assert (np.diff(curve.threshold) < 0).all()
    assert 0 <= curve.area <= 1


def test_without_ties_the_area_is_the_mean_of_the_risks() -> None:
    table = sampled(50, 1.0)
    right = table.probabilities.argmax(axis=1) == table.truth
    order = np.argsort(-table.probabilities.max(axis=1))
    risks = np.cumsum(~right[order]) / np.arange(1, 51)
    assert risk_coverage(table.probabilities, table.truth).area == pytest.approx(risks.mean())


# -- the threshold for unknown ---------------------------------------------------

MANY = np.linspace(0.99, 0.51, 49)  # 0.99, 0.98 ... 0.51


@pytest.mark.parametrize(
    ("confidences", "wrong", "max_error", "expected"),
    [
        (MANY, [], 0.2, 0.51),  # everything is answered
        (MANY, range(20, 49), 0.2, 0.75),  # 20 right, then 5 wrong: 0.99 to 0.75
        (MANY, range(20, 49), 0.01, None),  # 300 answers are not there
        (MANY, range(49), 0.2, None),  # nothing is right
        (MANY, [0, 1, 2], 0.2, 0.51),  # the surest are wrong, and still
        (MANY[:14], [], 0.2, None),  # fewer than 15 prove nothing
        (MANY[:15], [], 0.2, MANY[14]),
        ([0.8] * 20, range(4), 0.2, 0.8),  # one confidence for all: all or none
        ([0.8] * 20, range(5), 0.2, None),
        ([0.9] * 15 + [0.8] * 10, range(15, 25), 0.2, 0.9),  # of the equals not some
    ],
)
def test_thresholds_by_hand(confidences: list[float], wrong: list[int], max_error: float, expected: float | None) -> None:
    truth = zeros(len(confidences))
    truth[list(wrong)] = 1
    found = threshold_for(two_classes(*confidences), truth, max_error)
    assert found == (None if expected is None else pytest.approx(expected))


@given(table=tables(), max_error=st.floats(0.05, 0.95))
@settings(max_examples=100, deadline=None)
def test_the_threshold_keeps_val_at_the_error_and_no_smaller_one_does(table: Table, max_error: float) -> None:
    threshold = threshold_for(table.probabilities, table.truth, max_error)
    confidence, right = table.probabilities.max(axis=1), table.probabilities.argmax(axis=1) == table.truth
    allowed = [
        t for t in confidence if (confidence >= t).sum() >= least_answers(max_error) and (~right[confidence >= t]).mean() <= max_error
    ]
    assert threshold == (min(allowed) if allowed else None)


# -- what a run keeps ------------------------------------------------------------


def test_calibrate_fits_on_val_and_measures_on_both() -> None:
    val, test = sampled(800, 2.0, seed=1), sampled(600, 2.0, seed=2)
    found = calibrate(val, test, CalibrationConfig(max_error=0.3, bins=10))
    content = found.model_dump(mode="json")
    assert found.temperature == fit_temperature(val.probabilities, val.truth)
    assert {key: content[key] for key in ("max_error", "fitted_on", "n", "reason", "temperature_reason", "bins", "weights")} == {
        "max_error": 0.3,
        "fitted_on": "val",
        "n": 800,
        "reason": None,
        "temperature_reason": None,
        "bins": 10,
        "weights": None,
    }
    assert found.val is not None
    assert found.temperature is not None
    for part, table in ((found.val, val), (found.test, test)):
        assert part.n == len(table.truth)
        assert part.after is not None
        assert part.before.model_dump().keys() == {"ece", "brier", "log_loss", "aurc"}
        assert part.before.brier == brier_score(table.probabilities, table.truth)
        assert part.after.log_loss < part.before.log_loss
        assert part.after.ece < part.before.ece
        calibrated = apply_temperature(table.probabilities, found.temperature)
        answered = calibrated.max(axis=1) >= found.threshold
        assert part.coverage == answered.mean()
        assert part.error == (calibrated.argmax(axis=1) != table.truth)[answered].mean()
    assert found.val.error is not None
    assert found.val.error <= 0.3
    json.dumps(content, allow_nan=False)


def test_without_val_nothing_is_fitted_and_the_reason_says_so() -> None:
    test = sampled(50, 2.0)
    found = calibrate(None, test, CalibrationConfig())
    assert (found.temperature, found.threshold, found.fitted_on, found.n, found.val) == (None, None, None, 0, None)
    assert found.reason == NO_VAL
    assert found.test.before.ece == expected_calibration_error(test.probabilities, test.truth)
    assert (found.test.after, found.test.coverage, found.test.error) == (None, None, None)


@pytest.mark.parametrize(
    ("val", "reason"),
    [
        (Table(np.tile([0.4, 0.3, 0.3], (20, 1)), zeros(20)), NONE_WRONG),
        (Table(two_classes(*[1.0] * 20), zeros(20)), NONE_WRONG),
        (Table(two_classes(0.5, 0.5, 0.9), np.array([0, 1, 0])), AT_BOUND),  # of two equals one is wrong, however sure
        (Table(two_classes(0.9, 0.8), np.array([1, 1])), AT_BOUND),
    ],
)
def test_a_temperature_that_val_does_not_determine_stays_at_1_and_the_reason_says_so(val: Table, reason: str) -> None:
    found = calibrate(val, val, CalibrationConfig())
    assert (found.temperature, found.temperature_reason) == (1, reason)
    assert found.test.after == found.test.before


def test_where_no_answer_on_val_is_wrong_confidences_stay_and_the_threshold_is_chosen_all_the_same() -> None:
    sure = Table(np.tile([0.4, 0.3, 0.3], (20, 1)), zeros(20))
    assert apply_temperature(np.array([0.36, 0.32, 0.32]), fit_temperature(sure.probabilities, sure.truth))[0] > 0.8
    found = calibrate(sure, sure, CalibrationConfig())
    assert (found.threshold, found.reason) == (0.4, None)
    assert found.val is not None
    assert found.val.coverage == 1.0


def test_an_error_that_no_threshold_keeps_to_is_said() -> None:
    chance = Table(np.full((40, 2), 0.5), np.arange(40) % 2)
    found = calibrate(chance, chance, CalibrationConfig(max_error=0.2))
    assert found.temperature == 1
    assert found.threshold is None
    assert found.reason == "on val no confidence leaves 15 answers or more with at most 20 % of them wrong"
    assert found.test.coverage is None


def test_nothing_answered_on_test_has_no_error() -> None:
    sure, unsure = Table(two_classes(*[0.9] * 20), zeros(20)), Table(two_classes(*[0.6] * 20), zeros(20))
    found = calibrate(sure, unsure, CalibrationConfig())
    assert (found.test.coverage, found.test.error) == (0.0, None)


def calibration(**values: Any) -> Calibration:
    return Calibration(**{"temperature": 2.0, "threshold": 0.6, "max_error": 0.2, "reason": None, **values})


@pytest.mark.parametrize(
    ("values", "probabilities", "expected"),
    [
        ({}, [0.1, 0.9], 1),
        ({}, [0.6, 0.4], None),
        ({"temperature": None}, [0.6, 0.4], 0),
        ({"threshold": None}, [0.6, 0.4], 0),
        ({"temperature": 1.0, "threshold": 0.5}, [0.5, 0.5], 0),
    ],
)
def test_answers(values: dict[str, Any], probabilities: list[float], expected: int | None) -> None:
    found = calibration(**values)
    assert found.answer(np.array(probabilities)) == expected
    assert found.answered(np.array([probabilities] * 2)).tolist() == [expected is not None] * 2


def test_no_temperature_leaves_the_probabilities_as_they_are() -> None:
    probabilities = np.array([[1.0, 0.0], [0.3, 0.7]])
    np.testing.assert_array_equal(calibration(temperature=None).apply(probabilities), probabilities)


WEIGHTS = "0" * 64


def fitted_on(val: Table | None, test: Table | None = None) -> StoredCalibration:
    return calibrate(val, test or sampled(300, 2.0), CalibrationConfig(), WEIGHTS)


@pytest.mark.parametrize("asked", [None, WEIGHTS])
def test_what_was_written_is_read_back(tmp_path: Path, asked: str | None) -> None:
    val = sampled(300, 2.0)
    written = fitted_on(val)
    write_calibration(tmp_path / "calibration.json", written)
    found = read_calibration(tmp_path / "calibration.json", asked)
    assert found == calibration(**{name: getattr(written, name) for name in Calibration.model_fields})
    assert written.val is not None
    assert found.answered(val.probabilities).mean() == written.val.coverage


CHANCE = Table(np.full((40, 2), 0.5), np.arange(40) % 2)


@pytest.mark.parametrize("val", [None, sampled(40, 2.0), CHANCE, Table(two_classes(*[0.9] * 20), zeros(20))])
def test_whatever_was_fitted_can_be_read(tmp_path: Path, val: Table | None) -> None:
    written = fitted_on(val, CHANCE)
    write_calibration(tmp_path / "calibration.json", written)
    assert read_calibration(tmp_path / "calibration.json") == written.calibration


@pytest.mark.parametrize("weights", ["1" * 64, None])
def test_the_calibration_of_other_weights_is_refused(tmp_path: Path, weights: str | None) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(path, fitted_on(sampled(300, 2.0)).model_copy(update={"weights": weights}))
    assert read_calibration(path).temperature
    with pytest.raises(ArtefactError, match="belongs to other weights"):
        read_calibration(path, WEIGHTS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "does not exist"),
        ("{", "corrupted"),
        ("[]", "corrupted"),
        ('{"temperature": 1.0}', r"\(checksum mismatch\)"),
        ('{"temperature": NaN}', "corrupted"),
        ('{"temperature": 1.0, "max_error": Infinity}', "corrupted"),
        ('{"temperature": 1e999}', "corrupted"),
        ("[" * 200_000, "corrupted"),
    ],
)
def test_a_damaged_calibration_is_one_line(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "calibration.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ArtefactError, match=said) as error:
        read_calibration(path)
    assert str(path) in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_flipped_digit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    write_with_digest(path, calibration().model_dump())
    path.write_text(path.read_text().replace("0.6", "0.7"))
    with pytest.raises(ArtefactError, match="checksum mismatch"):
        read_calibration(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content.pop("test"), "test: Field required"),
        (lambda content: content.update(test=None), "test: "),
        (lambda content: content.update(temperature=-1.0), "temperature: "),
        (lambda content: content.update(temperature="1.0"), "temperature: "),
        (lambda content: content.update(threshold=1.5), "threshold: "),
        (lambda content: content.update(more=1), "more: "),
        (lambda content: content.update(weights=1), "weights: "),
        (lambda content: content["test"].pop("n"), "test.n: "),
        (lambda content: content["test"].update(after=None), "contradict"),
        (lambda content: content["test"].update(coverage=None), "contradict"),
        (lambda content: content["test"]["before"].update(ece="0.1"), "test.before.ece: "),
        (lambda content: content["val"]["after"].update(ece=None), "val.after.ece: "),
        (lambda content: content["val"].update(after=None), "contradict"),
        (lambda content: content.update(val=None), "contradict"),
        (lambda content: content.update(val=None, fitted_on=None), "contradict"),
        (lambda content: content.update(threshold=None), "contradict"),
        (
            lambda content: [content.update(threshold=None), *(content[split].update(coverage=None) for split in ("val", "test"))],
            "no reason",
        ),
    ],
)
def test_a_calibration_of_other_content_is_one_line(tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str) -> None:
    """Though its digest fits."""
    path, content = tmp_path / "calibration.json", fitted_on(sampled(300, 2.0)).model_dump(mode="json")
    change(content)
    write_with_digest(path, content)
    with pytest.raises(ArtefactError, match=f"not a calibration of this program .*{said}") as error:
        read_calibration(path)
    assert len(str(error.value).splitlines()) == 1
