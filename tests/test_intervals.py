"""Intervals over speakers."""

import numpy as np
import pytest

from ser.intervals import bootstrap, bootstrap_mean, percentiles, resample
from ser.metrics import METRICS, Counts, uar, wa


def speakers_with_accuracy(accuracies: list[float], clips: int = 20) -> Counts:
    """One 2 x 2 matrix for each speaker, as many clips of each class."""
    right = np.round(np.array(accuracies) * clips).astype(np.int64)
    return np.stack([np.stack([right, clips - right], axis=-1), np.stack([clips - right, right], axis=-1)], axis=-2)


VARIED = speakers_with_accuracy([0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])


@pytest.mark.parametrize("name", METRICS)
def test_the_interval_holds_the_score(name: str) -> None:
    interval = bootstrap(VARIED, METRICS[name])
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low < float(METRICS[name](VARIED.sum(axis=0))) < interval.high
    assert (interval.speakers, interval.resamples, interval.level, interval.reason) == (7, 2000, 0.95, None)


def test_the_interval_of_equal_speakers_is_one_point() -> None:
    interval = bootstrap(speakers_with_accuracy([0.75] * 9), wa)
    assert (interval.low, interval.high) == (0.75, 0.75)


def test_the_width_is_that_of_the_normal_approximation() -> None:
    """With equal speakers' sizes the score is the mean of the speakers' accuracies: +- 1.96 standard deviations / sqrt(n)."""
    accuracies = np.random.default_rng(3).uniform(0.2, 0.9, size=60)
    interval = bootstrap(speakers_with_accuracy(list(accuracies), clips=1000), wa)
    assert interval.low is not None
    assert interval.high is not None
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * accuracies.std() / np.sqrt(60), rel=0.1)


def test_the_same_seed_gives_the_same_interval_and_another_another() -> None:
    assert bootstrap(VARIED, uar, seed=1) == bootstrap(VARIED, uar, seed=1)
    assert bootstrap(VARIED, uar, seed=1) != bootstrap(VARIED, uar, seed=2)


def test_resampling_keeps_the_number_of_speakers() -> None:
    drawn = resample(VARIED, np.random.default_rng(0), resamples=50)
    assert drawn.shape == (50, 2, 2)
    assert set(drawn.sum(axis=(1, 2))) == {float(VARIED.sum())}


def test_a_resample_without_some_class_is_scored_over_the_others() -> None:
    one_class_each = np.stack([np.diag([4, 0]), np.diag([0, 4])] * 3)
    interval = bootstrap(one_class_each, uar)
    assert (interval.low, interval.high) == (1.0, 1.0)


@pytest.mark.parametrize(("speakers", "said"), [(0, "0 speakers"), (1, "1 speaker:"), (4, "4 speakers")])
def test_under_five_speakers_there_is_no_interval_but_a_reason(speakers: int, said: str) -> None:
    interval = bootstrap(VARIED[:speakers], uar)
    assert (interval.low, interval.high, interval.speakers) == (None, None, speakers)
    assert interval.reason is not None
    assert said in interval.reason


def test_the_mean_over_corpora_is_narrower_than_one_corpus() -> None:
    one, mean = bootstrap(VARIED, uar), bootstrap_mean({"crema": VARIED, "ravdess": VARIED}, uar)
    assert one.low is not None
    assert mean.low is not None
    assert one.high is not None
    assert mean.high is not None
    assert mean.high - mean.low < one.high - one.low
    assert mean.speakers == 14


def test_the_mean_over_corpora_weighs_corpora_equally() -> None:
    small, large = speakers_with_accuracy([0.5] * 5, clips=2), speakers_with_accuracy([1.0] * 50, clips=200)
    mean = bootstrap_mean({"savee": small, "crema": large}, wa)
    assert (mean.low, mean.high) == (0.75, 0.75)


def test_the_mean_over_corpora_has_no_interval_when_a_corpus_has_too_few_speakers() -> None:
    interval = bootstrap_mean({"crema": VARIED, "tess": VARIED[:1], "savee": VARIED[:1]}, uar)
    assert (interval.low, interval.high, interval.speakers) == (None, None, 9)
    assert interval.reason == "fewer than 5 speakers: savee has 1, tess has 1"
    assert bootstrap_mean({}, uar).reason is not None


def test_percentiles_cut_two_and_a_half_percent_off_each_side() -> None:
    interval = percentiles(np.linspace(0, 1, 1001), speakers=8)
    assert interval.low == pytest.approx(0.025)
    assert interval.high == pytest.approx(0.975)
