"""Scores and tables from predictions."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.errors import ArtefactError
from ser.evaluation.folds import SeedSpread, fold_scores, seed_spread
from ser.evaluation.gates import COLLAPSE, relative_entropy, summarise_gates
from ser.evaluation.metrics import METRICS, confusion_matrix, uar, wa
from ser.evaluation.predictions import Predictions, write_predictions
from ser.evaluation.records import Estimates, SpeakerScores
from ser.evaluation.scores import breakdown, genders, pooled_scores, score, scores_of, speaker_matrices, write_confusion_matrix
from ser.splits.certificate import Entry

CLASSES = ("neutral", "happy", "sad")


def make_predictions(speakers: dict[str, int], clips: int = 12, gates: bool = False) -> Predictions:
    """`speakers` says how many each corpus has; the probabilities are random, and right about half of the time."""
    generator = np.random.default_rng(7)
    names = [f"{corpus}/{number:02d}" for corpus, count in speakers.items() for number in range(count) for _ in range(clips)]
    truth = generator.integers(0, 3, len(names))
    probabilities = generator.dirichlet([1, 1, 1], len(names)) + np.eye(3)[truth] * 0.3
    probabilities = (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)
    return Predictions(
        ids=[f"{name.replace('/', '_')}_{index}" for index, name in enumerate(names)],
        corpora=[name.split("/")[0] for name in names],
        speakers=names,
        truth=truth,
        probabilities=probabilities,
        classes=CLASSES,
        gates={"mel": probabilities[:, 0], "ssl": 1 - probabilities[:, 0]} if gates else {},
    )


def values(scores: Estimates | None) -> dict[str, float]:
    """metric -> its value, where each is defined."""
    assert scores is not None
    return {metric: found.value for metric, found in scores.by_metric().items() if found.value is not None}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_scores_have_every_part_of_the_contract_and_are_strict_json() -> None:
    scores = json.loads(json.dumps(score(make_predictions({"crema": 6, "savee": 1})).to_json(), allow_nan=False))
    assert set(scores) == {
        *("uar", "wa", "macro_f1", "n", "speakers", "intervals"),
        *("classes", "per_class", "per_corpus", "mean_over_corpora", "per_gender", "per_speaker"),
    }
    assert (scores["n"], scores["speakers"], scores["classes"]) == (84, 7, list(CLASSES))
    assert set(scores["per_class"]["sad"]) == {"precision", "recall", "f1", "support", "intervals"}
    assert set(scores["per_corpus"]["crema"]) == {"uar", "wa", "macro_f1", "n", "speakers", "intervals"}
    assert scores["intervals"]["uar"]["low"] < scores["uar"] < scores["intervals"]["uar"]["high"]


def test_scores_of_a_corpus_are_those_of_its_rows_alone() -> None:
    predictions = make_predictions({"crema": 6, "savee": 3})
    of_savee = np.array(predictions.corpora) == "savee"
    expected = uar(confusion_matrix(predictions.truth[of_savee], predictions.prediction[of_savee], 3))
    scores = score(predictions)
    assert scores.per_corpus["savee"].uar.value == pytest.approx(float(expected))
    assert scores.mean_over_corpora.uar.value == pytest.approx(np.mean([part.uar.value for part in scores.per_corpus.values()]))


def test_a_corpus_with_few_speakers_has_no_interval_and_says_why() -> None:
    scores = score(make_predictions({"crema": 6, "tess": 1}))
    estimate = scores.per_corpus["tess"].uar
    assert (estimate.low, estimate.speakers) == (None, 1)
    assert "1 speaker" in str(estimate.reason)
    assert "tess has 1" in str(scores.mean_over_corpora.uar.reason)


def test_a_class_that_is_absent_from_the_test_split_scores_none() -> None:
    predictions = Predictions(["a", "b"], ["crema"] * 2, ["crema/1"] * 2, np.array([0, 1]), np.eye(3)[:2], CLASSES)
    scores = score(predictions)
    sad = scores.per_class["sad"]
    assert (sad.precision, sad.recall.value, sad.f1.value, sad.support) == (None, None, None, 0)
    assert str(sad.recall.reason).startswith("0 speakers")
    assert scores.uar.value == 1.0


def test_the_recall_of_a_class_has_the_interval_of_the_uar_of_its_clips() -> None:
    predictions = make_predictions({"crema": 7})
    by_class = breakdown(predictions, np.array(CLASSES)[predictions.truth].tolist())
    for label, scores in score(predictions).per_class.items():
        assert scores.recall.interval == by_class[label].uar.interval
        assert scores.f1.low is not None
        assert scores.f1.value is not None
        assert scores.f1.high is not None
        assert scores.f1.low < scores.f1.value < scores.f1.high


def test_a_class_that_few_speakers_have_gets_no_interval_and_the_reason() -> None:
    predictions = make_predictions({"crema": 8})
    told = np.array([name < "crema/04" for name in predictions.speakers])
    scores = score(replace(predictions, truth=np.where(told | (predictions.truth != 2), predictions.truth, 0))).per_class
    for estimate in (scores["sad"].recall, scores["sad"].f1):
        assert (estimate.low, estimate.high, estimate.speakers) == (None, None, 4)
        assert estimate.reason == "4 speakers: an interval over fewer than 5 means nothing"
    assert scores["neutral"].recall.speakers == 8


def test_no_predictions_score_none() -> None:
    scores = score(Predictions([], [], [], np.zeros(0, np.int64), np.zeros((0, 3)), CLASSES))
    json.dumps(scores.to_json(), allow_nan=False)
    assert (scores.n, scores.uar.value, scores.mean_over_corpora.uar.value, scores.per_corpus) == (0, None, None, {})


def test_parts_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 ids"):
        Predictions(["a", "b"], ["crema"], ["crema/1"], np.array([0, 1]), np.eye(3)[:2], CLASSES)


def test_a_probability_that_is_not_finite_names_the_utterance() -> None:
    probabilities = np.eye(3)[:2]
    probabilities[1, 2] = np.nan
    with pytest.raises(ArtefactError, match="probabilities of b"):
        Predictions(["a", "b"], ["crema"] * 2, ["crema/1"] * 2, np.array([0, 1]), probabilities, CLASSES)


def test_scores_of_a_gender_are_those_of_its_speakers() -> None:
    predictions = make_predictions({"ravdess": 13, "toys": 1})
    scores = score(predictions).per_gender
    assert {gender: part.speakers for gender, part in scores.items()} == {"female": 6, "male": 6, "unknown": 2}, "there is no ravdess/00"
    women = np.array([gender == "female" for gender in genders(predictions)])
    assert scores["female"] == scores_of(speaker_matrices(predictions.select(women))[1])
    assert predictions.select(women).speakers[0] == "ravdess/02"


def test_scores_of_each_speaker() -> None:
    predictions = make_predictions({"crema": 2, "savee": 1})
    scores = score(predictions).per_speaker
    assert list(scores) == ["crema/00", "crema/01", "savee/00"]
    own = predictions.select(np.array(predictions.speakers) == "crema/01")
    assert scores["crema/01"] == SpeakerScores(corpus="crema", n=12, uar=float(uar(own.confusion)), wa=float(wa(own.confusion)))


def test_any_grouping_can_be_scored() -> None:
    predictions = make_predictions({"crema": 6})
    found = breakdown(predictions, ["old" if index % 3 else "young" for index in range(72)])
    assert {key: (part.n, part.speakers) for key, part in found.items()} == {"old": (48, 6), "young": (24, 6)}


def test_the_spread_of_a_single_seed_has_no_deviation() -> None:
    assert seed_spread([0.5]) == SeedSpread(values=(0.5,), mean=0.5, sd=None, min=0.5, max=0.5, n=1)


# seeds and folds


def test_the_scores_of_seeds_are_their_mean_on_as_many_utterances() -> None:
    one = make_predictions({"crema": 6})
    other = replace(one, probabilities=np.roll(one.probabilities, 1, axis=1))
    found = pooled_scores([one, other])
    for metric in METRICS:
        assert values(found)[metric] == pytest.approx((values(score(one))[metric] + values(score(other))[metric]) / 2)
    assert (found.n, found.speakers) == (72, 6)
    assert pooled_scores([one, one]) == pooled_scores([one]) == scores_of(speaker_matrices(one)[1])


def test_seeds_on_different_utterances_are_refused() -> None:
    one = make_predictions({"crema": 6})
    with pytest.raises(ValueError, match="seeds differ"):
        pooled_scores([one, one.select(np.arange(72) > 0)])
    with pytest.raises(ValueError, match="seeds differ"):
        fold_scores({"1": [one, replace(one, speakers=["crema/other", *one.speakers[1:]])]})


def two_folds(corpora: tuple[str, str] = ("crema", "crema")) -> dict[str, list[Predictions]]:
    """Of five and three speakers, with two seeds."""
    everyone = make_predictions({"crema": 8})
    first = np.array([name < "crema/05" for name in everyone.speakers])
    folds = {}
    for name, corpus, mask in zip(("1", "2"), corpora, (first, ~first), strict=True):
        chosen = everyone.select(mask)
        chosen = replace(chosen, corpora=[corpus] * len(chosen.ids))
        folds[name] = [chosen, replace(chosen, probabilities=np.roll(chosen.probabilities, 1, axis=1))]
    return folds


def test_folds_count_equally_however_large() -> None:
    folds = two_folds()
    found = fold_scores(folds)
    json.dumps(found.to_json(), allow_nan=False)
    by_fold = [np.mean([values(score(predictions))["uar"] for predictions in seeds]) for seeds in folds.values()]
    mean, together = found.mean_over_folds, found.pooled
    assert mean.uar.value == pytest.approx(np.mean(by_fold))
    assert (mean.n, mean.speakers, mean.folds) == (96, 8, 2)
    low, value, high = mean.uar.low, mean.uar.value, mean.uar.high
    assert low is not None
    assert value is not None
    assert high is not None
    assert low < value < high
    assert together is not None
    assert (together.n, together.speakers) == (96, 8)
    by_fold_wa = [values(pooled_scores(seeds))["wa"] for seeds in folds.values()]
    assert together.wa.value == pytest.approx(np.average(by_fold_wa, weights=[60, 36]))


def test_every_score_of_a_protocol_is_the_mean_of_those_of_its_seeds() -> None:
    """Also macro-F1, whose value for summed confusion matrices is another."""
    folds = two_folds()
    alone = [fold_scores({name: [seeds[place]] for name, seeds in folds.items()}) for place in range(2)]
    both = fold_scores(folds)
    for metric in METRICS:
        assert values(both.pooled)[metric] == pytest.approx(np.mean([values(seed.pooled)[metric] for seed in alone]))
        means = [values(seed.mean_over_folds)[metric] for seed in alone]
        assert values(both.mean_over_folds)[metric] == pytest.approx(np.mean(means))
    found = fold_scores({"1": folds["1"]})
    assert found.pooled is not None
    assert found.pooled.by_metric() == found.mean_over_folds.by_metric() == pooled_scores(folds["1"]).by_metric()


def test_every_seed_of_a_fold_counts_equally_where_another_fold_has_more() -> None:
    folds = two_folds()
    folds["1"].append(folds["1"][0])
    first, second = ([wa(part.confusion) for part in seeds] for seeds in folds.values())
    assert values(fold_scores(folds).pooled)["wa"] == pytest.approx((60 * np.mean(first) + 36 * np.mean(second)) / 96)


def test_folds_that_differ_in_classes_have_a_mean_and_are_not_taken_together() -> None:
    folds = two_folds()
    second = folds["2"][0]
    folds["2"] = [replace(second, truth=second.truth % 2, probabilities=second.probabilities[:, :2], classes=CLASSES[:2])]
    found = fold_scores(folds)
    assert found.pooled is None
    assert found.mean_over_folds.uar.low is not None


def test_folds_of_different_corpora_need_five_speakers_of_each() -> None:
    estimate = fold_scores(two_folds(("crema", "savee"))).mean_over_folds.uar
    assert (estimate.low, estimate.reason) == (None, "fewer than 5 speakers: savee has 3")


def test_a_speaker_in_several_folds_is_still_one() -> None:
    everyone = make_predictions({"crema": 5})
    even = np.arange(60) % 2 == 0
    found = fold_scores({"1": [everyone.select(even)], "2": [everyone.select(~even)]}).mean_over_folds
    assert (found.speakers, found.n, found.uar.interval.degrees) == (5, 60, 4)


def test_the_confusion_matrix_is_written_with_names_on_both_sides(tmp_path: Path) -> None:
    write_confusion_matrix(tmp_path / "confusion_matrix.csv", np.array([[2, 1], [0, 3]]), ("neutral", "happy"))
    assert (tmp_path / "confusion_matrix.csv").read_text() == "truth,neutral,happy\nneutral,2,1\nhappy,0,3\n"


# gates


def gated(weights: list[list[float]], corpora: list[str] | None = None, truth: list[int] | None = None) -> Predictions:
    """Of the experts ssl, mel... with these weights, one row for each utterance."""
    n = len(weights)
    columns = np.array(weights, np.float64).T
    return Predictions(
        ids=[f"clip{index}" for index in range(n)],
        corpora=corpora or ["crema"] * n,
        speakers=["crema/1"] * n,
        truth=np.array(truth or [0] * n),
        probabilities=np.full((n, 3), 1 / 3),
        classes=CLASSES,
        gates=dict(zip(("ssl", "mel", "mfcc", "chroma"), columns, strict=False)),
    )


def test_gates_are_summarised_by_corpus_and_by_emotion() -> None:
    summary = summarise_gates(
        gated([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9], [0.3, 0.7]], ["tess", "crema", "tess", "tess"], truth=[0, 0, 2, 2])
    )
    json.dumps(summary.to_json(), allow_nan=False)
    assert set(summary.to_json()) == {"mean", "per_corpus", "per_emotion", "entropy", "entropy_of_mean", "collapsed_onto"}
    assert summary.mean == pytest.approx({"ssl": 0.45, "mel": 0.55})
    assert list(summary.per_corpus) == ["crema", "tess"]
    assert summary.per_corpus["crema"] == pytest.approx({"ssl": 0.6, "mel": 0.4})
    assert summary.per_corpus["tess"] == pytest.approx({"ssl": 0.4, "mel": 0.6})
    assert summary.per_emotion.keys() == {"neutral", "sad"}, "no clip of test is happy"
    assert summary.per_emotion["sad"] == pytest.approx({"ssl": 0.2, "mel": 0.8})
    assert summary.collapsed_onto is None


@pytest.mark.parametrize(
    ("weights", "entropy", "of_mean"),
    [
        ([[0.5, 0.5]], 1.0, 1.0),
        ([[0.25] * 4] * 3, 1.0, 1.0),
        ([[1.0, 0.0], [0.0, 1.0]], 0.0, 1.0),
        ([[1.0, 0.0], [1.0, 0.0]], 0.0, 0.0),
        ([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]], 0.0, 0.5),
        ([[0.5, 0.5], [1.0, 0.0]], 0.5, 0.8112781),
    ],
)
def test_the_entropy_tells_a_gate_that_chooses_from_one_that_always_mixes(
    weights: list[list[float]], entropy: float, of_mean: float
) -> None:
    summary = summarise_gates(gated(weights))
    assert summary.entropy == pytest.approx(entropy)
    assert summary.entropy_of_mean == pytest.approx(of_mean)


@given(
    rows=st.integers(2, 5).flatmap(lambda experts: st.lists(st.lists(st.floats(-50, 50), min_size=experts, max_size=experts), min_size=1))
)
@settings(max_examples=50, deadline=None)
def test_the_entropy_is_a_share_and_mixing_never_lowers_it(rows: list[list[float]]) -> None:
    scores = np.exp(np.array(rows) - np.max(rows, axis=1, keepdims=True))
    weights = scores / scores.sum(axis=1, keepdims=True)
    each, of_mean = relative_entropy(weights), relative_entropy(weights.mean(axis=0, keepdims=True))[0]
    assert (each >= 0).all()
    assert (each <= 1 + 1e-9).all()
    assert each.mean() <= of_mean + 1e-9


@pytest.mark.parametrize(("weight", "expected"), [(COLLAPSE + 0.01, "mel"), (COLLAPSE - 0.01, None), (1.0, "mel")])
def test_a_gate_that_hears_one_expert_alone_is_named(weight: float, expected: str | None) -> None:
    assert summarise_gates(gated([[1 - weight, weight]] * 3)).collapsed_onto == expected


def test_weights_and_probabilities_come_in_the_order_of_the_entries() -> None:
    entries = [Entry(f"clip{index}", "tess", "tess/OAF", "sad", index % 3) for index in range(4)]
    gates = {"ssl": np.array([0.1, 0.2, 0.3, 0.4]), "mel": np.array([0.9, 0.8, 0.7, 0.6])}
    predictions = Predictions.from_entries(entries, np.full((4, 3), 1 / 3), CLASSES, gates)
    assert (predictions.ids, predictions.gates["mel"].tolist()) == (["clip0", "clip1", "clip2", "clip3"], [0.9, 0.8, 0.7, 0.6])
    assert Predictions.from_entries(entries, np.full((4, 3), 1 / 3), CLASSES).gates == {}
    with pytest.raises(ValueError, match="4 ids"):
        Predictions.from_entries(entries, np.full((4, 3), 1 / 3), CLASSES, {"ssl": np.ones(3)})


def test_the_weights_of_the_table_are_those_of_the_model(tmp_path: Path) -> None:
    predictions = gated([[0.8, 0.2], [1 / 3, 2 / 3]])
    write_predictions(tmp_path / "predictions.csv", {"test": predictions})
    rows = read_csv(tmp_path / "predictions.csv")
    assert [(float(row["gate_ssl"]), float(row["gate_mel"])) for row in rows] == [(0.8, 0.2), (1 / 3, 2 / 3)]
