"""`~` at the start of a path is the home folder, wherever a user gives one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
import typer

import ser
from conftest import Ser
from ser.cli import app
from ser.commands.arguments.pipeline import PIPELINE_COMMANDS
from ser.commands.compare import compare_runs
from ser.config import ProjectConfig, SslConfig
from ser.config_file import load_config
from ser.errors import ConfigError, DataError, SerError
from ser.home import expand_home, user_path
from ser.inference.options import PredictOptions

NOT_PATHS = {
    "steps", "run_name", "settings", "split", "utterance_id", "form", "host", "allow_host", "folds", "seeds", "name",
}  # fmt: skip
"""Parameters of commands that are text and no path."""

CASES = [
    ("", "config", ["--config=~/absent.yaml"], "absent.yaml"),
    *((name, "config", ["--config=~/absent.yaml"], "absent.yaml") for name in PIPELINE_COMMANDS),
    ("config show", "config", ["~/absent.yaml"], "absent.yaml"),
    ("info", "model", ["~/absent"], "absent"),
    ("protocol run", "config", ["ravdess/emobox", "--config=~/absent.yaml"], "absent.yaml"),
    ("report", "run", ["~/absent"], "absent"),
    ("report", "compare", ["--compare", "~/absent", "runs/b"], "absent"),
    ("visualize", "config", ["--config=~/absent.yaml"], "absent.yaml"),
    ("export", "run", ["~/absent"], "absent"),
    ("export", "out", ["runs/a", "--out=~/folder.onnx"], "folder.onnx is a folder"),
    ("export", "web", ["runs/a", "--web=~/full"], "full holds other.txt"),
    ("export", "runtime", ["runs/a", "--web=page", "--runtime=~/absent.tgz"], "absent.tgz"),
    ("predict", "paths", ["~/absent/*.wav"], "absent/*.wav matches no audio file"),
    ("predict", "embedding", ["x.wav", "--embedding=~/folder.npy"], "folder.npy is a folder"),
    ("predict", "output", ["x.wav", "--output=~/folder.onnx", "--format=csv"], "folder.onnx is a folder"),
    ("predict", "model", ["x.wav", "--model=~/absent.onnx"], "absent.onnx does not exist"),
    ("serve", "model", ["~/absent.onnx"], "absent.onnx does not exist"),
    ("demo", "folder", ["--folder=~/file"], "file"),
]
"""(command, parameter, arguments, part of the error after the home folder): every error names the expanded path."""
ELSEWHERE = {("export", "backbone"), ("predict", "backbone"), ("serve", "backbone"), ("visualize", "run")}
"""Parameters that are looked at after much else: tested below."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder; the working directory is another one, and empty."""
    folder = tmp_path / "home"
    (folder / "folder.onnx").mkdir(parents=True)
    (folder / "folder.npy").mkdir()
    (folder / "full").mkdir()
    for name in ("full/other.txt", "file"):
        (folder / name).write_text("")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(folder))
    return folder


def commands(typer_app: typer.Typer, prefix: str = "") -> Iterator[tuple[str, Callable[..., object]]]:
    """(name, function) of every command; the name of the program itself is empty."""
    if typer_app.registered_callback and typer_app.registered_callback.callback:
        yield prefix, typer_app.registered_callback.callback
    for command in typer_app.registered_commands:
        if command.callback:
            yield f"{prefix} {command.name or command.callback.__name__.replace('_', '-')}".strip(), command.callback
    for group in typer_app.registered_groups:
        assert group.typer_instance
        yield from commands(group.typer_instance, f"{prefix} {group.name}".strip())


def parameters() -> Iterator[tuple[str, str]]:
    """(command, parameter) of every parameter that takes text."""
    for command, function in commands(app):
        for name, hint in get_type_hints(function).items():
            if takes_text(hint):
                yield command, name


def takes_text(hint: object) -> bool:
    """
    >>> [takes_text(hint) for hint in (str, str | None, list[str] | None, tuple[str, str], Path, int, Literal["a"])]
    [True, True, True, True, True, False, False]
    """
    return hint in {str, Path} or (get_origin(hint) is not Literal and any(map(takes_text, get_args(hint))))


def test_every_path_of_every_command_is_in_the_tables() -> None:
    """A new option is either added to one of them or to `NOT_PATHS`."""
    found = {(command, name) for command, name in parameters() if name not in NOT_PATHS}
    assert found, "the search finds nothing"
    assert found == {(command, name) for command, name, _, _ in CASES} | ELSEWHERE


@pytest.mark.parametrize(("command", "name", "arguments", "expected"), CASES)
def test_a_command_expands_it(ser: Ser, home: Path, command: str, name: str, arguments: list[str], expected: str) -> None:
    answer = ser(*command.split(), *arguments)
    assert answer.code in {2, 3}
    assert f"{home}/{expected}" in answer.err.replace("\n", "")
    assert not any(path.name.startswith("~") for path in home.rglob("*"))
    assert not any(path.name.startswith("~") for path in Path().rglob("*"))


@pytest.mark.parametrize("key", [name for name, field in ProjectConfig.model_fields.items() if name.endswith("_dir")])
def test_a_config_expands_it(home: Path, key: str) -> None:
    Path("own.yaml").write_text(f"project: {{{key}: ~/from/file}}\n")
    assert getattr(load_config("own.yaml").project, key) == f"{home}/from/file"
    assert getattr(load_config("own.yaml", [f"project.{key}=~/from/setting"]).project, key) == f"{home}/from/setting"


def test_folders_and_the_backbone_are_the_paths_of_a_config(home: Path) -> None:
    text = {name for name, field in ProjectConfig.model_fields.items() if field.annotation is str}
    assert text == {"raw_dir", "processed_dir", "runs_dir", "reports_dir"}
    assert SslConfig(model_id="~/wavlm").model_id == f"{home}/wavlm"


def test_so_do_a_config_that_extends_another_and_its_name(home: Path) -> None:
    (home / "base.yaml").write_text("train: {epochs: 7}\n")
    (home / "own.yaml").write_text("extends: ~/base.yaml\n")
    assert load_config("~/own.yaml").train.epochs == 7


def test_a_user_who_does_not_exist_is_an_error_that_names_the_key(ser: Ser, home: Path) -> None:
    answer = ser("--config", "demo.yaml", "--set", "project.raw_dir=~nosuchuser/x", "--dry-run")
    assert answer.code == 2
    assert "project.raw_dir: ~nosuchuser/x: there is no user nosuchuser" in answer.err
    assert "(--set project.raw_dir=~nosuchuser/x)" in answer.err


def test_python_expands_it_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("~/absent.onnx", Path("~/absent.onnx")):
        with pytest.raises(DataError, match=f"^{home}/absent.onnx does not exist"):
            ser.Predictor.load(path)
    monkeypatch.setenv("SER_MODEL", "~/absent.onnx")
    with pytest.raises(ConfigError, match=f"SER_MODEL names {home}/absent.onnx"):
        ser.Predictor.from_options(PredictOptions())
    with pytest.raises(SerError, match=f"^{home}/a"):
        compare_runs("~/a", "b")
    options = PredictOptions("~/m", backbone="~/b")
    assert (options.model, options.backbone) == (f"{home}/m", f"{home}/b")


def test_a_file_whose_name_begins_so_is_a_file(home: Path) -> None:
    """As the shell gives them for `*.wav`."""
    Path("~backup.wav").write_text("")
    assert expand_home("~backup.wav") == "~backup.wav"
    assert user_path("./~/x") == Path("./~/x")
    with pytest.raises(ConfigError, match=r"^~other.wav: there is no user other.wav; for a file with this name give ./~other.wav$"):
        expand_home("~other.wav")
