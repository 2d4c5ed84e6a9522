"""The votes on CREMA-D from the owners' table beside the audio to the scores of a run, and to what a model learns."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Ser
from listeners import Answers, write_answers
from ser.corpora.manifest import original_id
from ser.errors import ConfigError, DataError
from ser.pipeline import train as train_step
from ser.pipeline.load import read_loaded
from ser.runs.checkpoint import load_checkpoint
from ser.runs.run import Run
from ser.training.trainer import Trainer
from trees import write_trees
from workspace import SPEED_ALONE, Workspace, history_of, make_workspace, metrics_of, rows_of, weights_of

SIX = "labels: {keep: [neutral, happy, sad, angry, fear, disgust]}\n"
VOTES = "train.targets=votes"
SHORT = "train.epochs=1"
LETTERS = {"NEU": "N", "HAP": "H", "SAD": "S", "ANG": "A", "FEA": "F", "DIS": "D"}


def heard(name: str) -> Answers:
    """Most hear what is meant; fear is always heard as sadness, and every second of actor 1001's clips leaves them undecided."""
    meant = LETTERS[name.split("_")[2]]
    if name.startswith("1001_DFA"):
        return {meant: 4, "N" if meant != "N" else "S": 4}
    return {"S": 7, "N": 1} if meant == "F" else {meant: 6, "N" if meant != "N" else "S": 2}


def write_table(space: Workspace) -> Path:
    names = sorted(path.stem for path in (space.raw / "crema").rglob("*.wav"))
    return write_answers(
        space.raw / "crema/processedResults/tabulatedVotes.csv", {name: heard(name) for name in [*names, "1091_WSI_SAD_XX"]}
    )


def two_corpora(root: Path, raw: Path) -> Workspace:
    space = make_workspace(root, raw)
    space.config_file.write_text(space.config_file.read_text() + SIX)
    return space


@pytest.fixture
def crema(tmp_path: Path) -> Workspace:
    """Two corpora of which one has votes; its table stands beside the audio. No step has run."""
    write_trees(tmp_path / "raw", ["crema", "savee"])
    space = two_corpora(tmp_path, tmp_path / "raw")
    write_table(space)
    return space


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The same after extract, transform and load. Not to be changed."""
    root = tmp_path_factory.mktemp("listening")
    write_trees(root / "raw", ["crema", "savee"])
    space = two_corpora(root, root / "raw")
    write_table(space)
    space.run("extract,transform,load")
    return space


@pytest.fixture
def ready(tmp_path: Path, common: Workspace) -> Workspace:
    """A copy of it, to be spoiled; the audio is shared."""
    shutil.copytree(common.processed, tmp_path / "processed")
    return two_corpora(tmp_path, common.raw)


# -- extract ---------------------------------------------------------------------


def test_extract_keeps_the_votes_of_the_clips_that_are_used(crema: Workspace, ser: Ser) -> None:
    answer = ser("--config", crema.config_file, "--steps", "extract")
    assert answer.code == 0
    rows = rows_of(crema.processed / "votes.csv")
    manifest = {row["id"] for row in rows_of(crema.processed / "manifest.csv") if row["corpus"] == "crema"}
    assert {row["id"] for row in rows} == manifest
    assert len(rows) == 72
    assert f"votes on 72 clips of CREMA-D, 576 answers; {crema.processed / 'votes.csv'}" in answer.out


def test_votes_of_an_earlier_extract_go_when_the_table_has_gone(crema: Workspace) -> None:
    crema.run("extract")
    (crema.raw / "crema/processedResults/tabulatedVotes.csv").unlink()
    crema.run("extract")
    assert not (crema.processed / "votes.csv").exists()


def test_a_corpus_that_takes_no_part_has_no_votes(crema: Workspace) -> None:
    crema.run("extract", "project.corpora=[savee]")
    assert not (crema.processed / "votes.csv").exists()


def test_a_damaged_table_stops_extract_before_it_has_written_anything(crema: Workspace, ser: Ser) -> None:
    path = write_table(crema)
    path.write_text(path.read_text()[:-20])
    answer = ser("--config", crema.config_file, "--steps", "extract")
    assert answer.code == 3
    assert str(path) in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not (crema.processed / "manifest.csv").exists()


# -- scores ----------------------------------------------------------------------


def test_a_run_is_judged_by_what_listeners_heard_too(ready: Workspace, ser: Ser) -> None:
    answer = ser("--config", ready.config_file, "--steps", "train", "--run-name", "a", "--epochs", 1)
    metrics = metrics_of(Run(ready.runs / "a"))
    perceived = metrics["perceived"]
    assert perceived["clips"] == metrics["per_corpus"]["crema"]["n"]
    rows = [row for row in rows_of(Run(ready.runs / "a").predictions) if row["split"] == "test" and row["corpus"] == "crema"]
    judged = [row for row in rows if not row["id"].startswith("crema_1001_DFA")]
    truth = ["sad" if row["truth"] == "fear" else row["truth"] for row in judged]
    assert perceived["n"] == len(judged)
    assert perceived["wa"] == pytest.approx(np.mean([row["prediction"] == truly for row, truly in zip(judged, truth, strict=True)]))
    assert perceived["human"]["answers"] == 8 * perceived["clips"]
    assert f"the votes of listeners on {perceived['n']} clips of CREMA-D" in answer.out


def test_without_votes_a_run_says_nothing_of_listeners(crema: Workspace) -> None:
    (crema.raw / "crema/processedResults/tabulatedVotes.csv").unlink()
    crema.run("extract,transform,load")
    assert "perceived" not in metrics_of(crema.train("a", SHORT))


def test_damaged_votes_are_found_before_training(ready: Workspace) -> None:
    path = ready.processed / "votes.csv"
    path.write_text(path.read_text().replace("crema_1002", "crema_1001"))
    with pytest.raises(Exception, match="run the extract step again"):
        ready.train("a", SHORT)
    assert not ready.runs.exists()


# -- learning from votes ---------------------------------------------------------


def test_a_model_learns_the_shares_of_the_answers_and_elsewhere_the_labels(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Altered copies have the shares of their original; val has labels alone."""
    ready.run("transform,load", SPEED_ALONE)
    trainers: list[Trainer] = []
    make = train_step.make_trainer

    def remembered(*arguments: Any) -> Trainer:
        trainers.append(make(*arguments))
        return trainers[-1]

    monkeypatch.setattr(train_step, "make_trainer", remembered)
    run = ready.train("votes", VOTES, SPEED_ALONE, SHORT)
    (trainer,) = trainers
    assert trainer.train_data.targets is not None
    assert trainer.val_data is not None
    assert trainer.val_data.targets is None
    classes = load_checkpoint(run.best)["classes"]
    for entry, target in zip(trainer.train_data.entries, trainer.train_data.targets, strict=True):
        code = original_id(entry.id).split("_")[3] if entry.corpus == "crema" else ""
        expected = {entry.emotion: 1.0}
        if entry.corpus == "crema":
            answers = heard(original_id(entry.id).removeprefix("crema_"))
            expected = {emotion: answers.get(letter, 0) / 8 for emotion, letter in zip(classes, "NHSAFD", strict=True)}
        assert target.tolist() == pytest.approx([expected.get(emotion, 0.0) for emotion in classes]), code


def test_votes_teach_what_labels_do_not(ready: Workspace) -> None:
    """Fear is always heard as sadness: who learns from votes says so."""
    by_label = metrics_of(ready.train("labels", "train.epochs=12"))
    by_votes = metrics_of(ready.train("votes", VOTES, "train.epochs=12"))
    assert by_votes["perceived"]["cross_entropy"] < by_label["perceived"]["cross_entropy"]
    assert by_votes["perceived"]["wa"] > by_label["perceived"]["wa"]


@pytest.mark.parametrize("setting", ["train.loss=focal", "train.class_weights=none", "train.label_smoothing=0", "train.sampler=class"])
def test_every_way_to_train_learns_from_votes_too(ready: Workspace, setting: str) -> None:
    assert metrics_of(ready.train("votes", VOTES, SHORT, setting))["n"] > 0


def test_votes_that_are_not_there_are_asked_for_in_one_line(crema: Workspace, ser: Ser) -> None:
    (crema.raw / "crema/processedResults/tabulatedVotes.csv").unlink()
    crema.run("extract,transform,load")
    answer = ser("--config", crema.config_file, "--steps", "train", "--set", VOTES)
    assert answer.code == 3
    assert "no training clip has any: tabulatedVotes.csv is in the folder processedResults of https://github.com" in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not crema.runs.exists()


def test_other_targets_are_another_run(ready: Workspace) -> None:
    ready.train("a", SHORT)
    with pytest.raises(ConfigError, match=r'train\.targets \("labels" in the run, "votes" now\)'):
        ready.run("train", SHORT, VOTES, run_name="a", resume=True)


def stopped(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that learns from votes, interrupted in its second epoch."""

    def fail(self: Trainer, run: Run) -> None:
        if self.progress.epoch:
            raise KeyboardInterrupt
        epoch(self, run)

    epoch = Trainer.run_epoch
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run_epoch", fail)
        with pytest.raises(KeyboardInterrupt):
            space.train("a", VOTES, "train.epochs=2")
    return Run(space.runs / "a")


def test_a_run_on_votes_goes_on_as_if_it_had_never_stopped(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = stopped(ready, monkeypatch)
    ready.run("train", VOTES, "train.epochs=2", run_name="a", resume=True)
    undisturbed = ready.train("b", VOTES, "train.epochs=2")
    assert (history_of(run), weights_of(run)) == (history_of(undisturbed), weights_of(undisturbed))


def test_a_run_does_not_go_on_with_other_votes(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(ready, monkeypatch)
    path = ready.processed / "votes.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *(f"{line.split(',')[0]},1,1,0,0,0,0,0" for line in lines[1:])]) + "\n")
    with pytest.raises(DataError, match="began with another targets"):
        ready.run("train", VOTES, "train.epochs=2", run_name="a", resume=True)


def test_labels_are_what_a_model_learns_unless_votes_are_asked_for(ready: Workspace) -> None:
    dataset = read_loaded(ready.config()).dataset(ready.config(), "train")
    assert dataset is not None
    assert dataset.targets is None
    assert dataset.batch([0, 1]).target is None
    assert "targets" not in load_checkpoint(ready.train("a", SHORT).last)
