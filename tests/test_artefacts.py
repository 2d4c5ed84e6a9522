"""What earlier versions wrote is read by this one: checkpoints, stores, runs, exported files (tests/artefacts/README.md)."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import Ser
from places import ROOT
from ser import Predictor
from trees import write_trees
from workspace import SPEED_ALONE

ARTEFACTS = ROOT / "tests" / "artefacts"
ANSWERS: dict[str, dict[str, list[float]]] = json.loads((ARTEFACTS / "answers.json").read_text())


@pytest.fixture
def earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the artefacts, as the working directory, beside the audio that they were made from."""
    folder = tmp_path / "earlier"
    shutil.copytree(ARTEFACTS, folder)
    write_trees(folder / "raw", ["savee"], takes=1)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("model", ANSWERS)
def test_a_model_of_an_earlier_version_answers_as_it_did_then(model: str, earlier: Path) -> None:
    predictor = Predictor.load(model)
    for clip in sorted(earlier.rglob("raw/**/*.wav")):
        answer = list(predictor.predict(clip).probabilities.values())
        np.testing.assert_allclose(answer, ANSWERS[model][clip.stem], atol=1e-5, err_msg=f"{model}, {clip.stem}")


@pytest.mark.parametrize("config", [("fast.yaml", "--set", SPEED_ALONE), ("moe.yaml",)], ids=lambda config: config[0])
def test_the_stores_of_an_earlier_version_are_used_as_they_are(config: tuple[str, ...], earlier: Path, ser: Ser) -> None:
    def shards() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in earlier.glob("processed/features/*/*.npy")}

    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in earlier.glob("processed/features/*/*")}

    before, texts = shards(), contents()
    answer = ser("--config", *config, "--steps", "transform,load")
    assert answer.code == 0, answer.err
    assert shards() == before
    assert contents() == texts


def test_a_run_of_an_earlier_version_can_be_resumed(earlier: Path, ser: Ser) -> None:
    history = (earlier / "runs/spectral_crnn/history.csv").read_text()
    answer = ser(
        "--config", "fast.yaml", "--set", SPEED_ALONE, "--epochs", "2", "--steps", "train", "--run-name", "spectral_crnn", "--resume"
    )
    assert answer.code == 0, answer.err
    assert (earlier / "runs/spectral_crnn/history.csv").read_text() == history


@pytest.mark.parametrize("run", ["spectral_crnn", "ssl_spectral_moe"])
def test_a_run_of_an_earlier_version_is_reported_and_exported(run: str, earlier: Path, ser: Ser) -> None:
    (earlier / "runs" / run / "model.onnx").unlink()
    for command in (("report", f"runs/{run}", "--clips", "0", "--no-audio"), ("export", f"runs/{run}")):
        answer = ser(*command)
        assert answer.code == 0, answer.err
    assert (earlier / "runs" / run / "report.html").is_file()
    predictor = Predictor.load(f"runs/{run}/model.onnx")
    clip = next(earlier.rglob("raw/**/*.wav"))
    answers = list(predictor.predict(clip).probabilities.values())
    np.testing.assert_allclose(answers, ANSWERS[f"runs/{run}/model.onnx"][clip.stem], atol=1e-5)


def test_runs_and_protocols_of_an_earlier_version_are_compared(earlier: Path, ser: Ser) -> None:
    for pair in (("runs/spectral_crnn", "runs/ssl_spectral_moe"), ("protocol", "protocol")):
        answer = ser("report", "--compare", *pair)
        assert answer.code == 0, answer.err
