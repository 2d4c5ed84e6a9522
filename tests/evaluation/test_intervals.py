"""Intervals over speakers."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ser.evaluation.intervals import Score, difference_of, interval_of, jackknife, mean_of, no_interval, pooled, value_of
from ser.evaluation.metrics import METRICS, Counts, Floats, macro_f1, uar, wa


def speakers_with_accuracy(accuracies: list[float], clips: int = 20) -> Counts:
    """One 2 x 2 matrix for each speaker, as many clips of each class."""
    right = np.round(np.array(accuracies) * clips).astype(np.int64)
    return np.stack([np.stack([right, clips - right], axis=-1), np.stack([clips - right, right], axis=-1)], axis=-2)


VARIED = speakers_with_accuracy([0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])


def ends(score: Score, strata: list[str], difference: bool = False) -> tuple[float, float]:
    interval = interval_of(score, strata, difference=difference)
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


def mean_accuracy(values: Floats) -> Score:
    """Of speakers with equally many clips."""
    return lambda weights: weights @ values / weights.sum(axis=1)


@pytest.mark.parametrize("name", METRICS)
def test_the_interval_holds_the_score(name: str) -> None:
    low, high = ends(pooled(VARIED, METRICS[name]), ["crema"] * 7)
    assert 0 < low < float(METRICS[name](VARIED.sum(axis=0))) < high < 1


def test_the_interval_of_a_mean_is_the_textbook_one() -> None:
    """Left alone, without the logit scale, the jackknife of a mean is the standard error of the mean."""
    values = np.array([0.1, 0.4, 0.2, 0.8, 0.5, 0.3])
    expected = stats.t.interval(0.95, 5, values.mean(), stats.sem(values))
    assert ends(mean_accuracy(values), ["crema"] * 6, difference=True) == pytest.approx(expected)


def test_the_logit_scale_bends_the_interval_into_the_unit_range() -> None:
    values = np.array([0.95, 0.99, 0.6, 1.0, 0.97])
    straight = ends(mean_accuracy(values), ["crema"] * 5, difference=True)
    assert straight[1] > 1
    bent = ends(mean_accuracy(values), ["crema"] * 5)
    assert bent[1] < 1
    assert bent[0] < straight[0]


def test_the_interval_of_equal_speakers_is_one_point() -> None:
    assert ends(pooled(speakers_with_accuracy([0.75] * 9), wa), ["crema"] * 9) == pytest.approx((0.75, 0.75))


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_the_interval_of_a_score_at_the_edge_stays_there(accuracy: float) -> None:
    assert ends(pooled(speakers_with_accuracy([accuracy] * 6), wa), ["crema"] * 6) == (accuracy, accuracy)


@pytest.mark.parametrize(("speakers", "said"), [(0, "0 speakers"), (1, "1 speaker:"), (4, "4 speakers")])
def test_under_five_speakers_there_is_no_interval_but_a_reason(speakers: int, said: str) -> None:
    interval = interval_of(pooled(VARIED[:speakers], uar), ["savee"] * speakers)
    assert (interval.low, interval.high, interval.speakers) == (None, None, speakers)
    assert interval.reason is not None
    assert said in interval.reason


def test_a_score_that_needs_one_speaker_has_no_interval_but_a_reason() -> None:
    hears_one = np.concatenate([VARIED[:1], np.zeros_like(VARIED[1:])])
    interval = interval_of(pooled(hears_one, uar), ["crema"] * 7)
    assert (interval.low, interval.reason) == (None, "without some speaker there is no score")


def test_no_interval_says_why() -> None:
    assert (no_interval(9, "because").low, no_interval(9, "because").reason) == (None, "because")


def test_strata_take_the_differences_between_them_out_of_the_error() -> None:
    values = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    folds = mean_of([lambda weights: mean_accuracy(values[:3])(weights[:, :3]), lambda weights: mean_accuracy(values[3:])(weights[:, 3:])])
    error, degrees = jackknife(folds, ["1"] * 3 + ["2"] * 3)
    assert error == pytest.approx(np.hypot(stats.sem(values[:3]), stats.sem(values[3:])) / 2)
    assert degrees == pytest.approx(4)


def test_folds_of_a_single_speaker_are_exchanged_for_one_another() -> None:
    values = np.array([0.1, 0.4, 0.2, 0.8, 0.5])
    folds = mean_of([pooled(speakers_with_accuracy([value]), wa, [index]) for index, value in enumerate(values)])
    error, degrees = jackknife(folds, list("abcde"))
    assert (error, degrees) == pytest.approx((stats.sem(values), 4))


def test_a_mean_leaves_out_what_has_nothing_to_score() -> None:
    mean = mean_of([pooled(VARIED[:1], wa, [0]), pooled(VARIED[1:2], wa, [1])])
    np.testing.assert_allclose(mean(np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])), [0.35, 0.3, np.nan])
    assert np.isnan(value_of(mean_of([]), 3))


def test_a_difference_with_itself_is_nothing() -> None:
    one = pooled(VARIED, uar)
    assert ends(difference_of(one, one), ["crema"] * 7, difference=True) == (0, 0)


def test_one_clip_taken_for_a_class_that_the_truth_never_has_does_not_decide_about_the_interval() -> None:
    """Without its speaker macro-F1 would be a mean over two classes and not three."""
    strayed = np.pad(VARIED, ((0, 0), (0, 1), (0, 1)))
    strayed[3, 0, :] += [-1, 0, 1]
    narrow, wide = ends(pooled(VARIED, macro_f1), ["crema"] * 7), ends(pooled(strayed, macro_f1), ["crema"] * 7)
    assert value_of(pooled(strayed, macro_f1), 7) == float(macro_f1(strayed.sum(axis=0)))
    assert wide[1] - wide[0] < narrow[1] - narrow[0], "two thirds of it"


def test_a_class_of_a_single_speaker_leaves_the_mean_without_him() -> None:
    alone = np.pad(VARIED, ((0, 0), (0, 1), (0, 1)))
    alone[3, 2, :] = [1, 0, 9]
    without = pooled(alone, uar)(np.ones((1, 7)) - np.eye(7)[3])
    assert without.tolist() == pytest.approx([float(uar(np.delete(VARIED, 3, axis=0).sum(axis=0)))])


def simulated(generator: np.random.Generator, speakers: int) -> Counts:
    """Speakers with a recall of their own for each of two classes, beta(6, 4), and 6 to 30 clips of each."""
    clips, recall = generator.integers(6, 31, (speakers, 2)), generator.beta(6, 4, (speakers, 2))
    right = generator.binomial(clips, recall)
    wrong = clips - right
    return np.stack([right[:, 0], wrong[:, 0], wrong[:, 1], right[:, 1]], axis=-1).reshape(speakers, 2, 2)


def test_it_holds_the_truth_19_times_in_20_over_24_speakers() -> None:
    """400 simulations: 95 % of them is 380, with a standard deviation of 4.4. (benchmarks/interval_coverage.py has more.)"""
    generator = np.random.default_rng(1)
    found = [ends(pooled(simulated(generator, 24), uar), ["crema"] * 24) for _ in range(400)]
    held = sum(low <= 0.6 <= high for low, high in found)
    assert 380 - 4 * 4.4 <= held <= 380 + 4 * 4.4


def test_fewer_speakers_give_wider_intervals_on_average() -> None:
    generator = np.random.default_rng(2)
    widths = [
        np.mean([high - low for low, high in (ends(pooled(simulated(generator, n), wa), ["crema"] * n) for _ in range(30))])
        for n in (5, 10, 20, 40)
    ]
    assert widths == sorted(widths, reverse=True)


MATRICES = st.lists(st.lists(st.integers(0, 6), min_size=9, max_size=9).filter(any), min_size=5, max_size=12)


@given(cells=MATRICES, name=st.sampled_from(sorted(METRICS)), order=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_an_interval_lies_in_the_unit_range_around_the_score_whatever_the_order_of_speakers(
    cells: list[list[int]], name: str, order: Random
) -> None:
    matrices = np.array(cells, np.int64).reshape(-1, 3, 3)
    strata = ["crema"] * len(matrices)
    score = pooled(matrices, METRICS[name])
    low, high = ends(score, strata)
    assert 0 <= low <= value_of(score, len(strata)) + 1e-9
    assert value_of(score, len(strata)) - 1e-9 <= high <= 1
    shuffled = list(range(len(matrices)))
    order.shuffle(shuffled)
    assert ends(pooled(matrices[shuffled], METRICS[name]), strata) == pytest.approx((low, high))
    assert interval_of(score, strata) == interval_of(score, strata), "nothing is drawn"
