"""Metrics: numbers done by hand, agreement with scikit-learn where the definitions agree, and the documented differences."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, precision_recall_fscore_support, recall_score
from sklearn.metrics import confusion_matrix as reference_confusion

from ser.evaluation.metrics import (
    METRICS,
    confusion_matrices,
    confusion_matrix,
    f1_scores,
    macro_f1,
    per_class,
    precisions,
    recalls,
    uar,
    wa,
)

CLASSES = 4
LABELS = st.integers(0, CLASSES - 1)
PAIRS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("truth", "prediction", "expected_uar", "expected_wa", "expected_f1"),
    [
        ([0, 0, 1, 1], [0, 0, 1, 1], 1.0, 1.0, 1.0),
        ([0, 0, 1, 1], [1, 1, 0, 0], 0.0, 0.0, 0.0),
        ([0, 0, 0, 1], [0, 0, 0, 0], 0.5, 0.75, (6 / 7 + 0) / 2),
        ([0, 0], [0, 1], 0.5, 0.5, (2 / 3 + 0) / 2),
        ([0, 0], [0, 0], 1.0, 1.0, 1.0),
        ([2], [1], 0.0, 0.0, 0.0),
    ],
)
def test_scores_done_by_hand(truth: list[int], prediction: list[int], expected_uar: float, expected_wa: float, expected_f1: float) -> None:
    matrix = confusion_matrix(truth, prediction, num_classes=3)
    assert uar(matrix) == pytest.approx(expected_uar)
    assert wa(matrix) == pytest.approx(expected_wa)
    assert macro_f1(matrix) == pytest.approx(expected_f1)


@given(pairs=PAIRS)
@settings(max_examples=40, deadline=None)
def test_every_score_agrees_with_scikit_learn_where_the_definitions_agree(pairs: list[tuple[int, int]]) -> None:
    truth, prediction = (list(side) for side in zip(*pairs, strict=True))
    matrix = confusion_matrix(truth, prediction, CLASSES)
    np.testing.assert_array_equal(matrix, reference_confusion(truth, prediction, labels=range(CLASSES)))
    assert wa(matrix) == pytest.approx(accuracy_score(truth, prediction))
    assert macro_f1(matrix) == pytest.approx(f1_score(truth, prediction, average="macro", zero_division=0))
    in_truth = sorted(set(truth))
    assert uar(matrix) == pytest.approx(recall_score(truth, prediction, labels=in_truth, average="macro", zero_division=0))
    scores = per_class(matrix)
    expected = precision_recall_fscore_support(truth, prediction, labels=range(CLASSES), zero_division=np.nan)
    for ours, reference in zip(scores[:2], expected[:2], strict=True):
        np.testing.assert_allclose(ours, reference)
    np.testing.assert_array_equal(scores.support, expected[3])


def test_uar_is_scikit_learns_balanced_accuracy_when_predictions_stay_within_the_truth() -> None:
    truth, prediction = [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 0, 2]
    assert uar(confusion_matrix(truth, prediction, 3)) == pytest.approx(balanced_accuracy_score(truth, prediction))


def test_uar_differs_from_scikit_learns_macro_recall_when_an_absent_class_is_predicted() -> None:
    truth, prediction = [0, 0], [0, 1]
    assert uar(confusion_matrix(truth, prediction, 2)) == 0.5
    assert recall_score(truth, prediction, average="macro", zero_division=0) == 0.25


def test_uar_agrees_with_balanced_accuracy_also_then() -> None:
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert balanced_accuracy_score([0, 0], [0, 1]) == uar(confusion_matrix([0, 0], [0, 1], 2)) == 0.5


def test_macro_f1_agrees_with_scikit_learns_when_an_absent_class_is_predicted() -> None:
    truth, prediction = [0, 0, 1], [0, 2, 1]
    assert macro_f1(confusion_matrix(truth, prediction, 3)) == pytest.approx(f1_score(truth, prediction, average="macro"))


def test_macro_f1_differs_from_scikit_learns_over_all_labels_when_a_class_is_in_neither() -> None:
    """Told of three labels, scikit-learn gives the one that nobody has a zero; here it is left out."""
    truth, prediction = [0, 0, 1], [0, 1, 1]
    ours = macro_f1(confusion_matrix(truth, prediction, 3))
    assert ours == pytest.approx(2 / 3)
    assert f1_score(truth, prediction, labels=[0, 1, 2], average="macro", zero_division=0) == pytest.approx(ours * 2 / 3)


def test_recall_of_an_absent_class_is_not_defined_here_and_zero_in_scikit_learn() -> None:
    truth, prediction = [0, 0], [0, 1]
    assert np.isnan(recalls(confusion_matrix(truth, prediction, 2))[1])
    assert recall_score(truth, prediction, labels=[1], average=None, zero_division=0) == [0.0]


def test_what_is_not_defined_is_nan() -> None:
    matrix = confusion_matrix([0, 0], [0, 0], num_classes=3)
    np.testing.assert_array_equal(recalls(matrix), [1.0, math.nan, math.nan])
    np.testing.assert_array_equal(precisions(matrix), [1.0, math.nan, math.nan])
    np.testing.assert_array_equal(f1_scores(matrix), [1.0, math.nan, math.nan])
    for metric in METRICS.values():
        assert np.isnan(metric(np.zeros((3, 3))))


def test_a_class_that_is_only_predicted_has_f1_zero() -> None:
    scores = per_class(confusion_matrix([0, 0], [0, 1], num_classes=2))
    assert scores.f1[1] == 0
    assert scores.precision[1] == 0
    assert np.isnan(scores.recall[1])


@pytest.mark.parametrize("name", METRICS)
def test_leading_axes_are_scored_as_if_alone(name: str) -> None:
    matrices = np.random.default_rng(0).integers(0, 5, size=(7, 2, CLASSES, CLASSES))
    matrices[0, 0] = 0
    metric = METRICS[name]
    together = metric(matrices)
    assert together.shape == (7, 2)
    for index in np.ndindex(7, 2):
        np.testing.assert_allclose(together[index], metric(matrices[index]))


def test_grouped_matrices_add_up_to_the_whole() -> None:
    generator = np.random.default_rng(1)
    truth, prediction, group = generator.integers(0, CLASSES, 100), generator.integers(0, CLASSES, 100), generator.integers(0, 5, 100)
    grouped = confusion_matrices(truth, prediction, group, num_groups=6, num_classes=CLASSES)
    np.testing.assert_array_equal(grouped.sum(axis=0), confusion_matrix(truth, prediction, CLASSES))
    np.testing.assert_array_equal(grouped[2], confusion_matrix(truth[group == 2], prediction[group == 2], CLASSES))
    assert grouped[5].sum() == 0


@pytest.mark.parametrize(("truth", "prediction"), [([0, 2], [0, 1]), ([0, -1], [0, 1]), ([0, 1, 1], [0, 1])])
def test_labels_outside_the_classes_and_unequal_lengths_are_refused(truth: list[int], prediction: list[int]) -> None:
    with pytest.raises(ValueError, match=r"invalid entry|broadcast|shape"):
        confusion_matrix(truth, prediction, num_classes=2)
