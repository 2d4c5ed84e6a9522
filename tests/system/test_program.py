"""The name of the program as it can be typed again."""

import sys
from pathlib import Path

import pytest

from ser.system.program import program


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`bin dir/ser` below the current folder, started by its path and not found by the shell."""
    path = tmp_path / "bin dir/ser"
    path.parent.mkdir()
    path.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", [str(path)])
    return path


def test_a_program_that_the_shell_does_not_find_goes_by_its_path(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert program() == "'bin dir/ser'"
    monkeypatch.chdir(script.parent)
    assert program() == "./ser"
    monkeypatch.chdir("/")
    assert program() == f"'{tmp_path.relative_to('/')}/bin dir/ser'"


def test_a_program_that_the_shell_finds_goes_by_its_name(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(script.parent))
    assert program() == "ser"


def test_a_module_goes_by_the_interpreter(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "ser/__main__.py")])
    assert program() == f"{sys.executable} -m ser"
