"""`ser demo`: the four steps on the embedded sample, everything below one folder."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from conftest import Ser
from ser.commands import demo as step
from ser.config import ExperimentConfig
from ser.config_file import load_config
from ser.runs.run import Run
from workspace import metrics_of, rows_of

SMALL = (
    "model.spectral_crnn={channels: [4, 8], branch_dim: 8, bottleneck_dim: 8, gru_dim: 8}",
    "train.epochs=1",
    "train.precision=fp32",
    "runtime={threads: 1, workers: 1}",
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo with a network and a number of epochs that a test has time for."""

    def load_small(name: str, settings: list[str]) -> ExperimentConfig:
        return load_config(name, [*settings, *SMALL])

    monkeypatch.setattr(step, "load_config", load_small)


@pytest.mark.slow
def test_the_demo_measures_a_model_on_real_speech(small: None, ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = ser("demo", "--quiet")
    assert answer.code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"demo"}
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {"processed", "runs"}
    (folder,) = (tmp_path / "demo/runs").iterdir()
    metrics = metrics_of(Run(folder))
    assert metrics["classes"] == ["neutral", "happy", "sad", "angry", "fear", "disgust"]
    assert metrics["speaker_independent"] is True
    assert len(rows_of(tmp_path / "demo/processed/skipped.csv")) == 0
    assert f"results: {folder.relative_to(tmp_path)}" in answer.out
    assert "not to judge accuracy" in answer.out.splitlines()[-1]
    assert "epoch" not in answer.err
    program, *pasted = shlex.split(answer.out.splitlines()[-2].removeprefix("Try it: "))
    assert program == "ser"
    again = ser(*pasted)
    assert (again.code, "likeliest" in again.out) == (0, True)


def test_every_folder_stands_below_the_one_that_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever signs its name holds."""
    calls: list[tuple[Any, Any]] = []
    monkeypatch.setattr(step, "run_steps", lambda config, steps: calls.append((config.project, steps)))
    folder = tmp_path / "it's: {a} #folder\\n"
    step.demo(str(folder))
    ((project, steps),) = calls
    assert steps == ["extract", "transform", "load", "train"]
    assert (project.processed_dir, project.runs_dir, project.reports_dir) == tuple(
        str(folder / name) for name in ("processed", "runs", "reports")
    )
    assert project.corpora == ("crema",)
    assert any((Path(project.raw_dir) / "crema").iterdir())


def test_a_folder_that_is_a_file_is_one_line(ser: Ser, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = ser("demo", "--folder", tmp_path / "file")
    assert answer.code == 3
    assert answer.err.startswith("ser: ")
    assert len(answer.err.splitlines()) == 1
