"""TensorBoard's file of events: what history.csv says, each epoch once, however often a training was stopped."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import Ser
from processes import in_a_child
from ser.config import TrackingConfig
from ser.errors import ConfigError
from ser.runs.history import HISTORY_COLUMNS
from ser.runs.run import Run
from ser.system.optional import install_hint
from ser.training.tracking import EventFile, check_installed
from ser.training.trainer import Trainer
from workspace import Workspace, history_of, rows_of, weights_of

pytest.importorskip("tensorboard")

ON = "tracking.tensorboard=true"
ROWS: list[dict[str, Any]] = [
    {"epoch": 1, "train_loss": 0.5, "val_uar": None, "seconds": 2.0},
    {"epoch": 2, "train_loss": 0.25, "val_uar": 0.75, "seconds": 1.0},
]


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard itself reads: {name: [(step, value)]}."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder))
    reader.Reload()
    return {name: [(point.step, point.value) for point in reader.Scalars(name)] for name in reader.Tags()["scalars"]}


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    events = EventFile(tmp_path, ROWS[:1])
    events.add(ROWS[1])
    assert points(tmp_path) == {"train_loss": [(1, 0.5), (2, 0.25)], "val_uar": [(2, 0.75)], "seconds": [(1, 2.0), (2, 1.0)]}


def test_a_file_that_was_begun_anew_replaces_the_old_one(tmp_path: Path) -> None:
    EventFile(tmp_path, ROWS)
    (tmp_path / ".events.out.tfevents.1.99.tmp").write_bytes(b"of a killed writer")
    (tmp_path / "notes.txt").write_text("of the user")
    EventFile(tmp_path, ROWS[:1]).add(ROWS[1])
    assert points(tmp_path)["train_loss"] == [(1, 0.5), (2, 0.25)]
    assert len(list(tmp_path.glob("*tfevents*"))) == 1
    assert (tmp_path / "notes.txt").exists()


def test_a_file_that_was_cut_is_read_up_to_there(tmp_path: Path) -> None:
    path = EventFile(tmp_path, ROWS).path
    path.write_bytes(path.read_bytes()[:-10])
    assert points(tmp_path)["train_loss"] == [(1, 0.5)]


def test_a_run_tells_tensorboard_what_stands_in_its_history(prepared: Workspace, tmp_path: Path) -> None:
    run = prepared_run(prepared, tmp_path, ON)
    found = points(run.tensorboard)
    assert set(found) == set(HISTORY_COLUMNS) - {"epoch"}
    for name, points_of_name in found.items():
        expected = [(int(row["epoch"]), float(row[name])) for row in rows_of(run.history)]
        assert [step for step, _ in points_of_name] == [step for step, _ in expected]
        assert [value for _, value in points_of_name] == pytest.approx([value for _, value in expected], rel=1e-6)


def prepared_run(space: Workspace, folder: Path, *settings: str) -> Run:
    space.run("train", "train.epochs=2", f"project.runs_dir={folder}", *settings, run_name="a")
    return Run(folder / "a")


def test_it_changes_nothing_else_and_is_off_by_default(prepared: Workspace, tmp_path: Path) -> None:
    with_it, without = (prepared_run(prepared, tmp_path / name, *on) for name, on in (("on", [ON]), ("off", [])))
    assert not without.tensorboard.exists()
    assert (history_of(with_it), weights_of(with_it)) == (history_of(without), weights_of(without))
    assert with_it.predictions.read_bytes() == without.predictions.read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="the test forks with torch loaded")
@pytest.mark.parametrize("told", [True, False])
def test_no_epoch_is_told_twice_or_lost_by_a_kill(prepared: Workspace, tmp_path: Path, told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies after the first epoch was told, or just before."""
    settings = ("train.epochs=3", f"project.runs_dir={tmp_path}", ON)
    add = EventFile.add

    def dying(self: EventFile, row: Any) -> None:
        if told:
            add(self, row)
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(EventFile, "add", dying)
        assert in_a_child(lambda: prepared.run("train", *settings, run_name="a")) == -signal.SIGKILL
    run = Run(tmp_path / "a")
    assert len(points(run.tensorboard).get("train_loss", [])) == int(told)
    prepared.run("train", *settings, run_name="a", resume=True)
    assert [step for step, _ in points(run.tensorboard)["train_loss"]] == [1, 2, 3]


def test_a_run_that_began_without_it_may_go_on_with_it(prepared: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ("train.epochs=2", f"project.runs_dir={tmp_path}")

    def stop_after_an_epoch(trainer: Trainer) -> bool:
        if trainer.progress.epoch:
            raise KeyboardInterrupt
        return False

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "exhausted", stop_after_an_epoch)
        with pytest.raises(KeyboardInterrupt):
            prepared.run("train", *settings, run_name="a")
    prepared.run("train", *settings, ON, run_name="a", resume=True)
    assert [step for step, _ in points(tmp_path / "a/tensorboard")["val_uar"]] == [1, 2]


def test_a_missing_extra_is_told_before_the_first_step(workspace: Workspace, ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser.system.optional.find_spec", lambda name: None)
    answer = ser("--config", workspace.config_file, "--steps", "extract,transform,load,train", "--set", ON)
    assert answer.code == 2
    assert answer.err == f"ser: this config needs tensorboard: {install_hint('track')}, or --set tracking.tensorboard=false\n"
    assert answer.out == ""
    check_installed(TrackingConfig())
    with pytest.raises(ConfigError, match=r"\[track\]"):
        check_installed(TrackingConfig(tensorboard=True))
