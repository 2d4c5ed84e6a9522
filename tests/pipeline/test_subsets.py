"""Any of the four corpora is enough for a run, alone or together; what a split cannot do is an error before anything is decoded."""

import logging
import shutil
from itertools import chain, combinations
from pathlib import Path

import pytest

from conftest import Ser
from ser.corpora.registry import CORPORA
from ser.emotions import EMOTIONS
from ser.errors import DataError
from ser.pipeline import paths
from ser.pipeline.load import read_loaded
from ser.runs.checkpoint import load_checkpoint
from ser.splits.protocols import read_protocols
from workspace import Workspace, make_workspace, rows_of

COMBINATIONS = list(chain.from_iterable(combinations(CORPORA, size) for size in range(1, 5)))
ONCE_UNDECODED = "ser.corpora.census.examine_all"


def below(folder: Path, raw: Path, corpora: tuple[str, ...]) -> Workspace:
    """A workspace with links to some of the corpora."""
    (folder / "raw").mkdir()
    for name in corpora:
        (folder / "raw" / name).symlink_to(raw / name)
    return make_workspace(folder, folder / "raw")


def classes_of(corpora: tuple[str, ...]) -> tuple[str, ...]:
    """What the labels of these corpora say, in the order of the vocabulary."""
    known = {label.emotion for name in corpora for label in CORPORA[name].labels.values()}
    return tuple(emotion for emotion in EMOTIONS if emotion in known)


@pytest.mark.parametrize("corpora", COMBINATIONS, ids="-".join)
def test_the_classes_are_those_that_the_corpora_have(
    tmp_path: Path, raw: Path, corpora: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    space = below(tmp_path, raw, corpora)
    with caplog.at_level(logging.WARNING):
        space.run("extract,transform,load")
    loaded = read_loaded(space.config())
    assert loaded.split.classes == classes_of(corpora)
    dropped = [record.getMessage() for record in caplog.records if record.getMessage().startswith("no clip of")]
    assert len(dropped) == (len(loaded.split.classes) < len(EMOTIONS))
    assert all(f"other {len(loaded.split.classes)} classes" in message for message in dropped)
    for rows in loaded.split.splits.values():
        assert all(loaded.split.classes[row.label] == row.emotion for row in rows)
    used = {row["id"] for row in rows_of(space.processed / "manifest.csv")}
    assert {row.id for rows in loaded.split.splits.values() for row in rows} == used, "no clip is lost with a class that nobody has"


def test_a_run_without_a_class_is_complete(tmp_path: Path, raw: Path, ser: Ser) -> None:
    space = below(tmp_path, raw, ("savee",))
    space.run("extract,transform,load")
    run = space.train("seven", "train.epochs=1")
    assert tuple(load_checkpoint(run.best)["classes"]) == classes_of(("savee",))
    answer = ser("predict", "--model", run.folder, next((raw / "savee").rglob("*.wav")), "--format", "json")
    assert answer.code == 0
    assert "calm" not in answer.out


def test_a_missing_class_is_an_error_where_the_config_says_so_before_anything_is_decoded(
    tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = below(tmp_path, raw, ("tess",))
    monkeypatch.setattr(ONCE_UNDECODED, None)
    with pytest.raises(DataError, match=r"no clip of calm in tess: take the class out of labels.keep"):
        space.run("extract", "labels.missing=error")


def test_a_split_that_left_a_class_out_is_not_loaded_where_that_is_an_error(tmp_path: Path, raw: Path) -> None:
    space = below(tmp_path, raw, ("tess",))
    space.run("extract,transform,load")
    with pytest.raises(DataError, match=r"the split 'default' has no clip of calm: take the class out of labels.keep"):
        space.run("load", "labels.missing=error")
    space.run("load")


def test_published_protocols_take_no_fewer_classes() -> None:
    folds = [fold for protocol in read_protocols().values() for fold in protocol.folds]
    assert {fold.labels_config.missing for fold in folds} == {"error"}


@pytest.mark.parametrize("keep", ["calm, surprise", "calm, sad"])
def test_fewer_than_two_classes_that_anybody_has_are_an_error(tmp_path: Path, raw: Path, keep: str) -> None:
    space = below(tmp_path, raw, ("crema",))
    with pytest.raises(DataError, match=r"nothing to split|only sad is left, and a recogniser needs at least two classes"):
        space.run("extract", f"labels.keep=[{keep}]")


def only(folder: Path, raw: Path, pattern: str) -> Workspace:
    """With those clips of RAVDESS alone whose names fit."""
    for path in (raw / "ravdess").rglob(pattern):
        target = folder / "raw/ravdess" / path.relative_to(raw / "ravdess")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return make_workspace(folder, folder / "raw")


def test_one_speaker_alone_is_told_what_works_before_anything_is_decoded(
    tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch, ser: Ser
) -> None:
    space = only(tmp_path, raw, "*-01.wav")
    monkeypatch.setattr(ONCE_UNDECODED, None)
    with pytest.raises(DataError, match=r"leaves test empty: no corpus here has two speakers \(ravdess/01\).*split.rule=random"):
        space.run("extract")
    planned = ser("--config", space.config_file, "--steps", "extract", "--dry-run")
    assert "no corpus here has two speakers" in planned.out + planned.err
    doctor = ser("--config", space.config_file, "--steps", "doctor")
    assert (doctor.code, "no corpus here has two speakers" in doctor.out) == (3, True)


def test_what_it_is_told_works(tmp_path: Path, raw: Path) -> None:
    space = only(tmp_path, raw, "*-01.wav")
    random = "split={rule: random, kind: sample-disjoint, test_share: 0.4, val_share: 0.1}"
    space.run("extract,transform,load", random, "labels.keep=[calm, happy, sad]")
    assert space.train("alone", random, "labels.keep=[calm, happy, sad]", "train.epochs=1").metrics.exists()


def test_one_speaker_short_still_runs(tmp_path: Path, raw: Path) -> None:
    space = only(tmp_path, raw, "*-0[1-5].wav")
    space.run("extract,transform,load")
    assert len(read_loaded(space.config()).split.classes) == 8


def test_a_class_that_training_lacks_is_told_with_a_way_out(tmp_path: Path, raw: Path) -> None:
    """Only the test speaker is ever calm."""
    space = only(tmp_path, raw, "*-0[1-6].wav")
    tested = "split={rule: explicit-speakers, test_speakers: [ravdess/06], val_speakers: [ravdess/05]}"
    for path in (tmp_path / "raw").rglob("03-01-02-*"):
        if not path.stem.endswith("-06"):
            path.unlink()
    with pytest.raises(DataError, match="train has no clip of calm, but val or test has: take the class out"):
        space.run("extract", tested)


def test_the_manifest_stays_where_the_screening_makes_the_split_impossible(tmp_path: Path, raw: Path) -> None:
    """The second speaker's clips cannot be read: what was decoded is not thrown away."""
    space = only(tmp_path, raw, "*-0[12].wav")
    for path in (tmp_path / "raw").rglob("*-02.wav"):
        path.write_bytes(b"no sound")
    with pytest.raises(DataError, match="leaves test empty"):
        space.run("extract", "project.max_unreadable=1")
    assert len(rows_of(paths.manifest_file(space.config().project))) == 16


# -- folders beside the corpora --------------------------------------------------------------


def test_a_folder_that_is_no_corpus_is_named(tmp_path: Path, raw: Path, caplog: pytest.LogCaptureFixture, ser: Ser) -> None:
    space = below(tmp_path, raw, ("savee",))
    for name in ("mine", ".git", "__MACOSX"):
        (tmp_path / "raw" / name).mkdir()
    space.run("extract")
    (told,) = (record.getMessage() for record in caplog.records if "is not read" in record.getMessage())
    assert told == f"{tmp_path}/raw/mine is not read: its name is not that of a corpus (crema, ravdess, savee, tess)"
    assert "folder mine" in ser("--config", space.config_file, "--steps", "doctor").out


@pytest.mark.parametrize("name", ["SAVEE", "Savee-audio", "surrey-savee", "SAVEE_Database"])
def test_the_folder_of_a_download_is_taken(tmp_path: Path, raw: Path, name: str) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / name).symlink_to(raw / "savee")
    space = make_workspace(tmp_path, tmp_path / "raw")
    space.run("extract")
    assert len(rows_of(paths.manifest_file(space.config().project))) == 56


def test_a_second_folder_beside_a_corpus_s_own_is_named_and_not_read(tmp_path: Path, raw: Path, caplog: pytest.LogCaptureFixture) -> None:
    space = below(tmp_path, raw, ("savee",))
    (tmp_path / "raw" / "savee_old").symlink_to(raw / "savee")
    space.run("extract")
    assert any("savee_old is not read" in record.getMessage() for record in caplog.records)
    assert len(rows_of(paths.manifest_file(space.config().project))) == 56
