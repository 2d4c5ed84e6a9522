"""found = used + skipped: whatever stands below data/raw, each file is used once or has a reason."""

import logging
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import Ser
from ser.audio.search import find_audio
from ser.config import ExperimentConfig, LabelsConfig, ProjectConfig, RuntimeConfig
from ser.corpora.census import (
    SKIPPED_COLUMNS,
    UNREADABLE_REASONS,
    Census,
    check_census,
    find_files,
    summary,
    take_census,
    write_skipped,
)
from ser.corpora.folders import find_corpus_folder
from ser.corpora.manifest import read_manifest
from ser.corpora.registry import CORPORA
from ser.errors import DataError, LockedError
from ser.pipeline import paths
from ser.pipeline.extract import extract
from ser.reasons import SKIP_REASONS
from ser.system.files import exclusive_lock
from ser.system.tables import read_table
from trees import write_trees

COUNTS = {"crema": 72, "ravdess": 96, "savee": 56, "tess": 28}


def config_of(folder: Path, workers: int = 1, max_unreadable: float = 0.05) -> ExperimentConfig:
    project = ProjectConfig(raw_dir=str(folder / "raw"), processed_dir=str(folder / "processed"), max_unreadable=max_unreadable)
    labels = LabelsConfig(keep=("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"))  # only RAVDESS has calm
    return ExperimentConfig(project=project, labels=labels, runtime=RuntimeConfig(workers=workers))


def census_of(folder: Path, workers: int = 1) -> Census:
    config = config_of(folder, workers)
    census = take_census(find_files(folder / "raw", config.project.corpora), config)
    for corpus, found in census.found.items():
        used = len(census.manifest.select(corpus=corpus))
        assert found == used + sum(row.corpus == corpus for row in census.skipped)
    assert {row.reason for row in census.skipped} <= set(SKIP_REASONS)
    return census


def reasons(census: Census) -> dict[str, int]:
    return dict(Counter(row.reason for row in census.skipped))


def one(folder: Path, corpus: str, name: str) -> Path:
    """The path of one clip of the tree."""
    return next((folder / "raw" / corpus).rglob(name))


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All four corpora; not to be changed."""
    folder = tmp_path_factory.mktemp("four")
    write_trees(folder / "raw", seconds=0.2)
    return folder


@pytest.fixture
def savee(tmp_path: Path) -> Path:
    """56 clips of SAVEE, to be spoiled."""
    write_trees(tmp_path / "raw", ("savee",), seconds=0.15)
    return tmp_path


def test_every_clip_of_four_good_trees_is_used(four: Path) -> None:
    census = census_of(four)
    assert census.found == COUNTS
    assert census.skipped == []
    assert len(census.manifest) == 252
    assert len({utterance.audio_hash for utterance in census.manifest}) == 252


def test_a_row_tells_what_file_and_name_tell(four: Path) -> None:
    utterance = census_of(four).manifest["ravdess_03-01-06-01-02-01-05"]
    assert utterance.path == "ravdess/Actor_05/03-01-06-01-02-01-05.wav"
    assert (utterance.speaker, utterance.gender, utterance.emotion, utterance.statement) == ("ravdess/05", "male", "fear", "02")
    assert (utterance.sample_rate, utterance.channels) == (48_000, 1)
    assert utterance.duration == utterance.num_samples / 48_000


def test_two_workers_find_the_same_as_one(four: Path) -> None:
    assert list(census_of(four, workers=2).manifest) == list(census_of(four).manifest)


def test_trees_that_stand_twice_give_the_same_clips(tmp_path: Path, four: Path) -> None:
    raw = tmp_path / "raw"
    shutil.copytree(four / "raw", raw)
    shutil.copytree(raw / "crema" / "AudioWAV", raw / "crema" / "CREMA-D" / "AudioWAV")
    for folder in list((raw / "ravdess").iterdir()):
        shutil.copytree(folder, raw / "ravdess" / "audio_speech_actors_01-24" / folder.name)
    for folder in list((raw / "tess").iterdir()):
        shutil.copytree(folder, raw / "tess" / "TESS Toronto emotional speech set data" / folder.name)
    for path in list((raw / "savee" / "ALL").iterdir()):
        speaker, name = path.name.split("_")
        (raw / "savee" / "AudioData" / "AudioData" / speaker).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, raw / "savee" / "AudioData" / "AudioData" / speaker / name)
    census = census_of(tmp_path)
    assert census.found == {corpus: 2 * count for corpus, count in COUNTS.items()}
    assert list(census.manifest) == list(census_of(four).manifest)
    assert reasons(census) == {"duplicate-samples": 252}


def test_folders_and_suffixes_may_have_any_case(tmp_path: Path) -> None:
    for path in write_trees(tmp_path / "lower", ("savee", "tess"), seconds=0.15):
        target = tmp_path / "raw" / path.relative_to(tmp_path / "lower").as_posix().upper()
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    census = census_of(tmp_path)
    assert census.found == {"savee": 56, "tess": 28}
    assert len(census.manifest) == 84
    assert "tess_OAF_back_ps" in census.manifest


def test_two_folders_of_one_corpus_are_refused(savee: Path) -> None:
    (savee / "raw" / "SAVEE").mkdir()
    if len(list((savee / "raw").iterdir())) == 2:
        with pytest.raises(DataError, match="same corpus"):
            find_corpus_folder(savee / "raw", "savee")


def test_the_misnamed_clip_of_tess_gets_the_id_of_its_speaker(tmp_path: Path) -> None:
    write_trees(tmp_path / "raw", ("tess",), seconds=0.15)
    one(tmp_path, "tess", "OAF_back_neutral.wav").rename(tmp_path / "raw/tess/OAF_neutral/OA_bite_neutral.wav")
    assert census_of(tmp_path).manifest["tess_OAF_bite_neutral"].speaker == "tess/OAF"


def test_the_same_samples_under_two_labels_are_both_skipped(savee: Path) -> None:
    shutil.copy(one(savee, "savee", "DC_a01.wav"), one(savee, "savee", "DC_f01.wav"))
    census = census_of(savee)
    assert reasons(census) == {"conflicting-label": 2}
    assert [row.path for row in census.skipped] == ["savee/ALL/DC_a01.wav", "savee/ALL/DC_f01.wav"]
    assert all("savee_DC_a01 angry, savee_DC_f01 fear" in row.detail for row in census.skipped)


def test_the_same_samples_under_one_label_are_kept_once(savee: Path) -> None:
    shutil.copy(one(savee, "savee", "DC_a01.wav"), one(savee, "savee", "DC_a02.wav"))
    census = census_of(savee)
    assert [(row.path, row.reason) for row in census.skipped] == [("savee/ALL/DC_a02.wav", "duplicate-samples")]
    assert "savee_DC_a01" in census.manifest


def test_the_wav_is_taken_before_its_mp3_unless_it_is_bad(savee: Path) -> None:
    for name in ("DC_a01", "DC_a02"):
        wav = one(savee, "savee", f"{name}.wav")
        samples, rate = soundfile.read(wav)
        soundfile.write(savee / "raw" / "savee" / f"{name}.mp3", samples, rate)
    one(savee, "savee", "DC_a02.wav").write_bytes(b"")
    census = census_of(savee)
    assert census.manifest["savee_DC_a01"].path == "savee/ALL/DC_a01.wav"
    assert census.manifest["savee_DC_a02"].path == "savee/DC_a02.mp3"
    assert reasons(census) == {"duplicate-samples": 1, "empty": 1}


def test_system_files_and_other_files_are_not_found(savee: Path) -> None:
    folder = savee / "raw" / "savee"
    for name in ("._DC_a01.wav", ".DS_Store", "Thumbs.db", "Info.txt", "__MACOSX/ALL/DC_a01.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\0\5\x16\7")
    assert census_of(savee).found == {"savee": 56}


def test_what_is_no_audio_has_a_reason(savee: Path) -> None:
    folder = savee / "raw" / "savee" / "ALL"
    clips = sorted(folder.iterdir())
    clips[0].write_bytes(b"")
    clips[1].write_bytes(clips[1].read_bytes()[:2_000])
    clips[2].write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    soundfile.write(clips[3], np.zeros(8_000), 16_000)
    clips[4].rename(folder / "holiday.wav")
    clips[5].unlink()
    os.mkfifo(clips[5])
    clips[6].unlink()
    clips[6].symlink_to(folder / "nowhere.wav")
    clips[7].unlink()
    clips[7].symlink_to(clips[7])
    clips[8].unlink()
    clips[8].mkdir()
    census = census_of(savee)
    expected = ("empty", "truncated", "lfs-pointer", "silent", "bad-name", "not-a-file", "dangling-link", "link-loop", "not-a-file")
    assert reasons(census) == dict(Counter(expected))
    assert len(census.manifest) == 47
    with pytest.raises(
        DataError, match=r"savee: 7 of 56 files cannot be read; project.max_unreadable allows 5%.*2 not-a-file.*1 link-loop"
    ):
        check_census(census, 0.05)
    check_census(census, 0.2)


def test_links_are_followed_and_each_real_file_is_found_once(savee: Path) -> None:
    raw = savee / "raw"
    (raw / "savee").rename(savee / "elsewhere")
    (raw / "SAVEE").symlink_to(savee / "elsewhere")
    (savee / "elsewhere" / "AAA").symlink_to(savee / "elsewhere" / "ALL")
    (savee / "elsewhere" / "loop").symlink_to(savee / "elsewhere")
    (savee / "elsewhere" / "DC_a01.wav").symlink_to(savee / "elsewhere" / "ALL" / "DC_a01.wav")
    (savee / "more").mkdir()
    shutil.copy(savee / "elsewhere/ALL/DC_a01.wav", savee / "more" / "DC_a09.wav")
    (savee / "elsewhere" / "more").symlink_to(savee / "more")
    census = census_of(savee)
    assert census.found == {"savee": 57}
    assert census.manifest["savee_DC_a01"].path == "SAVEE/ALL/DC_a01.wav"
    assert reasons(census) == {"duplicate-samples": 1}


def test_a_folder_link_to_nothing_is_told(savee: Path, caplog: pytest.LogCaptureFixture) -> None:
    (savee / "raw" / "savee" / "disk").symlink_to(savee / "unmounted")
    assert census_of(savee).found == {"savee": 56}
    assert "disk is a link to a file that does not exist" in caplog.text


def test_paths_that_a_table_cannot_hold_are_skipped(savee: Path) -> None:
    for number, folder in enumerate((os.fsdecode(b"caf\xe9"), "line\nbreak"), start=40):
        (savee / "raw" / "savee" / folder).mkdir()
        shutil.copy(one(savee, "savee", "DC_a01.wav"), savee / "raw" / "savee" / folder / f"DC_a{number}.wav")
    census = census_of(savee)
    assert [row.path for row in census.skipped] == ["savee/caf\\udce9/DC_a40.wav", "savee/line\\nbreak/DC_a41.wav"]
    write_skipped(savee / "skipped.csv", census.skipped)
    assert [row["reason"] for row in read_table(savee / "skipped.csv", SKIPPED_COLUMNS)] == ["bad-name"] * 2


def test_a_folder_that_cannot_be_listed_is_an_error(savee: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="cannot be listed: Permission denied"):
        find_audio(savee / "raw" / "savee")


def test_a_warning_is_counted_and_the_clip_used(savee: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = one(savee, "savee", "DC_a01.wav")
    samples, _ = soundfile.read(path)
    soundfile.write(path, np.stack([samples, samples], axis=1), 8_000, format="AIFF")
    with caplog.at_level(logging.DEBUG):
        census = census_of(savee)
    assert census.warnings == {"stereo": 1, "8khz": 1, "name-content-mismatch": 1}
    assert census.manifest["savee_DC_a01"].channels == 2
    assert "used with a warning: 1 stereo" in [r.getMessage().split(" (")[0] for r in caplog.records if r.levelname == "WARNING"]
    assert "savee/ALL/DC_a01.wav: 8khz" in caplog.text


def test_a_missing_corpus_is_left_out_with_a_word(savee: Path, caplog: pytest.LogCaptureFixture) -> None:
    (savee / "raw" / "tess").mkdir()
    census = census_of(savee)
    assert list(census.found) == ["savee"]
    assert "tess is left out" in caplog.text
    assert "has no audio files" in caplog.text
    assert CORPORA["crema"].how_to_get in caplog.text


@pytest.mark.parametrize("folder", ["", "raw"])
def test_no_corpus_at_all_says_what_is_expected(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    with pytest.raises(DataError, match=r"expected one folder for each corpus.*raw/crema/AudioWAV/1001_DFA_ANG_XX.wav"):
        extract(config_of(tmp_path))


def test_a_heap_of_lfs_pointers_says_how_to_get_the_audio(tmp_path: Path) -> None:
    for path in write_trees(tmp_path / "raw", ("crema",), seconds=0.15):
        path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(DataError, match=r"72 of 72 files cannot be read.*72 lfs-pointer.*git lfs pull") as caught:
        extract(config_of(tmp_path))
    assert caught.value.exit_code == 3
    assert len(read_table(tmp_path / "processed" / "skipped.csv", SKIPPED_COLUMNS)) == 72
    assert not (tmp_path / "processed" / "manifest.csv").exists()


def test_a_corpus_in_the_folder_of_another_is_told(savee: Path) -> None:
    (savee / "raw" / "savee").rename(savee / "raw" / "tess")
    with pytest.raises(DataError, match=r"tess: none of 56 files can be used \(56 bad-name\). Names look like OAF_Fear"):
        extract(config_of(savee))


def test_extract_writes_the_manifest_and_the_skipped_files(savee: Path) -> None:
    one(savee, "savee", "DC_a01.wav").write_bytes(b"")
    config = config_of(savee)
    census = extract(config)
    assert list(read_manifest(paths.manifest_file(config.project))) == list(census.manifest)
    rows = read_table(paths.skipped_file(config.project), SKIPPED_COLUMNS)
    assert rows == [{"path": "savee/ALL/DC_a01.wav", "corpus": "savee", "reason": "empty", "detail": "0 bytes"}]
    before = paths.manifest_file(config.project).read_bytes()
    extract(config)
    assert paths.manifest_file(config.project).read_bytes() == before


def test_a_second_extract_at_the_same_time_is_refused(savee: Path) -> None:
    config = config_of(savee)
    with exclusive_lock(paths.lock_file(config.project)), pytest.raises(LockedError, match=str(os.getpid())):
        extract(config)


def test_the_summary_counts_each_corpus(four: Path) -> None:
    lines = summary(census_of(four))
    assert lines[0].split() == ["corpus", "found", "used", "skipped", "speakers", "hours"]
    assert lines[3].split()[:5] == ["savee", "56", "56", "0", "4"]
    assert lines[5].split()[:4] == ["all", "252", "252", "0"]


def test_the_reasons_of_damage_are_known_reasons() -> None:
    assert set(SKIP_REASONS) >= UNREADABLE_REASONS


def test_without_any_corpus_there_is_one_line_and_nothing_is_left(tmp_path: Path, ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = ser("--config", "spectral_crnn.yaml", "--steps", "extract", "--set", "augmentations.copies=0")
    assert (answer.code, answer.err.count("\n")) == (3, 1)
    assert answer.err.startswith("ser: no audio below data/raw: expected one folder for each corpus (crema, ravdess, savee, tess)")
    assert not list(tmp_path.iterdir())
