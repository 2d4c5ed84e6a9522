"""A step that was killed or stopped and is run again ends where an undisturbed one ends."""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from torch import nn

from conftest import Ser, make_savee
from processes import FOR_EVER, PATIENCE, dying_at, eventually, in_a_child, is_alive, start
from ser.config import ModelConfig
from ser.errors import ArtefactError, ConfigError, DataError
from ser.models.registry import build_model
from ser.pipeline import train as train_step
from ser.pipeline.load import read_loaded
from ser.runs.checkpoint import digest, load_checkpoint
from ser.runs.create import create_run
from ser.runs.run import Run
from ser.splits.certificate import read_certificate
from ser.system.files import exclusive_lock
from ser.training.trainer import Trainer
from workspace import Workspace, history_of, metrics_of, rows_of

pytestmark = [
    pytest.mark.timing,
    pytest.mark.skipif(sys.platform != "linux", reason="the tests fork with torch loaded, and look into /proc"),
]

SHORT = "train.epochs=2"


def left_by(run: Run) -> dict[str, Any]:
    """Everything that a run leaves, but for the seconds that its epochs took."""
    last = load_checkpoint(run.last)
    for row in last["progress"]["history"]:
        del row["seconds"]
    return {
        "history": history_of(run),
        "best": digest(load_checkpoint(run.best)),
        "last": digest(last),
        "metrics": metrics_of(run),
        "tables": [path.read_bytes() for path in (run.predictions, run.confusion, run.calibration)],
        "split": {path.name: path.read_bytes() for path in run.split.iterdir()},
    }


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob("*.tmp"))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """56 clips, ready to train on. Not to be changed: `small` is a copy that may be."""
    space = make_savee(tmp_path_factory.mktemp("loaded"))
    space.run("extract,transform,load")
    return space


@pytest.fixture
def small(savee: Workspace, loaded: Workspace) -> Workspace:
    """56 clips with their own audio, ready to train on."""
    shutil.copytree(loaded.processed, savee.processed)
    return savee


# -- train ----------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_kill_9_in_the_middle_of_an_epoch_costs_nothing_but_that_epoch(
    small: Workspace, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two epochs of two batches each; the process dies before it takes the batch number `step`."""
    expected = left_by(small.train("undisturbed", SHORT))
    take = Trainer.step

    def dying(self: Trainer, batch: Any, number: int, masks: Any) -> Any:
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return take(self, batch, number, masks)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", dying)
        assert in_a_child(lambda: small.train("killed", SHORT)) == -signal.SIGKILL
    run = Run(small.runs / "killed")
    assert len(rows_of(run.history) if run.history.exists() else []) == step // 2
    small.run("train", SHORT, run_name="killed", resume=True)
    assert left_by(run) == expected


@pytest.mark.slow
def test_kill_9_at_any_write_of_training_costs_nothing_but_time(small: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is written by fsync, rename, fsync of the folder; what a process leaves that dies at one of these is copied there."""
    kills, fsync = count(), os.fsync

    def copied(descriptor: int) -> None:
        shutil.copytree(small.runs / "undisturbed", small.runs / f"killed-{next(kills)}")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", copied)
        expected = left_by(small.train("undisturbed", SHORT))
    total = next(kills)
    for number in range(total):
        run = Run(small.runs / f"killed-{number}")
        small.run("train", SHORT, run_name=run.folder.name, resume=run.config.exists())
        assert left_by(run) == expected, f"killed at fsync {number}"
        assert not leftovers(run.folder)
    assert total >= 2 * (1 + 2 * 2 + 1 + 5), "cfg.json; last.pth and history.csv of two epochs; a best.pth; what is measured"


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory, prepared: Workspace) -> tuple[list[str | Path], Run]:
    """Arguments of a training of four epochs, and what it leaves undisturbed."""
    runs = tmp_path_factory.mktemp("long")
    settings = ["train.epochs=4", "train.patience=4", f"project.runs_dir={runs}"]
    prepared.run("train", *settings, run_name="undisturbed")
    options = [option for setting in settings for option in ("--set", setting)]
    return ["--config", prepared.config_file, "--steps", "train", *options], Run(runs / "undisturbed")


NEVER_ENDING = f"""
import time
from ser.training.trainer import Trainer
step = Trainer.step
def endless(self, *arguments):
    if self.progress.epoch == 3:
        time.sleep({FOR_EVER})
    return step(self, *arguments)
Trainer.step = endless
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop", "code", "said"),
    [
        (signal.SIGKILL, -9, ""),
        (signal.SIGTERM, 143, "ser: stopped by SIGTERM; what was finished is kept\n"),
        (signal.SIGINT, 130, "ser: stopped by Ctrl-C; what was finished is kept\n"),
    ],
)
def test_a_stopped_training_goes_on_as_if_it_had_never_stopped(
    long_run: tuple[list[str | Path], Run], ser: Ser, stop: signal.Signals, code: int, said: str
) -> None:
    """The real program, stopped from outside wherever it is in its second epoch or later; of itself it does not end the fourth."""
    arguments, undisturbed = long_run
    run = Run(undisturbed.folder.with_name(stop.name))
    arguments = [*arguments, "--run-name", stop.name]
    with start(arguments, NEVER_ENDING) as process:
        assert eventually(lambda: run.history.exists() or process.poll() is not None)
        process.send_signal(stop)
        _, errors = process.communicate(timeout=PATIENCE)
    lines = [line for line in errors.splitlines(keepends=True) if " NOTE epoch " not in line]
    assert (process.returncode, "".join(lines)) == (code, said)
    assert not run.metrics.exists(), "it was to be stopped before its end"
    epochs = len(rows_of(run.history))
    assert load_checkpoint(run.last)["progress"]["epoch"] in (epochs, epochs + 1)
    assert stop == signal.SIGKILL or not leftovers(run.folder)
    assert ser(*arguments, "--resume").code == 0
    assert left_by(run) == left_by(undisturbed)


def test_a_finished_run_says_so_and_stays_as_it_is(small: Workspace, ser: Ser) -> None:
    run = small.train("done", SHORT)
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*") if path.is_file() and path != run.lock}
    answer = ser("--config", small.config_file, "--steps", "train", "--resume", "--epochs", 2)
    assert answer.code == 0
    assert f"{run.folder} is finished: nothing to resume" in answer.err
    assert "mean over corpora" in answer.out
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("text", ["[]", "{}", '{"per_corpus": [], "mean_over_corpora": {}}', '{"accuracy": 1}', "{", "1"])
def test_a_finished_run_with_foreign_scores_is_one_line(small: Workspace, ser: Ser, text: str) -> None:
    run = create_run(small.config(SHORT), "done")
    run.metrics.write_text(text)
    answer = ser("--config", small.config_file, "--steps", "train", "--resume", "--epochs", 2)
    assert answer.code == 4
    assert "test_metrics.json" in answer.err.splitlines()[-1]
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("file", ["last.pth", "best.pth"])
def test_weights_of_another_network_under_the_same_config_are_refused(
    small: Workspace, ser: Ser, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version of the program may build another network."""
    stopped_run(small, monkeypatch)

    def build_wider(config: ModelConfig, *arguments: Any) -> nn.Module:
        wider = config.spectral_crnn.model_copy(update={"gru_dim": 2 * config.spectral_crnn.gru_dim})
        return build_model(config.model_copy(update={"spectral_crnn": wider}), *arguments)

    monkeypatch.setattr(train_step, "build_model", build_wider)
    if file == "best.pth":
        monkeypatch.setattr(Trainer, "resume", lambda trainer, run: None)
        monkeypatch.setattr(Trainer, "fit", lambda trainer, run: trainer.progress)
    answer = ser("--config", small.config_file, "--steps", "train", "--resume", "--epochs", 2)
    assert answer.code == 4
    last = answer.err.splitlines()[-1]
    assert f"{file} does not match the network of this version" in last
    assert "size mismatch" in last


@pytest.mark.parametrize("named", [True, False])
def test_another_config_is_refused_with_the_keys_that_differ(small: Workspace, ser: Ser, named: bool) -> None:
    small.train("first", SHORT)
    name = ("--run-name", "first") if named else ()
    answer = ser("--config", small.config_file, "--steps", "train", "--resume", *name, "--epochs", 3, "--set", "model.features=[mel]")
    assert answer.code == 2
    assert 'model.features (["mel", "mfcc", "chroma"] in the run, ["mel"] now), train.epochs (2 in the run, 3 now)' in answer.err
    assert [path.name for path in small.runs.iterdir()] == ["first"]


@pytest.mark.parametrize("name", [(), ("--run-name", "absent")])
def test_nothing_to_resume_is_said(small: Workspace, ser: Ser, name: tuple[str, ...]) -> None:
    answer = ser("--config", small.config_file, "--steps", "train", "--resume", *name)
    assert answer.code == 3
    assert "there is nothing to resume" in answer.err


def stopped_run(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of two epochs that was stopped after the first."""
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "exhausted", interrupt_after_an_epoch)
        with pytest.raises(KeyboardInterrupt):
            space.train("stopped", SHORT)
    return Run(space.runs / "stopped")


def interrupt_after_an_epoch(trainer: Trainer) -> bool:
    if trainer.progress.epoch == 1:
        raise KeyboardInterrupt
    return False


def test_folders_may_move_before_a_run_is_resumed(small: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = left_by(small.train("undisturbed", SHORT))
    stopped_run(small, monkeypatch)
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("raw", "processed", "runs"):
        (tmp_path / name).rename(moved / name)
    settings = [f"project.{key}_dir={moved / name}" for key, name in (("raw", "raw"), ("processed", "processed"), ("runs", "runs"))]
    small.run("train", SHORT, *settings, "runtime.workers=2", resume=True, run_name="stopped")
    assert left_by(Run(moved / "runs/stopped")) == expected


def test_a_run_is_not_resumed_on_another_split(small: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The config is the same, the audio is not: a speaker whom the weights know could now be in test."""
    run = stopped_run(small, monkeypatch)
    before = {path: path.read_bytes() for path in run.folder.rglob("*.*") if path != run.lock}
    soundfile.write(small.raw / "savee/ALL/DC_a05.wav", np.random.default_rng(0).normal(0, 0.1, 22_050), 44_100)
    small.run("extract,transform,load")
    with pytest.raises(DataError, match="began with another certificate"):
        small.run("train", SHORT, resume=True)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("other", ["model.features=[mel]", "features.mfcc.n_mfcc=10"])
def test_a_load_of_another_config_on_the_same_split_breaks_no_run(small: Workspace, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It notes its own statistic in the certificate that both share."""
    expected = left_by(small.train("undisturbed", SHORT))
    run = stopped_run(small, monkeypatch)
    before = small.normaliser
    content = before.read_bytes()
    small.run("transform,load", other)
    small.run("train", SHORT, resume=True, run_name="stopped")
    found = left_by(run)
    assert {key: found[key] for key in ("history", "best", "last", "tables")} == {
        key: expected[key] for key in ("history", "best", "last", "tables")
    }
    assert before.read_bytes() == content
    assert found["split"]["normaliser.json"] == content
    assert found["metrics"]["certificate"] == read_certificate(run.split / "leakage.json").digest


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [cut, flip, lambda path: path.write_bytes(b""), lambda path: path.write_text("weights")])
def test_a_damaged_checkpoint_is_named_and_not_used(
    small: Workspace, harm: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stopped_run(small, monkeypatch)
    harm(run.last)
    with pytest.raises(ArtefactError, match=r"last\.pth"):
        small.run("train", SHORT, resume=True)
    assert not run.metrics.exists()


def test_a_run_that_lost_its_best_weights_is_not_measured(small: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stopped_run(small, monkeypatch)
    run.best.unlink()
    monkeypatch.setattr(Trainer, "fit", lambda trainer, run: trainer.progress)
    with pytest.raises(ArtefactError, match=r"best\.pth does not exist"):
        small.run("train", SHORT, resume=True)
    assert not run.metrics.exists()


def test_a_run_that_is_being_trained_is_not_trained_by_two(small: Workspace, ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stopped_run(small, monkeypatch)
    with exclusive_lock(run.lock):
        answer = ser("--config", small.config_file, "--steps", "train", "--resume", "--epochs", 2)
    assert answer.code == 5
    assert f"{run.folder} is being written by process {os.getpid()}" in answer.err


def test_a_damaged_or_foreign_run_beside_it_does_not_matter(small: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stopped_run(small, monkeypatch)
    for name, text in (("damaged", "{"), ("foreign", '{"lr": 1}'), ("list", "[]")):
        (small.runs / name).mkdir()
        (small.runs / name / "cfg.json").write_text(text)
        with pytest.raises(ArtefactError, match=r"cfg\.json"):
            small.run("train", SHORT, resume=True, run_name=name)
    small.run("train", SHORT, resume=True)
    assert run.metrics.exists()


def test_a_name_is_not_given_twice(small: Workspace) -> None:
    small.train("mine", "train.epochs=1")
    with pytest.raises(ConfigError, match="exists: choose another --run-name, or --resume it"):
        small.train("mine", "train.epochs=1")


# -- the steps before ---------------------------------------------------------------


def everything(folder: Path) -> dict[str, bytes]:
    """Every file, also temporary ones, but for the lock."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize(("step", "files"), [("extract", 6), ("transform", 4), ("load", 2)])
def test_kill_9_at_any_write_of_a_step_and_once_more_gives_the_same_bytes(
    savee: Workspace, step: str, files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = ["extract", "transform", "load"]
    for earlier in steps[: steps.index(step)]:
        savee.run(earlier)
    aside = savee.root / "aside"
    if savee.processed.exists():
        shutil.copytree(savee.processed, aside)
    savee.run(step)
    expected = everything(savee.processed)
    for kills in count():
        shutil.rmtree(savee.processed)
        if aside.exists():
            shutil.copytree(aside, savee.processed)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", dying_at(kills))
            if in_a_child(lambda: savee.run(step)) == 0:
                break
        savee.run(step)
        assert everything(savee.processed) == expected, f"killed at fsync {kills}"
    assert kills == 2 * files


def test_an_extract_that_was_killed_over_changed_audio_never_mixes_old_and_new(small: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands there after the kill: training starts from the old split whole, or not at all."""
    aside = small.root / "aside"
    shutil.copytree(small.processed, aside)
    old = read_loaded(small.config()).split
    soundfile.write(small.raw / "savee/ALL/DC_a01.wav", np.random.default_rng(0).normal(0, 0.1, 22_050), 44_100)
    outcomes = set()
    for kills in count():
        shutil.rmtree(small.processed)
        shutil.copytree(aside, small.processed)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", dying_at(kills))
            if in_a_child(lambda: small.run("extract")) == 0:
                break
        try:
            assert read_loaded(small.config()).split == old
            outcomes.add("old")
        except DataError:
            outcomes.add("refused")
    assert outcomes == {"old", "refused"}


def test_a_load_that_was_killed_over_changed_audio_leaves_no_normaliser_of_the_old(
    small: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ids and the features are the same, the frames are not."""
    changed = read_loaded(small.config()).split.splits["train"][0].id.removeprefix("savee_")
    soundfile.write(small.raw / f"savee/ALL/{changed}.wav", np.random.default_rng(0).normal(0, 0.1, 22_050), 44_100)
    small.run("extract,transform")
    aside = small.root / "aside"
    shutil.copytree(small.processed, aside)
    small.run("load")
    expected = read_loaded(small.config()).normalisers["spectral"].mean.tolist()
    for kills in count():
        shutil.rmtree(small.processed)
        shutil.copytree(aside, small.processed)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", dying_at(kills))
            if in_a_child(lambda: small.run("load")) == 0:
                break
        with suppress(DataError):
            assert read_loaded(small.config()).normalisers["spectral"].mean.tolist() == expected, f"killed at fsync {kills}"
    assert kills == 4


SLOW_WORKER = f"""
import os, pathlib, time
import ser.corpora.census as census, ser.pipeline.transform as transform
census.FILES_PER_TASK = 16
def slow(*arguments):
    pathlib.Path({{pids!r}}, str(os.getpid())).touch()
    time.sleep({FOR_EVER})
census.examine = transform.waveform_of = slow
"""


@pytest.mark.parametrize("step", ["extract", "transform"])
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopping_a_step_leaves_no_worker(savee: Workspace, step: str, stop: signal.Signals, code: int) -> None:
    """SIGTERM reaches the parent alone, Ctrl-C the whole group. Both end within a moment, though the workers are busy for ever."""
    if step == "transform":
        savee.run("extract")
    pids = savee.root / "pids"
    pids.mkdir()
    settings = ["--set", "runtime.workers=2", "--set", "features.shard_clips=16"]
    with start(["--config", savee.config_file, "--steps", step, *settings], SLOW_WORKER.format(pids=str(pids))) as process:
        assert eventually(lambda: len(list(pids.iterdir())) == 2 or process.poll() is not None)
        os.killpg(process.pid, stop) if stop == signal.SIGINT else process.send_signal(stop)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert errors.splitlines()[-1].startswith("ser: stopped by")
    assert "Traceback" not in errors
    assert eventually(lambda: not any(is_alive(int(path.name)) for path in pids.iterdir()))
    savee.run(step)  # and nothing stands in the way of another try
