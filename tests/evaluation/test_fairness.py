"""Scores of groups of speakers."""

import json

import numpy as np
import pytest
from scipy import stats

from ser.corpora.registry import CORPORA
from ser.evaluation.fairness import AGE_BANDS, GENDERS, age_band, gender_difference, measure_fairness
from ser.evaluation.predictions import Predictions
from ser.evaluation.scores import score

CLASSES = ("neutral", "sad")
WOMEN, MEN = ([f"crema/{name}" for name, speaker in CORPORA["crema"].speakers.items() if speaker.gender == gender] for gender in GENDERS)


def predictions_of(right: dict[str, int], clips: int = 10) -> Predictions:
    """As many utterances of each class from every speaker, of which so many are recognised."""
    truth = np.tile(np.repeat([0, 1], clips), len(right))
    found = np.concatenate([np.tile(np.arange(clips) < count, 2) for count in right.values()])
    speakers = np.repeat(list(right), 2 * clips).tolist()
    return Predictions(
        ids=[f"clip{index}" for index in range(len(truth))],
        corpora=[speaker.split("/")[0] for speaker in speakers],
        speakers=speakers,
        truth=truth,
        probabilities=np.eye(2)[np.where(found, truth, 1 - truth)],
        classes=CLASSES,
    )


# ages


@pytest.mark.parametrize(
    ("speaker", "band"),
    [
        ("crema/1001", "45 to 59"),  # 51
        ("crema/1002", "under 30"),  # 21
        ("crema/1005", "under 30"),  # 29
        ("crema/1021", "30 to 44"),  # 30
        ("crema/1016", "60 and over"),  # 61
        ("tess/OAF", "60 and over"),
        ("ravdess/01", "unknown"),
        ("crema/9999", "unknown"),
        ("emodb/03", "unknown"),
    ],
)
def test_a_speaker_is_of_one_age_band_or_of_none_that_is_known(speaker: str, band: str) -> None:
    assert age_band(speaker) == band


def test_every_age_of_every_corpus_has_a_band() -> None:
    for corpus in CORPORA.values():
        for name, speaker in corpus.speakers.items():
            assert (age_band(f"{corpus.name}/{name}") in AGE_BANDS) == (speaker.age is not None)


# groups


def test_groups_are_scored_apart_overall_and_within_each_corpus() -> None:
    women, men = dict.fromkeys(WOMEN[:5], 8), dict.fromkeys(MEN[:6], 6)
    fairness = measure_fairness(predictions_of({**women, **men, "tess/OAF": 10, "tess/YAF": 10, "ravdess/01": 5}))
    json.dumps(fairness.to_json(), allow_nan=False)
    gender = fairness.gender
    assert list(gender.all) == ["female", "male"]
    assert (gender.all["female"].speakers, gender.all["female"].n) == (7, 140)
    assert gender.all["female"].uar.value == pytest.approx((5 * 0.8 + 2) / 7)
    assert gender.per_corpus["crema"]["female"].uar.value == pytest.approx(0.8)
    assert list(gender.per_corpus) == ["crema", "ravdess", "tess"]
    assert "male" not in gender.per_corpus["tess"]
    assert fairness.age.per_corpus["tess"].keys() == {"under 30", "60 and over"}
    assert fairness.age.per_corpus["ravdess"].keys() == {"unknown"}
    assert fairness.age.all["unknown"].uar.reason
    assert [band for band in (*AGE_BANDS, "unknown") if band in fairness.age.all] == list(fairness.age.all), "by age"


def test_groups_add_up_to_all_utterances() -> None:
    predictions = predictions_of({speaker: index % 10 for index, speaker in enumerate([*WOMEN, *MEN, "savee/DC"])})
    fairness = measure_fairness(predictions)
    for grouping in (fairness.gender, fairness.age):
        assert sum(group.n for group in grouping.all.values()) == len(predictions.ids)
    assert fairness.gender.all == score(predictions).per_gender


# women minus men


def test_the_difference_is_that_of_welch_where_a_score_is_a_mean_over_speakers() -> None:
    """With equal numbers of clips UAR is the mean of the speakers' own, and the jackknife of a mean is its standard error."""
    women, men = [9, 7, 8, 6, 10, 8], [3, 9, 5, 7, 4, 6, 8, 2, 5]
    right = {**dict(zip(WOMEN, women, strict=False)), **dict(zip(MEN, men, strict=False))}
    difference = gender_difference(predictions_of(right))
    expected = stats.ttest_ind(np.array(women) / 10, np.array(men) / 10, equal_var=False)
    interval, welch = difference.uar.interval, expected.confidence_interval(0.95)
    assert (difference.female, difference.male) == (6, 9)
    assert difference.uar.value == pytest.approx(np.mean(women) / 10 - np.mean(men) / 10)
    assert interval.degrees == pytest.approx(expected.df)
    assert (interval.low, interval.high) == pytest.approx((welch.low, welch.high))


@pytest.mark.parametrize(
    ("women", "men", "reason"),
    [
        (4, 5, "fewer than 5 speakers: female has 4"),
        (5, 4, "fewer than 5 speakers: male has 4"),
        (2, 0, "fewer than 5 speakers: female has 2, male has 0"),
        (0, 0, "fewer than 5 speakers: female has 0, male has 0"),
    ],
)
def test_with_fewer_than_five_of_either_there_is_a_reason_in_place_of_an_interval(women: int, men: int, reason: str) -> None:
    right = {**dict.fromkeys(WOMEN[:women], 8), **dict.fromkeys(MEN[:men], 6), "crema/nobody": 1}
    difference = gender_difference(predictions_of(right))
    json.dumps(difference.to_json(), allow_nan=False)
    assert (difference.uar.low, difference.uar.reason) == (None, reason)
    assert difference.uar.value == (pytest.approx(0.2) if women and men else None)
    assert (difference.female, difference.male) == (women, men)


def test_equal_groups_differ_by_nothing() -> None:
    difference = gender_difference(predictions_of(dict.fromkeys([*WOMEN[:5], *MEN[:5]], 7)))
    assert (difference.uar.value, difference.uar.low, difference.uar.high) == (0, 0, 0)


def test_a_speaker_of_unknown_gender_changes_no_difference() -> None:
    right = {speaker: 5 + index % 3 for index, speaker in enumerate([*WOMEN[:6], *MEN[:6]])}
    assert gender_difference(predictions_of(right)) == gender_difference(predictions_of({**right, "crema/nobody": 0}))
