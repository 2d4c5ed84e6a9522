"""What `requirements/runtime.txt` installs is enough for a model that `ser export` wrote: for predict, for the service, to describe it."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from places import ROOT
from workspace import Workspace

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL: dict[str, list[str]] = PROJECT["optional-dependencies"]
LINES = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8").splitlines()
RUNTIME = [Requirement(line) for line in LINES if not line.startswith("#")]
MODEL = ROOT / "tests" / "artefacts" / "runs" / "spectral_crnn" / "model.onnx"
LEFT_OUT = ("torch", "scipy", "transformers", "huggingface_hub", "safetensors", "onnx", "sklearn", "matplotlib", "pandas", "librosa")

WITHOUT = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {LEFT_OUT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""
PROGRAM = WITHOUT + "from ser.cli import main\nmain()"
SERVICE = WITHOUT + "import ser.commands.serve, ser.serve.app, ser.serve.worker, ser.serve.server"


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command",
    [
        ("predict", "--format", "json", "{clip}", "--model", "{model}"),
        ("predict", "{clip}", "--model", "{model}"),
        ("info", "{model}"),
    ],
    ids=["json", "table", "info"],
)
def test_an_exported_model_is_used_without_what_training_needs(command: tuple[str, ...], prepared: Workspace) -> None:
    clip = next(prepared.raw.rglob("*.wav"))
    done = run(PROGRAM, *(part.format(clip=clip, model=MODEL) for part in command))
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_service_starts_without_what_training_needs() -> None:
    done = run(SERVICE)
    assert done.returncode == 0, done.stderr


def test_what_needs_torch_is_one_line_where_there_is_none(prepared: Workspace) -> None:
    done = run(PROGRAM, "--config", prepared.config_file, "--steps", "load")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ser: this command needs ")
    assert done.stderr.endswith("\n")
    assert done.stderr.count("\n") == 1


def test_the_ranges_are_those_of_pyproject() -> None:
    ranges = {Requirement(text) for text in [*PROJECT["dependencies"], *OPTIONAL["serve"]]}
    assert set(RUNTIME) <= ranges
    assert {Requirement(text) for text in OPTIONAL["serve"]} <= set(RUNTIME)
    assert {requirement.name for requirement in ranges - set(RUNTIME)} == {
        "torch", "scipy", "transformers", "huggingface-hub", "safetensors",
    }  # fmt: skip
