"""The command line: what it takes, what it refuses with which exit code, and that it never answers with a traceback."""

import logging
import os
import runpy
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from conftest import Ser
from places import PACKAGE
from ser import __version__, cli
from ser.commands.arguments.common import parse_steps
from ser.commands.exit_codes import exit_codes
from ser.errors import ArtefactError, ConfigError, DataError, LeakageError, LockedError
from ser.pipeline import steps as pipeline
from workspace import Workspace, rows_of


def everything(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of each file and folder."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


# -- what it answers at once -----------------------------------------------------


def test_the_program_is_called_ser() -> None:
    (script,) = entry_points(group="console_scripts", name="ser")
    assert script.load() is cli.main


def test_version(ser: Ser) -> None:
    assert ser("--version").out == f"ser {__version__}\n"


@pytest.mark.parametrize("file", ["__main__.py", "cli.py"])
def test_python_runs_the_program_as_a_module_too(file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m ser` and `python -m ser.cli`."""
    monkeypatch.setattr("sys.argv", [file, "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(PACKAGE / file), run_name="__main__")
    assert (ended.value.code, capsys.readouterr().out) == (0, f"ser {__version__}\n")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_option_and_command_of_the_contract(ser: Ser, flag: str) -> None:
    answer = ser(flag)
    assert answer.code == 0
    options = ("--config", "--steps", "--epochs", "--run-name", "--set", "--resume", "--repair", "--dry-run", "--verbose", "-v", "demo")
    assert all(option in answer.out for option in options)


def test_help_of_demo(ser: Ser) -> None:
    answer = ser("demo", "--help")
    assert answer.code == 0
    assert "--folder" in answer.out


def test_no_argument_is_a_question_for_help(ser: Ser) -> None:
    answer = ser()
    assert answer.code == 2
    assert "Usage: ser" in answer.out + answer.err


# -- what it refuses ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--steps", "load"], "--config is missing"),
        (["--config", "{config}", "--steps", "lood"], "there is no step 'lood': did you mean load?"),
        (["--config", "{config}", "--steps", "load;train"], "there is no step 'load;train'"),
        (["--config", "{config}", "--steps", ","], "--steps is empty"),
        (["--config", "{config}", "--steps", ""], "--steps is empty"),
        (["--config", "absent.yaml"], "no config 'absent.yaml'"),
        (["--config", "spectral_crn.yaml"], "did you mean spectral_crnn.yaml?"),
        (["--config", ""], "no config ''"),
        (["--config", "x" * 5000], "no config" if sys.platform != "linux" else "cannot be read"),
        (["--config", "."], "no config '.'"),
        (["--config", "{config}", "--set", "train.epoch=1"], "unknown key train.epoch (--set train.epoch=1): did you mean epochs?"),
        (["--config", "{config}", "--set", "train.epochs"], "expected key.sub=value"),
        (["--config", "{config}", "--set", "=1"], "expected key.sub=value"),
        (["--config", "{config}", "--set", "train.epochs=many"], "train.epochs"),
        (["--config", "{config}", "--set", "train.epochs=[1"], "is not a YAML value"),
        (["--config", "{config}", "--set", "train=1"], "train"),
        (["--config", "{config}", "--set", "train.learning_rate=-1"], "train.learning_rate"),
        (["--config", "{config}", "--set", "train.learning_rate=.nan"], "train.learning_rate"),
        (["--config", "{config}", "--set", "model.features=[mel, ssl]"], "model: features has ssl, which spectral_crnn does not take"),
        (["--config", "{config}", "--set", "train.device=tpu"], "train.device"),
        (["--config", "{config}", "--epochs", "0"], "train.epochs"),
        (["--config", "{config}", "--epochs", "-1"], "train.epochs"),
        (["--config", "{config}", "--epochs", "1.5"], "Invalid value for '--epochs'"),
        (["--config", "{config}", "--run-name", ""], "--run-name"),
        (["--config", "{config}", "--run-name", "."], "--run-name"),
        (["--config", "{config}", "--run-name", ".."], "--run-name"),
        (["--config", "{config}", "--run-name", "a/b"], "--run-name"),
        (["--config", "{config}", "--run-name", "/tmp"], "--run-name"),
        (["--confg", "{config}"], "--confg"),
        (["train"], "--config is missing"),
        (["--config", "{config}", "train"], "give --config after the command: ser train --config"),
        (["extrct"], "there is no command 'extrct': did you mean ser extract?"),
        (["steps"], "did you mean the option --steps?"),
        (["reprt"], "did you mean ser report?"),
        (["mine.yaml"], "did you mean ser run --config mine.yaml?"),
        (["{config}"], "did you mean ser run --config "),
        (["protocol", "lst"], "did you mean ser protocol list?"),
        (["predict", "--modle", "x"], "--model"),
        (["demo", "--sample"], "--sample"),
    ],
)
def test_a_command_that_cannot_be_followed_is_exit_2_and_writes_nothing(
    prepared: Workspace, tmp_path: Path, ser: Ser, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    before = everything(prepared.root)
    answer = ser(*(argument.format(config=prepared.config_file) for argument in arguments))
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert everything(prepared.root) == before
    assert not list(tmp_path.iterdir())


def test_a_device_that_is_not_here_leaves_no_run(prepared: Workspace, ser: Ser, tmp_path: Path) -> None:
    absent = "mps" if sys.platform == "linux" else "cuda"
    runs = ("--set", f"project.runs_dir={tmp_path / 'runs'}")
    answer = ser("--config", prepared.config_file, "--steps", "train", "--set", f"train.device={absent}", *runs, "--run-name", "x")
    assert answer.code == 2
    assert f"train.device {absent} is not available on this machine" in answer.err
    assert not (tmp_path / "runs").exists()


def test_a_run_name_that_is_taken_is_exit_2(workspace: Workspace, ser: Ser) -> None:
    (workspace.runs / "taken").mkdir(parents=True)
    (workspace.runs / "taken/cfg.json").write_text("{}")
    answer = ser("--config", workspace.config_file, "--steps", "train", "--run-name", "taken")
    assert answer.code == 2
    assert "exists: choose another --run-name, or --resume it" in answer.err
    assert (workspace.runs / "taken/cfg.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("said"), 2),
        (DataError("said"), 3),
        (LeakageError("said"), 3),
        (OSError(5, "said"), 3),
        (PermissionError(13, "said", "/folder"), 3),
        (MemoryError("numpy's own words"), 3),
        (ImportError("x.so: failed to map segment from shared object"), 3),
        (ArtefactError("said"), 4),
        (LockedError("said"), 5),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_kind_of_error_has_its_exit_code(
    prepared: Workspace, ser: Ser, error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_it(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(pipeline, "run_steps", raise_it)
    answer = ser("--config", prepared.config_file)
    assert answer.code == code
    assert len(answer.err.splitlines()) == 1
    assert answer.err.startswith("ser: ")
    assert ("said" in answer.err) is not isinstance(error, KeyboardInterrupt | MemoryError | ImportError)


def test_a_defect_of_the_program_shows_its_traceback(prepared: Workspace, ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit codes are for the world's faults; our own must not hide behind them."""

    def defect(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(pipeline, "run_steps", defect)
    with pytest.raises(ZeroDivisionError):
        ser("--config", prepared.config_file)


def test_sigterm_is_exit_143(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as end, exit_codes():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert end.value.code == 143
    assert capsys.readouterr().err == "ser: stopped by SIGTERM; what was finished is kept\n"


def test_very_verbose_says_where_an_error_came_from(workspace: Workspace, ser: Ser) -> None:
    (workspace.processed / "manifest.csv").unlink()
    answer = ser("--config", workspace.config_file, "--steps", "load", "-vv")
    assert answer.code == 3
    assert "where it came from" in answer.err
    assert "read_manifest" in answer.err


# -- what it takes -------------------------------------------------------------------


def test_steps_run_in_the_order_of_the_pipeline_and_each_once() -> None:
    assert parse_steps("train, load,extract,train") == ["extract", "load", "train"]
    assert parse_steps("extract,doctor") == ["doctor", "extract"]


def test_all_four_steps_are_the_default(prepared: Workspace, ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(pipeline, "run_steps", lambda config, steps, **options: calls.append((steps, options)))
    assert ser("--config", prepared.config_file).code == 0
    assert ser("--config", prepared.config_file, "--run-name", "r", "--resume", "--repair", "--steps", "load").code == 0
    assert calls == [
        (["extract", "transform", "load", "train"], {"run_name": None, "resume": False, "repair": False}),
        (["load"], {"run_name": "r", "resume": True, "repair": True}),
    ]


@pytest.mark.parametrize("position", ["before", "after", "twice"])
def test_verbose_may_stand_before_or_after(prepared: Workspace, ser: Ser, position: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def speak(*arguments: object, **options: object) -> None:
        logging.getLogger("ser.test").info("the quick brown fox")
        logging.getLogger("ser.test").debug("the lazy dog")
        logging.getLogger("other").info("the neighbour")

    monkeypatch.setattr(pipeline, "run_steps", speak)
    arguments = {"before": ["-v", "--config"], "after": ["--config"], "twice": ["-v", "--config"]}[position]
    answer = ser(*arguments, prepared.config_file, *([] if position == "before" else ["-v"]))
    assert "INFO the quick brown fox" in answer.err
    assert ("DEBUG the lazy dog" in answer.err) is (position == "twice")
    assert "the neighbour" not in answer.err
    assert ser("--config", prepared.config_file).err == ""


def test_epochs_is_short_for_a_setting_and_the_run_has_the_name(workspace: Workspace, ser: Ser) -> None:
    answer = ser("--config", workspace.config_file, "--steps", "train", "--epochs", 2, "--run-name", "mine")
    assert answer.code == 0
    assert len(rows_of(workspace.runs / "mine/history.csv")) == 2
    assert answer.out.splitlines()[-1].endswith(f"results: {workspace.runs / 'mine'}")
    assert "mean over corpora" in answer.out


def test_without_a_name_a_run_is_called_after_time_and_model(workspace: Workspace, ser: Ser) -> None:
    assert ser("--config", workspace.config_file, "--steps", "train", "--epochs", 1).code == 0
    (run,) = workspace.runs.iterdir()
    date, clock, model = run.name.replace("_", "-", 1).split("-")
    assert (len(date), len(clock), model) == (8, 6, "spectral_crnn")


def test_load_shows_what_stands_where(prepared: Workspace, ser: Ser) -> None:
    answer = ser("--config", prepared.config_file, "--steps", "load")
    assert answer.code == 0
    assert all(text in answer.out for text in ("ravdess test", "all train", "speakers", "surprise", "checksums verified"))


@pytest.mark.parametrize("place", ["path", "configs", "shipped"])
def test_a_config_is_found_by_path_or_name(workspace: Workspace, ser: Ser, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace.root)
    (workspace.root / "configs").mkdir()
    workspace.config_file.rename(workspace.root / "configs/mine.yaml")
    name = {"path": "configs/mine.yaml", "configs": "mine.yaml", "shipped": "spectral_crnn.yaml"}[place]
    answer = ser("--config", name, "--steps", "extract", "--dry-run", "--set", f"project.raw_dir={workspace.raw}")
    assert answer.code == 0
    assert "decode and screen 252 files" in answer.out


# -- --dry-run ------------------------------------------------------------------------


def test_a_dry_run_counts_and_writes_nothing(prepared: Workspace, ser: Ser) -> None:
    before = everything(prepared.root)
    answer = ser("--config", prepared.config_file, "--dry-run", "--steps", "doctor,extract,transform,load,train", "--run-name", "never")
    assert answer.code == 0
    assert everything(prepared.root) == before
    lines = {line.split()[0]: line for line in answer.out.splitlines()}
    assert "252 files (crema 72, ravdess 96, savee 56, tess 28)" in lines["extract"]
    assert "by the names of the files train 126, val 42, test 84" in lines["extract"]
    assert "252 clips stored, 0 to compute in 0 shards" in lines["transform"]
    assert "train 126, val 42, test 84 utterances, none missing" in lines["load"]
    assert "126 clips an epoch in batches of 16, at most 3 epochs; then one reading of 84 test clips" in lines["train"]
    assert set(lines) == {"doctor", "extract", "transform", "load", "train"}


def test_a_dry_run_before_anything_has_run_says_what_cannot_be_told_yet(savee: Workspace, ser: Ser) -> None:
    before = everything(savee.root)
    answer = ser("--config", savee.config_file, "--dry-run")
    assert answer.code == 0
    assert everything(savee.root) == before
    assert "decode and screen 56 files" in answer.out
    assert answer.out.count("not known yet: ") == 3
    assert answer.out.count("run the extract step first") == 3


def test_a_dry_run_over_other_features_counts_what_is_to_compute(prepared: Workspace, ser: Ser) -> None:
    answer = ser("--config", prepared.config_file, "--dry-run", "--steps", "transform", "--set", "features.hop_length=128")
    assert "0 clips stored, 252 to compute in 4 shards" in answer.out


# -- the real program: pipes and closed streams -------------------------------------------


def program(command: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A shell command in which `$@` stands for `ser` and its arguments."""
    ser = [sys.executable, "-c", "from ser.cli import main; main()", *map(str, arguments)]
    return subprocess.run(["bash", "-c", f"set -o pipefail; {command}", "ser", *ser], capture_output=True, text=True, check=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_without_room_is_one_line(prepared: Workspace) -> None:
    done = program('"$@" > /dev/full', "--config", prepared.config_file, "--steps", "extract", "--dry-run")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert "No space left on device" in done.stderr


def test_a_name_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    setting = f"project.processed_dir='{tmp_path}/é'"
    done = program('PYTHONIOENCODING=ascii "$@"', "--config", "demo.yaml", "--set", setting, "--steps", "transform", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "\\xe9" in done.stdout


@pytest.mark.parametrize("command", ['"$@" >&-', '"$@" 2>&-', '"$@" >&- 2>&-', '"$@" | true', '"$@" 2>&1 | true'])
def test_work_goes_on_where_nobody_listens(savee: Workspace, command: str) -> None:
    done = program(command, "--config", savee.config_file, "--steps", "extract", "-v")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert (savee.split / "leakage.json").exists()


def test_an_odd_width_of_the_terminal_is_no_matter(prepared: Workspace, ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in ("wide", "0", "", "-1", "30"):
        monkeypatch.setenv("COLUMNS", columns)
        assert ser("--config", prepared.config_file, "--steps", "extract", "--dry-run").code == 0
