"""Full disks, read-only folders, damaged stores, two processes at once, numbers that explode: one line, an exit code, nothing lost."""

import errno
import json
import os
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import Ser
from processes import in_a_child
from ser import cli
from ser.features.store import FeatureStore
from ser.pipeline.paths import lock_file
from ser.pipeline.stores import store_folder
from ser.runs import create
from ser.runs.checkpoint import digest, load_checkpoint
from ser.runs.run import Run
from ser.system.files import exclusive_lock, sha256_file
from ser.training.trainer import Trainer
from workspace import Workspace, history_of, metrics_of, rows_of


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def store_of(space: Workspace) -> Path:
    return store_folder(space.config())


def one_line(err: str) -> str:
    """The program's last word, with warnings and finished epochs before it at most."""
    *others, last = err.splitlines()
    assert all("WARNING" in line or "NOTE epoch" in line for line in others), err
    assert last.startswith("ser: ")
    return last


# -- damage to the store --------------------------------------------------------


def flip(first: Path, _second: Path) -> None:
    content = bytearray(first.read_bytes())
    content[-5] ^= 1
    first.write_bytes(content)


def cut(first: Path, _second: Path) -> None:
    first.write_bytes(first.read_bytes()[:-1])


def empty(first: Path, _second: Path) -> None:
    first.write_bytes(b"")


def swap(first: Path, second: Path) -> None:
    content = first.read_bytes(), second.read_bytes()
    first.write_bytes(content[1])
    second.write_bytes(content[0])


def swap_with_sidecars(first: Path, second: Path) -> None:
    swap(first, second)
    swap(first.with_suffix(".json"), second.with_suffix(".json"))


def lose(first: Path, _second: Path) -> None:
    first.unlink()


def lose_sidecar(first: Path, _second: Path) -> None:
    first.with_suffix(".json").unlink()


def empty_sidecar(first: Path, _second: Path) -> None:
    first.with_suffix(".json").write_text("")


@pytest.mark.parametrize("harm", [flip, cut, empty, swap, swap_with_sidecars, lose, lose_sidecar, empty_sidecar])
def test_a_damaged_store_is_named_by_load_and_healed_by_repair(workspace: Workspace, ser: Ser, harm: Callable[[Path, Path], None]) -> None:
    folder = store_of(workspace)
    before = snapshot(folder)
    first, second, *_ = sorted(folder.glob("*.npy"))
    harm(first, second)
    load = ("--config", workspace.config_file, "--steps", "load")
    answer = ser(*load)
    assert answer.code == 4
    assert first.stem in one_line(answer.err)
    assert "--repair" in answer.err
    assert ser("--config", workspace.config_file, "--steps", "transform", "--repair").code == 0
    assert snapshot(folder) == before
    assert ser(*load).code == 0


@pytest.mark.parametrize("harm", [flip, cut])
def test_damage_that_came_after_load_is_found_before_training(workspace: Workspace, ser: Ser, harm: Callable[[Path, Path], None]) -> None:
    first, second, *_ = sorted(store_of(workspace).glob("*.npy"))
    harm(first, second)
    answer = ser("--config", workspace.config_file, "--steps", "train")
    assert answer.code == 4
    assert first.stem in one_line(answer.err)
    assert not workspace.runs.exists()


@pytest.mark.parametrize("name", ["store.json", "index.csv"])
@pytest.mark.parametrize("text", ["", "{", "[]", "id\n1\n", "\x00" * 20])
def test_a_damaged_description_is_an_error_and_transform_writes_it_again(workspace: Workspace, ser: Ser, name: str, text: str) -> None:
    folder = store_of(workspace)
    before = snapshot(folder)
    (folder / name).write_text(text)
    for step in ("load", "train"):
        answer = ser("--config", workspace.config_file, "--steps", step)
        assert answer.code == 4
        assert name in one_line(answer.err)
    assert ser("--config", workspace.config_file, "--steps", "transform").code == 0
    assert snapshot(folder) == before


@pytest.mark.parametrize("text", ["", "id\n", "\x00", "id,corpus\na,b,c\n"])
@pytest.mark.parametrize("step", ["transform", "load", "train"])
def test_a_damaged_manifest_stops_every_step(workspace: Workspace, ser: Ser, step: str, text: str) -> None:
    (workspace.processed / "manifest.csv").write_text(text)
    answer = ser("--config", workspace.config_file, "--steps", step)
    assert answer.code == 4
    assert "manifest.csv" in one_line(answer.err)


def spoil(space: Workspace, utterance_id: str) -> None:
    """NaN in the stored features of one utterance, with the right checksum."""
    folder = store_of(space)
    clip = FeatureStore.open(folder)._clips[utterance_id]
    path = folder / f"{clip.shard}.npy"
    matrix = np.load(path)
    matrix[clip.offset + 1, 3] = np.nan
    np.save(path, matrix)
    sidecar = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**sidecar, "bytes": path.stat().st_size, "sha256": sha256_file(path)}))


@pytest.mark.parametrize(("split", "code"), [("train", 3), ("val", 3), ("test", 4)])
def test_a_stored_nan_ends_training_with_a_word_and_never_becomes_best(workspace: Workspace, ser: Ser, split: str, code: int) -> None:
    """The normaliser is older than the damage, so only the numbers themselves can tell."""
    spoil(workspace, rows_of(workspace.split / f"{split}.csv")[0]["id"])
    answer = ser("--config", workspace.config_file, "--steps", "train", "--epochs", 1, "--run-name", "nan")
    assert answer.code == code
    assert "finite" in one_line(answer.err) or "the loss is nan" in answer.err
    run = Run(workspace.runs / "nan")
    assert not run.metrics.exists()
    assert split == "test" or not run.best.exists()


def test_a_stored_nan_is_named_by_load(workspace: Workspace, ser: Ser) -> None:
    spoiled = rows_of(workspace.split / "train.csv")[0]["id"]
    spoil(workspace, spoiled)
    before = snapshot(workspace.split)
    answer = ser("--config", workspace.config_file, "--steps", "load")
    assert answer.code == 4
    assert spoiled in one_line(answer.err)
    assert snapshot(workspace.split) == before


# -- numbers that explode ---------------------------------------------------------


def test_a_loss_that_explodes_names_the_batch(workspace: Workspace, ser: Ser) -> None:
    answer = ser("--config", workspace.config_file, "--steps", "train", "--set", "train.learning_rate=1e30")
    assert answer.code == 3
    assert "the loss is nan at step" in one_line(answer.err)
    named = answer.err.partition("batch with ")[2].partition("...")[0].split(", ")
    assert set(named) <= {row["id"] for row in rows_of(workspace.split / "train.csv")}


def test_a_device_without_enough_memory_is_one_line_that_names_the_setting(
    workspace: Workspace, ser: Ser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(Trainer, "step", step)
    answer = ser("--config", workspace.config_file, "--steps", "train")
    assert answer.code == 3
    assert "lower train.batch_size" in one_line(answer.err)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_what_was_good_before_an_explosion_is_kept_and_can_be_resumed(
    workspace: Workspace, ser: Ser, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = workspace.train("undisturbed", "train.epochs=2")
    arguments = ("--config", workspace.config_file, "--steps", "train", "--epochs", 2, "--run-name", "exploded")
    take = Trainer.step

    def explode(self: Trainer, batch: Any, number: int, masks: Any) -> Any:
        if number == self.steps_per_epoch + 2:
            loss = self.loss
            if what == "loss":
                monkeypatch.setattr(self, "loss", lambda logits, labels: loss(logits, labels) * torch.nan)
            else:
                parameter = next(self.model.parameters())
                parameter.register_hook(lambda gradient: gradient * torch.inf)  # type: ignore[no-untyped-call]
        return take(self, batch, number, masks)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", explode)
        answer = ser(*arguments)
    assert answer.code == 3
    assert f"the {what} is" in one_line(answer.err)
    run = Run(workspace.runs / "exploded")
    last = load_checkpoint(run.last)
    assert last["progress"]["epoch"] == len(rows_of(run.history)) == 1
    assert all(torch.isfinite(tensor).all() for tensor in last["weights"].values())
    assert ser(*arguments, "--resume").code == 0
    assert history_of(run) == history_of(expected)
    assert metrics_of(run) == metrics_of(expected)


# -- disks that are full, or cannot be written -------------------------------------


@pytest.mark.parametrize("step", ["extract", "transform", "load", "train"])
def test_a_full_disk_is_one_line_and_older_artefacts_stay(
    workspace: Workspace, ser: Ser, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(workspace.processed)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    answer = ser("--config", workspace.config_file, "--steps", step)
    assert answer.code == 3
    assert "No space left on device" in one_line(answer.err)
    assert str(workspace.root) in answer.err
    assert snapshot(workspace.processed) == before


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("step", ["extract", "transform", "load", "train"])
def test_a_folder_that_cannot_be_written_is_one_line(
    workspace: Workspace, ser: Ser, step: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(workspace.processed)
    path_open = Path.open

    def refuse(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if mode not in {"r", "rb"}:
            raise OSError(code, os.strerror(code), str(self))
        return path_open(self, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    answer = ser("--config", workspace.config_file, "--steps", step)
    assert answer.code == 3
    assert os.strerror(code) in one_line(answer.err)
    assert snapshot(workspace.processed) == before


@pytest.mark.parametrize(("folder", "step"), [("raw_dir", "extract"), ("processed_dir", "extract"), ("runs_dir", "train")])
def test_a_file_where_a_folder_should_be_is_one_line(workspace: Workspace, ser: Ser, folder: str, step: str) -> None:
    (workspace.root / "file").touch()
    answer = ser("--config", workspace.config_file, "--steps", step, "--set", f"project.{folder}={workspace.root / 'file'}")
    assert answer.code == 3
    assert "file" in one_line(answer.err)


@pytest.mark.skipif(sys.platform != "linux", reason="forks with torch loaded")
def test_a_file_that_may_not_grow_ends_training_and_room_ends_the_trouble(workspace: Workspace, ser: Ser) -> None:
    """A real limit of the system, so the error comes from within torch's own writer."""
    errors = workspace.root / "errors"
    arguments = ["--config", str(workspace.config_file), "--steps", "train", "--epochs", "1", "--run-name", "cramped"]

    def cramped() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        sys.argv = ["ser", *arguments]
        with errors.open("w") as sys.stderr:
            cli.main()

    assert in_a_child(cramped) == 3
    assert "File too large" in one_line(errors.read_text())
    assert "best.pth" in errors.read_text()
    run = Run(workspace.runs / "cramped")
    assert not [*run.folder.glob("*.pth"), *run.folder.glob(".*.tmp")]
    assert ser(*arguments, "--resume").code == 0
    assert digest(load_checkpoint(run.best)["weights"]) == metrics_of(run)["weights"]


# -- two at once ------------------------------------------------------------------


@pytest.mark.parametrize("step", ["extract", "transform", "load"])
def test_two_processes_on_one_folder_is_exit_5(workspace: Workspace, ser: Ser, step: str) -> None:
    before = snapshot(workspace.processed)
    with exclusive_lock(lock_file(workspace.config().project)):
        answer = ser("--config", workspace.config_file, "--steps", step)
    assert answer.code == 5
    assert f"is being written by process {os.getpid()}" in one_line(answer.err)
    assert snapshot(workspace.processed) == before


def test_the_lock_of_a_dead_process_is_taken_over(workspace: Workspace, ser: Ser) -> None:
    lock_file(workspace.config().project).write_text("1")
    assert ser("--config", workspace.config_file, "--steps", "load").code == 0


def test_ten_runs_of_one_second_get_ten_folders(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr(create, "datetime", Stopped)
    config = workspace.config()
    with ThreadPoolExecutor(10) as pool:
        made = list(pool.map(lambda _: create.create_run(config, None), range(10)))
    assert len({run.folder for run in made}) == 10
    assert {run.folder.name for run in made} == {"20260102-030405_spectral_crnn"} | {
        f"20260102-030405_spectral_crnn-{number}" for number in range(2, 11)
    }
    assert all(run.config.is_file() for run in made)


# -- data that does not suffice ------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["labels.keep=[calm, neutral]"], "no clip of calm in savee: only neutral is left"),
        (["labels.merge={happy: neutral}", "labels.keep=[neutral, happy]"], "at least two"),
        (["split.rule=explicit-speakers", "split.test_speakers=[savee/XX]"], "unknown speaker"),
        (["split.rule=explicit-speakers", "split.test_speakers=[savee/DC, savee/JE, savee/JK, savee/KL]"], "leaves train empty"),
        (["split.rule=explicit-ids", "split.test_ids=[savee_DC_a99]"], "unknown id"),
        (["split.corpora=[tess]"], "the manifest has only savee"),
        (["project.corpora=[tess]"], "no audio below"),
    ],
)
def test_a_split_that_cannot_be_made_leaves_the_old_one(savee: Workspace, ser: Ser, settings: list[str], said: str) -> None:
    savee.run("extract")
    before = snapshot(savee.processed)
    options = [option for setting in settings for option in ("--set", setting)]
    answer = ser("--config", savee.config_file, "--steps", "extract", *options)
    assert answer.code == 3
    assert said in one_line(answer.err)
    assert snapshot(savee.processed) == before


def test_one_speaker_cannot_be_measured(savee: Workspace, ser: Ser) -> None:
    for path in (savee.raw / "savee/ALL").iterdir():
        if not path.name.startswith("DC"):
            path.unlink()
    answer = ser("--config", savee.config_file, "--steps", "extract")
    assert answer.code == 3
    assert "leaves test empty: no corpus here has two speakers (savee/DC)" in answer.err


def test_too_much_damage_stops_extract_and_says_which(savee: Workspace, ser: Ser) -> None:
    savee.run("extract")
    manifest = (savee.processed / "manifest.csv").read_bytes()
    for path in sorted((savee.raw / "savee/ALL").iterdir())[:4]:
        path.write_bytes(b"")
    answer = ser("--config", savee.config_file, "--steps", "extract")
    assert answer.code == 3
    assert "4 of 56 files cannot be read; project.max_unreadable allows 5%" in answer.err
    assert (savee.processed / "manifest.csv").read_bytes() == manifest
    assert [row["reason"] for row in rows_of(savee.processed / "skipped.csv")] == ["empty"] * 4
    assert ser("--config", savee.config_file, "--steps", "extract", "--set", "project.max_unreadable=0.1").code == 0


@pytest.mark.parametrize("size", [1, 27, 28, 1000])
def test_any_size_of_batch_runs_also_one_that_leaves_a_batch_of_one(savee: Workspace, size: int) -> None:
    savee.run("extract,transform,load")
    assert len(rows_of(savee.split / "train.csv")) == 28
    run = savee.train("batches", f"train.batch_size={size}", "train.epochs=1")
    assert metrics_of(run)["n"] == 14


def test_a_corpus_whose_folder_is_absent_is_left_out_with_a_word(savee: Workspace, ser: Ser) -> None:
    answer = ser("--config", savee.config_file, "--steps", "extract,transform,load")
    assert answer.code == 0
    assert "tess is left out" in answer.err
    assert "56 utterances in the store" in answer.out
