"""Scores against what listeners heard, and of the listeners: numbers done by hand, and those of the real corpus."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listeners import REAL, counts, real_tables
from ser.config import LabelsConfig
from ser.corpora.crema_names import LABELS
from ser.corpora.crema_votes import read_owners_table
from ser.corpora.votes import HEARD
from ser.evaluation.metrics import confusion_matrix, uar, wa
from ser.evaluation.perception import ceiling, cross_entropy, human_scores, leave_one_out, perceived_scores
from ser.evaluation.predictions import Predictions

PLAIN = LabelsConfig()
TABLES = st.lists(st.lists(st.integers(0, 5), min_size=4, max_size=4), min_size=1, max_size=12)


def predictions(ids: list[str], truth: list[int], answers: list[int], classes: tuple[str, ...] = HEARD, sure: float = 0.9) -> Predictions:
    """Of a speaker for each clip."""
    probabilities = np.full((len(ids), len(classes)), (1 - sure) / (len(classes) - 1))
    probabilities[np.arange(len(ids)), answers] = sure
    return Predictions(ids, ["crema"] * len(ids), [f"crema/{i}" for i in ids], np.array(truth, np.int64), probabilities, classes)


# -- listeners -------------------------------------------------------------------


def test_listeners_by_hand() -> None:
    """Three clips: intended 0, 0 and 1; the second is tied."""
    found = human_scores(np.array([[3, 1], [2, 2], [1, 4]]), np.array([0, 0, 1]))
    assert found.answers == 13
    assert found.single.model_dump() == pytest.approx({"uar": (5 / 8 + 4 / 5) / 2, "wa": 9 / 13})
    assert found.plurality.model_dump() == pytest.approx({"uar": (1.5 / 2 + 1) / 2, "wa": 2.5 / 3})


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([3, 1], [[3, 1], [0, 0]]),  # each of the three: two against one; the fourth: three against none
        ([2, 2], [[0, 2], [2, 0]]),  # every one meets one of his kind and two others
        ([2, 1], [[0, 1], [0, 0]]),  # without one of the two the others are tied
        ([1, 0], [[0, 0], [0, 0]]),  # nobody else
        ([5, 0], [[5, 0], [0, 0]]),
    ],
)
def test_one_listener_against_the_others_by_hand(answers: list[int], expected: list[list[int]]) -> None:
    assert leave_one_out(np.array([answers])).tolist() == expected


@given(table=TABLES)
@settings(max_examples=60, deadline=None)
def test_one_listener_against_the_others_is_what_a_loop_over_answers_counts(table: list[list[int]]) -> None:
    expected = np.zeros((4, 4), np.int64)
    for row in table:
        for answer in [index for index, count in enumerate(row) for _ in range(count)]:
            others = np.array(row) - np.eye(4, dtype=np.int64)[answer]
            winners = np.flatnonzero(others == others.max())
            if others.any() and len(winners) == 1:
                expected[winners[0], answer] += 1
    np.testing.assert_array_equal(leave_one_out(np.array(table)), expected)


def test_the_ceiling_is_that_of_the_judged_answers() -> None:
    found = ceiling(np.array([[3, 1], [0, 6]]))
    assert found.model_dump() == pytest.approx({"uar": (3 / 4 + 1) / 2, "wa": 9 / 10, "n": 10})


# -- a model ---------------------------------------------------------------------


def test_a_model_is_judged_by_the_plurality_and_not_by_the_label() -> None:
    ids = ["a", "b", "c", "d"]
    votes = {"a": counts(neutral=8, sad=1), "b": counts(sad=6, angry=2), "c": counts(angry=4, fear=4), "other": counts(happy=9)}
    found = perceived_scores(predictions(ids, truth=[2, 2, 3, 0], answers=[0, 3, 3, 0]), votes, PLAIN)
    assert found is not None
    judged = confusion_matrix([0, 2], [0, 3], len(HEARD))
    assert (found.uar.value, found.wa.value) == (float(uar(judged)), float(wa(judged)))
    assert (found.n, found.clips, found.speakers) == (2, 3, 2)
    assert "speaker" in str(found.uar.reason)
    assert found.human.answers == 25
    assert found.human.single.wa == pytest.approx((1 + 6 + 4) / 25)
    json.dumps(found.to_json(), allow_nan=False)


def test_a_model_that_says_the_shares_reaches_the_entropy_and_no_other_does() -> None:
    votes = {"a": counts(neutral=6, sad=2), "b": counts(angry=5)}
    shares = np.array([[0.75, 0, 0.25, 0, 0, 0], [0, 0, 0, 1, 0, 0]])
    table = predictions(["a", "b"], [0, 3], [0, 3])
    exact = Predictions(table.ids, table.corpora, table.speakers, table.truth, shares, HEARD)
    best, other = (perceived_scores(predicted, votes, PLAIN) for predicted in (exact, table))
    assert best is not None
    assert other is not None
    expected = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / 2
    assert best.cross_entropy == pytest.approx(best.entropy) == pytest.approx(expected)
    assert other.entropy == pytest.approx(expected)
    assert (other.cross_entropy or 0) > expected + 1e-9


def test_votes_on_no_class_of_the_model_do_not_count() -> None:
    votes = {"a": counts(disgust=6, sad=2), "b": counts(disgust=9)}
    classes = ("neutral", "sad", "angry")
    found = perceived_scores(predictions(["a", "b"], [1, 2], [1, 2], classes), votes, PLAIN)
    assert found is not None
    assert (found.n, found.clips, found.wa.value) == (1, 1, 1.0)
    assert found.human.answers_kept == 2 / 17
    merged = LabelsConfig(merge={"disgust": "angry"}, keep=("neutral", "sad", "angry"))
    found = perceived_scores(predictions(["a", "b"], [1, 2], [1, 2], classes), votes, merged)
    assert found is not None
    assert (found.n, found.clips, found.wa.value) == (2, 2, 0.5)
    assert found.human.answers_kept == 1


def test_with_fewer_classes_listeners_look_better_and_the_share_of_their_answers_says_why() -> None:
    votes = {"a": counts(sad=4, neutral=1, disgust=3, fear=2)}
    every = perceived_scores(predictions(["a"], [HEARD.index("sad")], [0]), votes, PLAIN)
    fewer = perceived_scores(predictions(["a"], [1], [0], ("neutral", "sad", "angry")), votes, PLAIN)
    assert every is not None
    assert fewer is not None
    assert [scores.human.single.wa for scores in (every, fewer)] == [0.4, 0.8]
    assert [scores.human.answers_kept for scores in (every, fewer)] == [1.0, 0.5]
    assert [scores.human.answers for scores in (every, fewer)] == [10, 5]


@pytest.mark.parametrize("votes", [{"a": counts(disgust=6)}, {"a": counts(sad=2, neutral=2)}])
def test_no_plurality_at_all_scores_none(votes: dict[str, Any]) -> None:
    found = perceived_scores(predictions(["a"], [1], [1], ("neutral", "sad")), votes, PLAIN)
    assert found is not None
    assert (found.uar.value, found.n, found.speakers) == (None, 0, 0)
    json.dumps(found.to_json(), allow_nan=False)


def test_without_votes_there_is_nothing_to_say() -> None:
    assert perceived_scores(predictions(["a"], [1], [1]), {}, PLAIN) is None


def test_cross_entropy_of_an_excluded_emotion_is_finite() -> None:
    assert cross_entropy(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]])) == pytest.approx(12 * np.log(10))


# -- the real table --------------------------------------------------------------


@real_tables
def test_what_people_hear_in_the_real_corpus() -> None:
    """On all 7442 clips: 44.6 WA and 45.9 UAR of the plurality are the figures that others give. Of single answers the corpus's authors
    report 40.9 %, over 219 870 answers of three kinds; the table keeps 212 000 of them, and gives 40.0 %.
    """
    votes = read_owners_table(REAL / "tabulatedVotes.csv")
    intended = np.array([HEARD.index(LABELS[key.split("_")[3]].emotion) for key in votes])
    found = human_scores(np.stack(list(votes.values())), intended)
    assert found.answers == 68_568
    assert found.single.model_dump() == pytest.approx({"wa": 0.4000, "uar": 0.4069}, abs=5e-5)
    assert found.plurality.model_dump() == pytest.approx({"wa": 0.4462, "uar": 0.4587}, abs=5e-5)
    assert found.ceiling.model_dump() == pytest.approx({"wa": 0.5918, "uar": 0.5298, "n": 62_140}, abs=5e-5)
