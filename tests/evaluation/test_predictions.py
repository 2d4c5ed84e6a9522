"""Tables of predictions: what is written is what is read, and a damaged table is noticed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ser.emotions import EMOTIONS
from ser.errors import ArtefactError
from ser.evaluation.predictions import (
    Predictions,
    is_of_protocol,
    read_predictions,
    read_protocol_predictions,
    write_predictions,
    write_protocol_predictions,
)
from ser.evaluation.scores import score
from workspace import rows_of

IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
NUMBERS = st.floats(0, 1, allow_subnormal=False, width=32)


@st.composite
def tables(draw: st.DrawFn, experts: int | None = None) -> Predictions:
    """Any predictions that a run could leave: classes in the order of the vocabulary, any text as id, numbers in float32."""
    kept = draw(st.sets(st.sampled_from(EMOTIONS), min_size=2))
    classes = tuple(emotion for emotion in EMOTIONS if emotion in kept)
    ids = draw(st.lists(IDS, min_size=1, max_size=6, unique=True))
    n = len(ids)
    names = ("ssl", "mel", "mfcc")[: draw(st.integers(0, 3)) if experts is None else experts]
    return Predictions(
        ids=ids,
        corpora=draw(st.lists(st.sampled_from(("crema", "tess")), min_size=n, max_size=n)),
        speakers=draw(st.lists(IDS, min_size=n, max_size=n)),
        truth=draw(arrays.arrays(np.int64, n, elements=st.integers(0, len(classes) - 1))),
        probabilities=draw(arrays.arrays(np.float32, (n, len(classes)), elements=NUMBERS)),
        classes=classes,
        gates={name: draw(arrays.arrays(np.float32, n, elements=NUMBERS)) for name in names},
    )


def assert_equal(found: Predictions, expected: Predictions) -> None:
    assert (found.ids, found.corpora, found.speakers) == (expected.ids, expected.corpora, expected.speakers)
    assert found.classes == expected.classes
    np.testing.assert_array_equal(found.truth, expected.truth)
    np.testing.assert_array_equal(found.prediction, expected.prediction)
    np.testing.assert_array_equal(found.probabilities.astype(np.float32), expected.probabilities)
    assert found.gates.keys() == expected.gates.keys()
    for name, weights in expected.gates.items():
        np.testing.assert_array_equal(found.gates[name].astype(np.float32), weights)


reused = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(written=tables())
@reused
def test_what_is_read_is_what_was_written(tmp_path: Path, written: Predictions) -> None:
    path = tmp_path / "predictions.csv"
    write_predictions(path, {"val": written, "test": written})
    found = read_predictions(path)
    assert list(found) == ["val", "test"]
    assert_equal(found["val"], written)
    assert_equal(found["test"], written)
    assert score(found["test"]) == score(written)
    assert not is_of_protocol(path)


@given(first=tables(), second=tables())
@reused
def test_folds_with_other_classes_and_experts_share_a_table(tmp_path: Path, first: Predictions, second: Predictions) -> None:
    path = tmp_path / "predictions.csv"
    other = replace(second, probabilities=np.ascontiguousarray(second.probabilities[:, ::-1]))
    write_protocol_predictions(path, {"a": {1: first}, "b": {3: second, 1: other}})
    found = read_protocol_predictions(path)
    assert {fold: len(seeds) for fold, seeds in found.items()} == {"a": 1, "b": 2}
    for expected, read in zip((first, second, other), (*found["a"], *found["b"]), strict=True):
        assert_equal(read, expected)
    assert is_of_protocol(path)


SMALL = Predictions(
    ids=["a", "b", "c"],
    corpora=["tess"] * 3,
    speakers=["tess/OAF", "tess/OAF", "tess/YAF"],
    truth=np.array([0, 1, 1]),
    probabilities=np.array([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875]], np.float32),
    classes=("happy", "sad"),
)


@pytest.mark.parametrize("gates", [False, True])
def test_the_table_of_predictions_has_the_columns_of_the_contract(tmp_path: Path, gates: bool) -> None:
    written = replace(SMALL, gates={"mel": np.ones(3), "ssl": np.zeros(3)} if gates else {})
    write_predictions(tmp_path / "predictions.csv", {"val": written, "test": written})
    rows = rows_of(tmp_path / "predictions.csv")
    expected = ["split", "id", "corpus", "speaker", "truth", "prediction", "p_happy", "p_sad"]
    assert list(rows[0]) == expected + (["gate_mel", "gate_ssl"] if gates else [])
    assert [row["split"] for row in rows] == ["val"] * 3 + ["test"] * 3
    assert [row["truth"] for row in rows[:3]] == ["happy", "sad", "sad"]
    assert [row["prediction"] for row in rows[:3]] == ["happy", "happy", "sad"]


def test_the_table_of_a_protocol_has_the_columns_of_the_contract(tmp_path: Path) -> None:
    other = replace(SMALL, classes=("neutral", "sad"), gates={"mel": np.ones(3)})
    write_protocol_predictions(tmp_path / "predictions.csv", {"1": {7: SMALL}, "2": {7: other}})
    rows = rows_of(tmp_path / "predictions.csv")
    columns = ["fold", "seed", "id", "corpus", "speaker", "truth", "prediction", "p_neutral", "p_happy", "p_sad", "gate_mel"]
    assert list(rows[0]) == columns
    assert [rows[0][name] for name in ("fold", "seed", "p_neutral", "p_happy", "gate_mel")] == ["1", "7", "", "0.75", ""]
    assert [rows[3][name] for name in ("fold", "seed", "p_neutral", "p_happy", "gate_mel")] == ["2", "7", "0.75", "", "1.0"]


def test_splits_with_different_classes_do_not_share_a_table(tmp_path: Path) -> None:
    for other in (replace(SMALL, gates={"mel": np.ones(3)}), replace(SMALL, classes=("happy", "angry"))):
        with pytest.raises(ValueError, match="differ"):
            write_predictions(tmp_path / "predictions.csv", {"val": SMALL, "test": other})


def test_selected_utterances_keep_all_that_is_theirs() -> None:
    written = replace(SMALL, gates={"mel": np.array([0.1, 0.2, 0.3])}).select(np.array([False, True, True]))
    assert (written.ids, written.speakers, written.truth.tolist(), written.gates["mel"].tolist()) == (
        ["b", "c"],
        ["tess/OAF", "tess/YAF"],
        [1, 1],
        [0.2, 0.3],
    )
    assert len(SMALL.select(np.zeros(3, np.bool_)).ids) == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tess/OAF,sad,happy,0.5", "tess/OAF,angry,happy,0.5", r"test: no probability of angry"),
        ("0.75,0.25", "0.75,", "p_sad is empty in some rows"),
        ("0.75,0.25", "0.75,much", "could not convert"),
        ("0.75,0.25", "0.75,nan", "probabilities of a are not finite"),
        ("0.125,0.875", "0.875,0.125", "the prediction of c is not its most probable class"),
        ("test,b", "test,a", "an utterance is repeated"),
        ("0.75,0.25", "0.75", "number of cells"),
        ("speaker", "singer", "lacks the column"),
    ],
)
def test_a_damaged_table_is_an_error_that_says_what_is_wrong(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "predictions.csv"
    write_predictions(path, {"test": SMALL})
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(ArtefactError, match=said):
        read_predictions(path)


@pytest.mark.parametrize(
    "other",
    [
        replace(SMALL, truth=np.array([1, 1, 1])),
        replace(SMALL, speakers=["tess/OAF", "tess/OAF", "tess/other"]),
        replace(SMALL, corpora=["tess", "tess", "crema"]),
        replace(SMALL, ids=["a", "b", "d"]),
    ],
)
def test_seeds_of_a_fold_that_are_not_of_the_same_rows_are_an_error(tmp_path: Path, other: Predictions) -> None:
    path = tmp_path / "predictions.csv"
    write_protocol_predictions(path, {"1": {1: SMALL, 2: other}})
    with pytest.raises(ArtefactError, match="the seeds of fold 1 differ"):
        read_protocol_predictions(path)


def test_a_protocol_without_folds_and_a_run_without_rows_read_as_nothing(tmp_path: Path) -> None:
    write_protocol_predictions(tmp_path / "protocol.csv", {})
    assert read_protocol_predictions(tmp_path / "protocol.csv") == {}
    write_predictions(tmp_path / "run.csv", {"test": SMALL.select(np.zeros(3, np.bool_))})
    assert read_predictions(tmp_path / "run.csv") == {}
