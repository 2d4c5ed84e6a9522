"""Is one run better than another? Paired over speakers, said in one plain sentence."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from conftest import Ser
from ser.errors import DataError
from ser.evaluation.comparison import compare, compare_folds, detectable_difference, sentence, verdict_on
from ser.evaluation.intervals import Interval, Score, interval_of
from ser.evaluation.metrics import Floats
from ser.evaluation.predictions import Predictions, write_predictions, write_protocol_predictions
from ser.evaluation.scores import score
from workspace import printed_rows

CLASSES = ("neutral", "happy", "sad")


def value(predictions: Predictions, metric: str) -> float:
    found = score(predictions).by_metric()[metric].value
    assert found is not None
    return found


def heard(right: float, speakers: int = 8, clips: int = 30, seed: int = 0, corpus: str = "crema") -> Predictions:
    """As many clips of each class and speaker; about this share is right."""
    generator = np.random.default_rng(seed)
    names = [f"{corpus}/{number:02d}" for number in range(speakers) for _ in range(clips)]
    truth = np.arange(len(names)) % 3
    said = np.where(generator.random(len(names)) < right, truth, (truth + generator.integers(1, 3, len(names))) % 3)
    ids = [f"{corpus}_{number}" for number in range(len(names))]
    return Predictions(ids, [corpus] * len(names), names, truth, np.eye(3)[said], CLASSES)


GOOD, BAD = heard(0.9, seed=1), heard(0.6, seed=2)


def test_a_run_is_not_distinguishable_from_itself() -> None:
    found = compare(GOOD, GOOD)
    assert (found.difference, found.interval.low, found.interval.high) == (0, 0, 0)
    assert (found.verdict, found.detectable) == ("not distinguishable", None)
    assert sentence(found, "one", "two").startswith(
        "one and two are not distinguishable: +0.0 points of UAR [+0.0, +0.0] on 240 utterances"
    )


@pytest.mark.parametrize("metric", ["uar", "wa", "macro_f1"])
def test_a_planted_difference_is_found_and_has_its_sign(metric: str) -> None:
    forth, back = compare(GOOD, BAD, metric), compare(BAD, GOOD, metric)
    assert (forth.verdict, back.verdict) == ("better", "worse")
    assert forth.difference == pytest.approx(-back.difference)
    assert forth.difference == pytest.approx(value(GOOD, metric) - value(BAD, metric))
    assert back.interval.low is not None
    assert back.interval.high is not None
    assert (forth.interval.low, forth.interval.high) == pytest.approx((-back.interval.high, -back.interval.low))
    assert (forth.a, forth.b, forth.detectable) == pytest.approx((back.b, back.a, back.detectable))
    assert (forth.n, forth.speakers) == (240, 8)


def test_the_interval_is_that_of_a_paired_t_test_over_speakers() -> None:
    """With equally many clips of every class and speaker, UAR is the mean of the speakers' accuracies."""
    found = compare(GOOD, BAD)
    each = [np.mean((predictions.prediction == predictions.truth).reshape(8, -1), axis=1) for predictions in (GOOD, BAD)]
    expected = stats.ttest_rel(*each).confidence_interval()
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))


def test_the_smallest_difference_is_found_in_four_of_five_test_sets() -> None:
    """Its power, by drawing speakers who differ by so much in truth and asking for the verdict on each such test set."""
    speakers, spread = 12, 0.06
    true = detectable_difference(Interval(None, None, speakers, standard_error=spread / np.sqrt(speakers), degrees=speakers - 1))
    assert true is not None
    draws = np.random.default_rng(0).normal(true, spread, (2000, speakers))
    verdicts = [verdict_on(interval_of(mean_by_weight(drawn), ["all"] * speakers, difference=True)) for drawn in draws]
    assert verdicts.count("better") / len(draws) == pytest.approx(0.8, abs=0.03)


def mean_by_weight(values: Floats) -> Score:
    return lambda weights: np.asarray(weights @ values / weights.sum(axis=1))


def test_the_smallest_difference_rests_on_the_standard_error_of_the_pair() -> None:
    comparison = compare(GOOD, BAD)
    assert comparison.interval.standard_error is not None
    assert comparison.detectable == pytest.approx(sum(stats.t.ppf(q, 7) for q in (0.975, 0.8)) * comparison.interval.standard_error)


def test_the_order_of_the_rows_does_not_matter() -> None:
    order = np.random.default_rng(3).permutation(240)
    shuffled = Predictions(
        [BAD.ids[i] for i in order],
        [BAD.corpora[i] for i in order],
        [BAD.speakers[i] for i in order],
        BAD.truth[order],
        BAD.probabilities[order],
        CLASSES,
    )
    assert compare(GOOD, shuffled) == compare(GOOD, BAD)


def test_under_five_speakers_there_is_no_verdict_but_a_reason() -> None:
    found = compare(heard(0.9, speakers=4), heard(0.3, speakers=4, seed=1))
    assert (found.verdict, found.detectable, found.interval.low) == (None, None, None)
    said = sentence(found, "one", "two")
    assert said.startswith("No verdict on one and two, which differ by +")
    assert said.endswith("on 120 utterances of 4 speakers: 4 speakers: an interval over fewer than 5 means nothing.")


def test_the_sentence_says_by_how_much_and_on_what() -> None:
    forth, back = compare(GOOD, BAD), compare(BAD, GOOD)
    assert forth.interval.low is not None
    assert forth.interval.high is not None
    by = f"{100 * forth.difference:.1f} points of UAR [{100 * forth.interval.low:.1f}, {100 * forth.interval.high:.1f}]"
    assert sentence(forth, "one", "two") == f"one is better than two by {by} on 240 utterances of 8 speakers."
    assert sentence(back, "two", "one") == f"two is worse than one by {by} on 240 utterances of 8 speakers."


def test_a_difference_that_cannot_be_told_from_none_says_what_could() -> None:
    found = compare(heard(0.7, seed=1), heard(0.7, seed=2))
    assert found.detectable is not None
    assert sentence(found, "one", "two").endswith(f"this test set could show a difference of about {100 * found.detectable:.1f} points.")


def drop_first(predictions: Predictions) -> Predictions:
    return predictions.select(np.arange(len(predictions.ids)) > 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop_first, r"differ in test utterances, so they cannot be compared: 1 \(crema_0\) only in the first"),
        (
            lambda predictions: replace(predictions, ids=[f"x{name}" for name in predictions.ids]),
            r"240 \(crema_0, crema_1, crema_2, ...\) only in the first; 240 \(xc",
        ),
        (
            lambda predictions: replace(predictions, truth=np.roll(predictions.truth, 1)),
            r"differ in truth or speaker of 240 \(crema_0 \(neutral by crema/00 / sad by",
        ),
        (lambda predictions: replace(predictions, classes=("neutral", "happy", "fear")), r"truth or speaker of 80 \(crema_2"),
        (
            lambda predictions: replace(predictions, classes=(*CLASSES, "fear"), probabilities=np.eye(4)[predictions.prediction]),
            r"classes.*: 1 \(fear\) only in the sec",
        ),
    ],
)
def test_what_does_not_pair_is_counted_and_named(change: Callable[[Predictions], Predictions], said: str) -> None:
    with pytest.raises(DataError, match=said):
        compare(GOOD, change(BAD))


# folds


def in_folds(predictions: Predictions, folds: int = 4) -> dict[str, list[Predictions]]:
    """Two speakers each, one seed."""
    number = np.array([int(name[-2:]) * folds // 8 for name in predictions.speakers])
    return {f"{fold + 1}": [predictions.select(number == fold)] for fold in range(folds)}


def test_folds_with_the_same_classes_are_taken_together() -> None:
    found = compare_folds(in_folds(GOOD), in_folds(BAD))
    assert found == replace(compare(GOOD, BAD), over="all 4 folds together")
    assert "on 240 utterances of 8 speakers (all 4 folds together)" in sentence(found, "one", "two")


def test_a_second_seed_that_says_the_same_changes_nothing() -> None:
    twice = {fold: [*seeds, *seeds] for fold, seeds in in_folds(GOOD).items()}
    assert compare_folds(twice, in_folds(BAD)) == compare_folds(in_folds(GOOD), in_folds(BAD))


@pytest.mark.parametrize("metric", ["uar", "wa", "macro_f1"])
def test_several_seeds_count_with_the_mean_of_their_scores(metric: str) -> None:
    found = compare_folds({"test": [GOOD, BAD]}, {"test": [BAD]}, metric)
    assert found.a == pytest.approx((value(GOOD, metric) + value(BAD, metric)) / 2)


def with_other_classes(folds: dict[str, list[Predictions]]) -> dict[str, list[Predictions]]:
    """Happy is called fear in the first fold."""
    return folds | {"1": [replace(predictions, classes=("neutral", "fear", "sad")) for predictions in folds["1"]]}


def test_folds_with_other_classes_are_compared_by_their_mean() -> None:
    found = compare_folds(with_other_classes(in_folds(GOOD)), with_other_classes(in_folds(BAD)))
    assert found.verdict == "better"
    assert "of 8 speakers (the mean over 4 folds)" in sentence(found, "one", "two")
    assert found.a == pytest.approx(np.mean([value(predictions, "uar") for (predictions,) in in_folds(GOOD).values()]))


def test_folds_of_small_corpora_with_other_classes_have_no_verdict() -> None:
    a, b = (with_other_classes(in_folds(predictions)) for predictions in (GOOD, BAD))
    a["1"], b["1"] = ([replace(predictions[0], corpora=["savee"] * len(predictions[0].ids))] for predictions in (a["1"], b["1"]))
    found = compare_folds(a, b)
    assert (found.verdict, found.interval.reason) == (None, "fewer than 5 speakers: savee has 2")


def test_other_folds_are_counted_and_named() -> None:
    with pytest.raises(DataError, match=r"differ in folds.*: 1 \(4\) only in the first"):
        compare_folds(in_folds(GOOD), {fold: predictions for fold, predictions in in_folds(BAD).items() if fold != "4"})


# the command


def leave(folder: Path, predictions: Predictions) -> Path:
    write_predictions(folder / "predictions.csv", {"val": predictions, "test": predictions})
    return folder


def test_the_command_prints_a_table_and_a_sentence(tmp_path: Path, ser: Ser) -> None:
    answer = ser("report", "--compare", leave(tmp_path / "good", GOOD), leave(tmp_path / "bad", BAD))
    assert answer.code == 0, answer.err
    rows = printed_rows(answer.out)
    assert [row[0] for row in rows] == ["UAR", "WA", "macro-F1"]
    assert [row[4] for row in rows] == ["better"] * 3
    assert answer.out.splitlines()[-1] == sentence(compare(GOOD, BAD), "good", "bad")


def test_the_command_compares_the_results_of_protocols(tmp_path: Path, ser: Ser) -> None:
    for name, predictions in (("good", GOOD), ("bad", BAD)):
        seeds = {fold: {1: seed} for fold, (seed,) in in_folds(predictions).items()}
        write_protocol_predictions(tmp_path / name / "predictions.csv", seeds)
    answer = ser("report", "--compare", tmp_path / "bad", tmp_path / "good")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[0].startswith("test, all 4 folds together, % and points")
    assert answer.out.splitlines()[-1] == sentence(compare_folds(in_folds(BAD), in_folds(GOOD)), "bad", "good")


def test_the_command_says_in_one_line_that_seeds_disagree_on_who_speaks(tmp_path: Path, ser: Ser) -> None:
    (good,) = in_folds(GOOD, folds=1).values()
    renamed = replace(good[0], speakers=["crema/other", *good[0].speakers[1:]])
    for name, seed in (("one", good[0]), ("two", renamed)):
        write_protocol_predictions(tmp_path / name / "predictions.csv", {"1": {1: good[0], 2: seed}})
    answer = ser("report", "--compare", tmp_path / "one", tmp_path / "two")
    assert (answer.code, answer.out, len(answer.err.splitlines())) == (4, "", 1)
    assert "the seeds of fold 1 differ in utterances, speakers, truths or classes" in answer.err


def test_the_command_says_in_one_line_what_it_cannot_compare(tmp_path: Path, ser: Ser) -> None:
    good, other = leave(tmp_path / "good", GOOD), leave(tmp_path / "other", drop_first(BAD))
    write_predictions(tmp_path / "val" / "predictions.csv", {"val": GOOD})
    write_protocol_predictions(tmp_path / "none" / "predictions.csv", {})
    (tmp_path / "bytes").mkdir()
    (tmp_path / "bytes" / "predictions.csv").write_bytes(b"\xff\x00\x01")
    for folder, code, said in (
        (other, 3, "good and other differ in test utterances"),
        (tmp_path / "val", 3, "has no predictions on test"),
        (tmp_path / "none", 4, "has no predictions"),
        (tmp_path / "nowhere", 3, "neither a finished run nor the results of a protocol"),
        (tmp_path / "bytes", 4, "predictions.csv"),
    ):
        answer = ser("report", "--compare", good, folder)
        assert (answer.code, answer.out) == (code, "")
        assert said in answer.err
        assert len(answer.err.splitlines()) == 1
