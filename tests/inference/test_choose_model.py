"""Of the newest run its exported model answers, if it says what the run would say."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ser.errors import ConfigError
from ser.export.onnx_file import export_run
from ser.inference.choose_model import choose_model
from ser.inference.options import PredictOptions
from ser.inference.seal import weights_of
from ser.runs.run import Run
from ser.system.files import read_json, write_json

ONNX, RUN = Path("runs/mine/model.onnx"), Path("runs/mine")


@pytest.fixture(scope="module")
def exported(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_run(finished, found)
    return found


@pytest.fixture
def here(tmp_path: Path, finished: Run, exported: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the run and its exported model."""
    shutil.copytree(finished.folder, tmp_path / RUN)
    shutil.copy(exported, tmp_path / ONNX)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SER_MODEL", raising=False)
    return tmp_path


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("backbone", "chosen"), [(None, ONNX), ("wavlm", RUN)])
def test_the_exported_model_answers_for_its_run(capsys: pytest.CaptureFixture[str], backbone: str | None, chosen: Path) -> None:
    assert choose_model(PredictOptions(backbone=backbone)) == chosen
    assert capsys.readouterr().err == f"ser: the model is {chosen} (--model names another)\n"


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 4
    path.write_bytes(content)


def train_again(run: Path) -> None:
    scores = read_json(run / "test_metrics.json")
    write_json(run / "test_metrics.json", {**scores, "weights": "0" * 64})


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "of other weights": (train_again, "was not exported from the weights in best.pth"),
    "of a run that does not tell": (lambda run: write_json(run / "test_metrics.json", {}), "was not exported from the weights in best.pth"),
    "empty": (lambda run: (run / "model.onnx").write_bytes(b""), "was not exported from the weights in best.pth"),
    "cut": (lambda run: (run / "model.onnx").write_bytes((run / "model.onnx").read_bytes()[:-100]), "is not a model exported"),
    "damaged": (lambda run: flip(run / "model.onnx", 1000), "is corrupted (checksum mismatch)"),
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("what", SPOILED)
def test_an_exported_model_that_is_not_the_run_is_told_and_passed_over(capsys: pytest.CaptureFixture[str], what: str) -> None:
    spoil, words = SPOILED[what]
    spoil(RUN)
    assert choose_model(PredictOptions()) == RUN
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[0].startswith(f"ser: {ONNX} {words}")
    assert said[0].endswith(": the run is used instead")


def test_the_weights_are_told_without_loading_the_model(exported: Path, finished: Run, tmp_path: Path) -> None:
    assert weights_of(exported) == read_json(finished.metrics)["weights"]
    assert weights_of(finished.best) is None
    assert weights_of(tmp_path) is None


def test_the_run_of_the_demo_is_named_where_there_is_no_other(here: Path) -> None:
    shutil.move(here / RUN, here / "demo" / RUN)
    with pytest.raises(ConfigError, match=r"no finished run in ./runs: to use the run of `ser demo`, add --model demo/runs/mine$"):
        choose_model(PredictOptions())
