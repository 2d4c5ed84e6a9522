"""A launcher that starts the program twice is refused before anything is written: two trainings would end in two folders."""

from pathlib import Path

import pytest

from conftest import Ser
from ser.config import ExperimentConfig
from ser.errors import ConfigError
from ser.pipeline.train import train

COMMANDS = (
    ["--config", "demo.yaml"],
    ["--config", "demo.yaml", "--steps", "extract"],
    ["protocol", "run", "ravdess/emobox", "--config", "demo.yaml"],
    ["demo"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_trains_or_writes_is_refused_in_one_line(
    ser: Ser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    answer = ser(*command)
    assert answer.code == 2
    assert answer.err.startswith("ser: WORLD_SIZE is 2, but ser does not support training on several processes: start it once")
    assert answer.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("variable", ["WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"])
def test_so_is_training_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, "8")
    with pytest.raises(ConfigError, match=f"{variable} is 8"):
        train(ExperimentConfig())


@pytest.mark.parametrize("size", ["1", "", "many"])
def test_one_process_is_none_of_several(ser: Ser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", size)
    assert ser("--config", "demo.yaml", "--steps", "train").code == 3  # no step has run before it


@pytest.mark.parametrize("command", [["predict", "no.wav", "--model", "no.onnx"], ["protocol", "list"]], ids=" ".join)
def test_what_writes_nothing_runs_as_often_as_one_likes(ser: Ser, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "WORLD_SIZE" not in ser(*command).err
