"""The transform step on a small tree: what is stored, what is computed again, and what bad luck costs."""

import os
import shutil
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from ser.audio.decode import audio_hash, read_audio
from ser.audio.waveform import prepare
from ser.config import ExperimentConfig
from ser.corpora.manifest import Manifest, Utterance, read_manifest, write_manifest
from ser.errors import ArtefactError, DataError, LockedError
from ser.families import SPECTRAL
from ser.features.family import AUDIO_KEYS
from ser.features.registry import get_family
from ser.features.spectral import SpectralExtractor
from ser.features.spectral_family import CONFIG_KEYS
from ser.features.store import FeatureStore
from ser.pipeline import paths, stores
from ser.pipeline import transform as step
from ser.pipeline.stores import augmented_spec, store_folder, store_spec
from ser.pipeline.transform import plan, transform
from ser.system import files
from ser.system.parallel import START_METHOD

RATES = (16_000, 48_000, 44_100, 24_414, 16_000, 8000, 16_000)
pytestmark = pytest.mark.skipif(START_METHOD != "fork", reason="a worker must see what a test has replaced")


def write_clip(path: Path, seed: int, sample_rate: int) -> None:
    generator = np.random.default_rng(seed)
    samples = 0.3 * generator.standard_normal(round((0.2 + 0.05 * seed) * sample_rate))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, sample_rate, subtype="PCM_16")


def utterance(raw: Path, name: str) -> Utterance:
    audio = read_audio(raw / f"tess/{name}.wav")
    count, channels = audio.samples.shape
    rate = audio.sample_rate
    facts = (rate, channels, count, count / rate, audio_hash(audio))
    return Utterance(name, "tess", f"tess/{name}.wav", "tess/OAF", "female", "sad", "sad", "", "", *facts)


def index(config: ExperimentConfig) -> Manifest:
    """The manifest of what stands in the tree now."""
    raw = Path(config.project.raw_dir)
    manifest = Manifest(utterance(raw, path.stem) for path in raw.glob("tess/*.wav"))
    write_manifest(paths.manifest_file(config.project), manifest)
    return manifest


def configure(tmp_path: Path, **sections: Any) -> ExperimentConfig:
    project = {"raw_dir": str(tmp_path / "raw"), "processed_dir": str(tmp_path / "processed")}
    values = {"project": project, "features": {"shard_clips": 2}, "runtime": {"workers": 1}}
    return ExperimentConfig.model_validate({**values, **sections})


@pytest.fixture
def config(tmp_path: Path) -> ExperimentConfig:
    """Seven clips at five rates, indexed; four shards."""
    config = configure(tmp_path)
    for number, rate in enumerate(RATES):
        write_clip(tmp_path / f"raw/tess/clip{number}.wav", number, rate)
    index(config)
    return config


def clip(config: ExperimentConfig, number: int) -> Path:
    return Path(config.project.raw_dir) / f"tess/clip{number}.wav"


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def undisturbed(config: ExperimentConfig, tmp_path: Path) -> dict[str, bytes]:
    """What a run from nothing writes."""
    aside = config.model_copy(update={"project": config.project.model_copy(update={"processed_dir": str(tmp_path / "aside")})})
    (tmp_path / "aside").mkdir()
    shutil.copy(paths.manifest_file(config.project), paths.manifest_file(aside.project))
    transform(aside)
    return snapshot(store_folder(aside))


def in_a_child(function: Callable[[], object]) -> int:
    """The exit code of a forked process; -9 if it was killed."""
    process = get_context("fork").Process(target=function)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def test_every_utterance_is_stored_with_the_features_of_its_prepared_waveform(config: ExperimentConfig) -> None:
    (folder,) = transform(config)
    assert folder == store_folder(config)
    store = FeatureStore.open(folder)
    store.verify()
    manifest = read_manifest(paths.manifest_file(config.project))
    assert {clip: store.audio_hash(clip) for clip in store} == {utterance.id: utterance.audio_hash for utterance in manifest}
    assert len(store) == len(RATES)
    extractor = SpectralExtractor(config.audio, config.features)
    for item in manifest:
        audio = read_audio(Path(config.project.raw_dir) / item.path)
        (expected,) = extractor.extract([prepare(audio.samples, audio.sample_rate, config.audio).prepared])
        assert np.array_equal(store.rows(item.id), expected)
    assert (store.dims, store.frame_rate) == (extractor.dims, extractor.frame_rate)


@pytest.mark.parametrize("workers", [2, 5])
def test_more_processes_write_the_same_bytes(config: ExperimentConfig, tmp_path: Path, workers: int) -> None:
    parallel = config.model_copy(update={"runtime": config.runtime.model_copy(update={"workers": workers})})
    (folder,) = transform(parallel)
    assert snapshot(folder) == undisturbed(config, tmp_path)


def test_a_second_run_computes_nothing(config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = transform(config)
    before = snapshot(folder)
    monkeypatch.setattr(step, "read_audio", None)
    assert transform(config) == [folder]
    assert snapshot(folder) == before


def test_the_plan_tells_the_counts_and_writes_nothing(config: ExperimentConfig) -> None:
    (before,) = plan(config)
    assert (len(before.stored), before.to_compute, [len(shard) for shard in before.shards]) == (0, 7, [2, 2, 2, 1])
    assert not before.folder.exists()
    transform(config)
    assert before.estimated_bytes >= sum(path.stat().st_size - 128 for path in before.folder.glob("*.npy")) > before.estimated_bytes / 2
    (after,) = plan(config)
    assert (len(after.stored), after.to_compute, after.estimated_bytes) == (7, 0, 0)


def test_only_an_edited_an_added_and_a_removed_clip_make_work(config: ExperimentConfig, tmp_path: Path) -> None:
    (folder,) = transform(config)
    old = {path.name for path in folder.glob("*.npy")}
    write_clip(clip(config, 0), 99, 16_000)
    write_clip(clip(config, 7), 7, 16_000)
    clip(config, 6).unlink()
    manifest = index(config)
    (changed,) = plan(config)
    assert [item.id for shard in changed.shards for item in shard] == ["clip0", "clip7"]
    transform(config)
    store = FeatureStore.open(folder)
    store.verify()
    assert list(store) == [u.id for u in manifest]
    assert {clip: store.audio_hash(clip) for clip in store} == {utterance.id: utterance.audio_hash for utterance in manifest}
    assert len(old & {path.name for path in folder.glob("*.npy")}) == 3, "the shard of the removed clip held nothing else"
    fresh = undisturbed(config, tmp_path)
    shutil.rmtree(folder)
    transform(config)
    assert snapshot(folder) == fresh


@pytest.mark.parametrize(
    "sections",
    [{"features": {"n_fft": 512}}, {"features": {"dtype": "float16"}}, {"audio": {"trim_top_db": 20}}],
    ids=["n_fft", "dtype", "audio"],
)
def test_another_config_gets_another_store(config: ExperimentConfig, tmp_path: Path, sections: dict[str, Any]) -> None:
    other = configure(tmp_path, **sections)
    transform(config)
    before = snapshot(store_folder(config))
    transform(other)
    assert store_folder(other) != store_folder(config)
    assert snapshot(store_folder(config)) == before
    FeatureStore.open(store_folder(other)).verify()


def test_the_size_of_shards_is_no_other_store(config: ExperimentConfig, tmp_path: Path) -> None:
    transform(config)
    (after,) = plan(configure(tmp_path, features={"shard_clips": 5}))
    assert after.to_compute == 0


DEFAULT = "493edb57c99ddc9627898721ce29795efd27e96d6e8eac771ca056e7e1888c11"
VOICES = {"augmentations": {"noise_snr_db": None, "speed": [0.9, 1.1]}}
VOICES_AUGMENTED = "606162aecd322a9f476f8ca0b94aab7914bdb5cfe362b2c7d3813f127d703687"
MEL_ALONE = "67e7e4d027c6967b5e5e184ce759d7d65982660e64c3ff2a3979e93a5026967e"


def test_a_store_of_an_earlier_version_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fingerprints as they were before there were backbones. If one must change, raise a CODE_VERSION and say so in the change log."""
    monkeypatch.setattr(stores, "library_version", lambda: "0.43.1")
    mel = {"features": {"types": ["mel"], "dtype": "float16"}, "model": {"features": ["mel"]}, "audio": {"duration": None}}
    mel_alone = ExperimentConfig.model_validate(mel)
    assert store_spec(ExperimentConfig(), SPECTRAL).fingerprint == DEFAULT
    assert augmented_spec(ExperimentConfig.model_validate(VOICES), SPECTRAL).fingerprint == VOICES_AUGMENTED
    assert store_spec(mel_alone, SPECTRAL).fingerprint == MEL_ALONE


def test_every_setting_is_an_ingredient_or_known_to_change_no_number() -> None:
    """A new one belongs into the keys of `ser.features.spectral_family`, where its default must not appear, or into this list."""
    config = ExperimentConfig()
    assert set(dict(config.audio)) == AUDIO_KEYS
    assert set(dict(config.augmentations)) == stores.AUGMENTATION_KEYS | {"copies", "speed"}, "speed is an ingredient where it is set"
    assert set(dict(config.features)) == {*CONFIG_KEYS, "types", "dtype", "shard_clips"}
    for part in ("mel", "mfcc", "chroma"):
        assert set(dict(getattr(config.features, part))) == CONFIG_KEYS[part]


def test_another_code_version_gets_another_store(config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    before = store_folder(config)
    monkeypatch.setattr(type(get_family(SPECTRAL)), "code_version", -1)
    assert store_folder(config) != before


def edit(path: Path) -> None:
    write_clip(path, 99, 16_000)


def damage(path: Path) -> None:
    path.write_bytes(b"not audio")


@pytest.mark.parametrize("change", [edit, damage, Path.unlink])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_clip_that_changed_since_extract_stops_the_step_and_is_named(
    config: ExperimentConfig, workers: int, change: Callable[[Path], None]
) -> None:
    change(clip(config, 3))
    parallel = config.model_copy(update={"runtime": config.runtime.model_copy(update={"workers": workers})})
    with pytest.raises(DataError, match=r"clip3\.wav has changed since the extract step.*run extract again"):
        transform(parallel)


def test_without_a_manifest_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run the extract step first"):
        transform(configure(tmp_path))


def test_a_kill_at_any_write_costs_nothing_but_the_time(config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is written by fsync, rename, fsync of the folder; the process dies at each of these fsyncs in turn."""
    expected = undisturbed(config, tmp_path)
    folder, fsync = store_folder(config), os.fsync

    def dying_at(count: int) -> Callable[[int], None]:
        seen = iter(range(count))

        def counted(descriptor: int) -> None:
            if next(seen, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            fsync(descriptor)

        return counted

    kills = 0
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", dying_at(kills))
            if in_a_child(lambda: transform(config)) == 0:
                break
        kills += 1
        transform(config)
        assert snapshot(folder) == expected, f"killed at fsync {kills}"
    assert kills == 2 * len(expected), "two for each file"


def test_a_killed_worker_costs_one_retry(
    config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = undisturbed(config, tmp_path)
    marker = tmp_path / "killed"

    def read_and_die_once(path: Path) -> Any:
        if path.stem == "clip4" and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return read_audio(path)

    monkeypatch.setattr(step, "read_audio", read_and_die_once)
    (folder,) = transform(config.model_copy(update={"runtime": config.runtime.model_copy(update={"workers": 2})}))
    assert snapshot(folder) == expected
    assert "the shard of clip4 to clip5: the worker process was killed" in caplog.text


def test_a_full_disk_is_one_line_and_the_old_store_stays(config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = transform(config)
    before = snapshot(folder)
    write_clip(clip(config, 7), 7, 16_000)
    index(config)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"No space left on device.*not affected"):
        transform(config)
    assert snapshot(folder) == before


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def garble(path: Path) -> None:
    path.with_suffix(".json").write_text("{}")


@pytest.mark.parametrize("harm", [cut, flip, garble, Path.unlink])
def test_repair_computes_what_is_damaged_again(config: ExperimentConfig, harm: Callable[[Path], None]) -> None:
    (folder,) = transform(config)
    before = snapshot(folder)
    harm(sorted(folder.glob("*.npy"))[1])
    with pytest.raises(ArtefactError, match="--repair"):
        FeatureStore.open(folder).verify()
    if harm is not flip:  # a flipped bit shows only when everything is read
        with pytest.raises(ArtefactError, match="--repair"):
            transform(config)
    transform(config, repair=True)
    assert snapshot(folder) == before


@pytest.mark.parametrize("name", ["store.json", "index.csv"])
def test_a_damaged_description_or_index_is_written_again(config: ExperimentConfig, name: str) -> None:
    (folder,) = transform(config)
    before = snapshot(folder)
    (folder / name).write_text("{")
    transform(config)
    assert snapshot(folder) == before


def test_one_writer_at_a_time(config: ExperimentConfig) -> None:
    with files.exclusive_lock(paths.lock_file(config.project)), pytest.raises(LockedError, match=str(os.getpid())):
        transform(config)
