"""Scores as JSON: what an earlier version wrote is read, written as it was byte for byte, and computed again from the predictions."""

import json
from pathlib import Path
from typing import Any

import pytest

from places import ROOT
from ser.errors import ArtefactError
from ser.evaluation.folds import fold_scores
from ser.evaluation.gates import summarise_gates
from ser.evaluation.intervals import NOT_STORED
from ser.evaluation.predictions import read_predictions, read_protocol_predictions
from ser.evaluation.protocol_scores import ProtocolScores
from ser.evaluation.records import Record
from ser.evaluation.run_scores import RunScores, read_run_scores
from ser.evaluation.scores import pooled_scores, score
from ser.system.files import read_json, write_json

ARTEFACTS = ROOT / "tests" / "artefacts"
RUNS = ["spectral_crnn", "ssl_spectral_moe"]
GOLDENS: dict[str, tuple[Path, type[Record]]] = {
    **{run: (ARTEFACTS / "runs" / run / "test_metrics.json", RunScores) for run in RUNS},
    "protocol": (ARTEFACTS / "protocol" / "protocol.json", ProtocolScores),
}


@pytest.mark.parametrize("name", GOLDENS)
def test_scores_are_written_as_they_were_read(name: str, tmp_path: Path) -> None:
    golden, kind = GOLDENS[name]
    write_json(tmp_path / "again.json", kind.from_json(read_json(golden)).to_json())
    assert (tmp_path / "again.json").read_bytes() == golden.read_bytes()


def same_text(found: object, stored: object) -> None:
    """Also the order of the keys and the last digit."""
    assert json.dumps(found, indent=1) == json.dumps(stored, indent=1)


@pytest.mark.parametrize("run", RUNS)
def test_the_scores_of_a_run_follow_from_its_predictions(run: str) -> None:
    folder = ARTEFACTS / "runs" / run
    stored, test = read_json(folder / "test_metrics.json"), read_predictions(folder / "predictions.csv")["test"]
    found = score(test).to_json()
    same_text(found, {name: stored[name] for name in found})
    if test.gates:
        assert summarise_gates(test).mean == pytest.approx(stored["gates"]["mean"])  # of weights in 32 bits, and here of 64


def test_the_scores_of_a_protocol_follow_from_its_predictions() -> None:
    folder = ARTEFACTS / "protocol"
    stored, folds = read_json(folder / "protocol.json"), read_protocol_predictions(folder / "predictions.csv")
    found = fold_scores(folds).to_json()
    same_text(found, {name: stored[name] for name in found})
    for row in stored["folds"]:
        scores = pooled_scores(folds[row["fold"]]).to_json()
        same_text(scores, {name: row[name] for name in scores})


def test_what_an_earlier_version_did_not_store_is_none_and_no_interval() -> None:
    golden: dict[str, Any] = read_json(ARTEFACTS / "runs" / RUNS[0] / "test_metrics.json")
    later = ("intervals", "per_gender", "per_speaker", "ran_on", "calibration")
    found = RunScores.from_json({name: value for name, value in golden.items() if name not in later} | {"of_tomorrow": 1})
    assert (found.uar.value, found.uar.interval) == (golden["uar"], NOT_STORED)
    assert (found.per_gender, found.calibration) == ({}, None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"uar": "high"}, "uar.value: "),
        ({"per_class": {"sad": {"precision": 1.0}}}, "per_class.sad.recall: Field required"),
        ({"ssl_layer_weights": {"0": 1.5}}, "ssl_layer_weights.0: "),
        ({"best_epoch": None}, "best_epoch: "),
    ],
)
def test_what_is_no_score_is_refused_by_name(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    golden = read_json(ARTEFACTS / "runs" / RUNS[0] / "test_metrics.json")
    write_json(tmp_path / "test_metrics.json", golden | changes)
    with pytest.raises(ArtefactError, match="is not a file of scores of this program") as error:
        read_run_scores(tmp_path / "test_metrics.json")
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) == 1
