"""The transform step with a backbone: its store stands beside the spectral one, and is built, resumed and refused in the same way."""

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backbones import DIM, KINDS, LAYERS, WEIGHTS, in_cache, save_backbone, tiny_backbone
from conftest import Answer, Ser
from processes import dying_at, in_a_child
from ser.audio.augment import Augmenter
from ser.audio.decode import read_audio
from ser.audio.waveform import Waveform, prepare
from ser.config import ExperimentConfig
from ser.corpora.manifest import Manifest, Utterance, read_manifest
from ser.errors import ConfigError, DataError
from ser.families import SPECTRAL, SSL
from ser.features.backbone import BackboneExtractor, one_thread
from ser.features.backbone_files import PINNED
from ser.features.registry import get_family
from ser.features.store import FeatureStore
from ser.pipeline import paths
from ser.pipeline import transform as step
from ser.pipeline.stores import augmented_folder, store_folder, store_folders, store_spec
from ser.pipeline.transform import plan, transform
from ser.system.parallel import START_METHOD
from trees import write_trees
from workspace import SPEED_ALONE, Workspace, make_workspace

CLASSES = "labels: {keep: [neutral, happy, sad, angry, fear, disgust, surprise]}\n"
CLIPS = 28
BASE_PLUS = "microsoft/wavlm-base-plus"
pytestmark = pytest.mark.skipif(START_METHOD != "fork", reason="a worker must see what a test has replaced")


def settings(model_id: Path | str, features: str = "[ssl, mel]") -> list[str]:
    family = ["model.name=ssl_spectral_moe", f"model.features={features}", f"features.types={features}"]
    return [*family, f"ssl.model_id={model_id}", "ssl.precision=fp32", "ssl.shard_clips=8"]


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """28 clips of four speakers, after extract."""
    root = tmp_path_factory.mktemp("extracted")
    write_trees(root / "raw", ["savee"], takes=1)
    space = make_workspace(root, root / "raw")
    space.config_file.write_text(space.config_file.read_text() + CLASSES)
    space.run("extract")
    return space


@pytest.fixture
def space(tmp_path: Path, extracted: Workspace) -> Workspace:
    """A copy of `extracted`, with the same audio."""
    shutil.copytree(extracted.processed, tmp_path / "processed")
    space = make_workspace(tmp_path, extracted.raw)
    space.config_file.write_text(space.config_file.read_text() + CLASSES)
    return space


@pytest.fixture
def config(space: Workspace) -> ExperimentConfig:
    return space.config(*settings(tiny_backbone("wavlm")))


def elsewhere(config: ExperimentConfig, folder: Path, **runtime: Any) -> ExperimentConfig:
    """The same work from nothing, in another folder."""
    shutil.copytree(config.project.processed_dir, folder, ignore=shutil.ignore_patterns("features"))
    project = config.project.model_copy(update={"processed_dir": str(folder)})
    return config.model_copy(update={"project": project, "runtime": config.runtime.model_copy(update=runtime)})


def changed(config: ExperimentConfig, **values: Any) -> ExperimentConfig:
    """With other values in the section ssl."""
    return config.model_copy(update={"ssl": config.ssl.model_validate({**config.ssl.model_dump(), **values})})


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def manifest_of(config: ExperimentConfig) -> Manifest:
    return read_manifest(paths.manifest_file(config.project))


def prepared(config: ExperimentConfig, utterance: Utterance) -> Waveform:
    """The waveform that features are computed from."""
    audio = read_audio(Path(config.project.raw_dir) / utterance.path)
    return prepare(audio.samples, audio.sample_rate, config.audio).prepared


def hears(config: ExperimentConfig, waveforms: Sequence[Waveform]) -> list[Any]:
    """What the backbone makes of each waveform by itself, as the store holds it."""
    extractor = BackboneExtractor(config.ssl, config.audio.sampling_rate)
    with one_thread():
        return [extractor.extract([waveform])[0].astype(config.ssl.dtype) for waveform in waveforms]


# what is stored


@pytest.mark.parametrize("kind", KINDS)
def test_every_utterance_is_stored_with_the_hidden_states_of_its_own_waveform(space: Workspace, kind: str) -> None:
    config = space.config(*settings(tiny_backbone(kind)))
    folders = transform(config)
    assert folders == [store_folder(config), store_folder(config, SSL)]
    assert store_folders(config, config.features.types) == {SPECTRAL: folders[:1], SSL: folders[1:]}
    store = FeatureStore.open(folders[1])
    store.verify()
    manifest = manifest_of(config)
    assert {clip: store.audio_hash(clip) for clip in store} == {utterance.id: utterance.audio_hash for utterance in manifest}
    assert len(store) == CLIPS
    extractor = BackboneExtractor(config.ssl, config.audio.sampling_rate)
    assert (store.dims, store.frame_rate) == (extractor.dims, extractor.frame_rate)
    assert store.dims == {SSL: (LAYERS + 1) * DIM}
    assert store.spec.layers == list(range(LAYERS + 1))
    waveforms = [prepared(config, utterance) for utterance in manifest]
    for utterance, expected in zip(manifest, hears(config, waveforms), strict=True):
        assert np.array_equal(store.rows(utterance.id), expected)
        assert store.rows(utterance.id).dtype == np.float16


def test_altered_copies_are_heard_as_the_spectral_features_see_them(config: ExperimentConfig) -> None:
    augmentations = config.augmentations.model_copy(update={"copies": 1, "probability": 1.0, "pitch_semitones": None, "stretch_rate": None})
    config = config.model_copy(update={"augmentations": augmentations})
    folders = transform(config)
    copies = FeatureStore.open(folders[3])
    assert folders == [folder for group in store_folders(config, [SSL, "mel"]).values() for folder in group]
    assert folders[3] == augmented_folder(config, SSL) != augmented_folder(config)
    assert list(copies) == list(FeatureStore.open(folders[1])), "the same copies"
    assert len(copies) == CLIPS // 2
    augmenter = Augmenter(augmentations, config.audio.sampling_rate)
    for copy in copies:
        utterance = manifest_of(config)[copy.removesuffix("~1")]
        altered = step.waveform_of(config, step.Item(utterance, 1), augmenter)
        assert np.array_equal(copies.rows(copy), hears(config, [altered])[0])


def test_the_spectral_store_is_the_one_of_a_config_without_a_backbone(space: Workspace, config: ExperimentConfig) -> None:
    alone = space.config("features.types=[mel]", "model.features=[mel]")
    (folder,) = transform(alone)
    before = snapshot(folder)
    assert transform(config)[0] == folder
    assert snapshot(folder) == before


def test_a_backbone_alone_has_no_spectral_store(space: Workspace) -> None:
    config = space.config(*settings(tiny_backbone("wavlm"), "[ssl]"))
    assert transform(config) == [store_folder(config, SSL)]
    assert [folder.name.split("-")[0] for folder in paths.features_folder(config.project).iterdir()] == ["ssl"]


def test_the_load_step_finds_both_stores(space: Workspace) -> None:
    space.run("transform,load", *settings(tiny_backbone("wavlm")))


@pytest.mark.parametrize("workers", [2, 3])
def test_more_processes_write_the_same_bytes(config: ExperimentConfig, tmp_path: Path, workers: int) -> None:
    alone = transform(config)
    together = transform(elsewhere(config, tmp_path / "aside", workers=workers))
    assert [snapshot(folder) for folder in together] == [snapshot(folder) for folder in alone]


def test_on_a_gpu_this_process_computes_and_holds_as_many_clips_as_seconds_allow(
    config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = transform(config)
    groups: list[int] = []
    extract = BackboneExtractor.extract

    def noting(extractor: BackboneExtractor, waveforms: Sequence[Waveform]) -> list[Any]:
        groups.append(len(waveforms))
        return extract(extractor, waveforms)

    monkeypatch.setattr(BackboneExtractor, "extract", noting)
    monkeypatch.setattr("ser.features.ssl_family.on_gpu", lambda config: True)
    other = elsewhere(changed(config, batch_seconds=2.0), tmp_path / "aside", workers=2)
    assert [snapshot(folder) for folder in transform(other)] == [snapshot(folder) for folder in alone]
    assert set(groups) == {4, 5, 3}, "clips of 0.36 to 0.48 s in shards of 8"
    assert sum(groups) == CLIPS


# what is computed again


def test_a_second_run_computes_nothing(config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = transform(config)
    before = list(map(snapshot, folders))
    monkeypatch.setattr("ser.features.ssl_family.SslFamily.make", None)
    monkeypatch.setattr("ser.features.spectral_family.SpectralExtractor.extract", None)
    assert transform(config) == folders
    assert list(map(snapshot, folders)) == before


@pytest.mark.parametrize("count", [0, 1, 3, 6, 9])
def test_after_a_kill_the_whole_shards_are_kept(space: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """At one of the first writes, in the first shards."""
    config = space.config(*settings(tiny_backbone("wavlm"), "[ssl]"))
    expected = snapshot(*transform(elsewhere(config, tmp_path / "aside")))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", dying_at(count))
        assert in_a_child(lambda: transform(config)) == -signal.SIGKILL
    (after,) = plan(config)
    assert after.to_compute == CLIPS - 8 * ((count + 1) // 4), "a shard is two files, each in place before its second fsync"
    assert snapshot(*transform(config)) == expected


def test_a_killed_worker_costs_one_retry(config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [snapshot(folder) for folder in transform(elsewhere(config, tmp_path / "aside"))]
    extract, marker = BackboneExtractor.extract, tmp_path / "killed"

    def die_once(extractor: BackboneExtractor, waveforms: Sequence[Waveform]) -> list[Any]:
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return extract(extractor, waveforms)

    monkeypatch.setattr(BackboneExtractor, "extract", die_once)
    two = config.model_copy(update={"runtime": config.runtime.model_copy(update={"workers": 2})})
    assert [snapshot(folder) for folder in transform(two)] == expected
    assert marker.exists()


def test_repair_computes_a_damaged_shard_again(config: ExperimentConfig) -> None:
    folder = transform(config)[1]
    before = snapshot(folder)
    path = sorted(folder.glob("*.npy"))[1]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    transform(config, repair=True)
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    "values", [{"layers": 1}, {"layers": [0, 2]}, {"time_pool": 1}, {"dtype": "float32"}, {"precision": "bf16"}], ids=str
)
def test_another_setting_gets_another_store(config: ExperimentConfig, values: dict[str, Any]) -> None:
    other = changed(config, **values)
    assert store_folder(other, SSL) != store_folder(config, SSL)
    store = FeatureStore.open(transform(other)[1])
    assert store.dims == {SSL: DIM * len(store.spec.layers)}
    assert store.frame_rate == 50 / other.ssl.time_pool
    assert (store.spec.dtype, store.spec.ingredients["precision"]) == (other.ssl.dtype, other.ssl.precision)


def test_other_weights_get_another_store(config: ExperimentConfig, tmp_path: Path) -> None:
    other = changed(config, model_id=str(save_backbone(tmp_path / "other", "wavlm", seed=1)))
    assert store_folder(other, SSL) != store_folder(config, SSL)
    ours, others = (FeatureStore.open(transform(each)[1]) for each in (config, other))
    assert list(ours) == list(others)
    assert not any(np.array_equal(ours.rows(utterance), others.rows(utterance)) for utterance in ours)


def test_the_folder_of_the_weights_and_the_way_of_working_are_no_other_store(config: ExperimentConfig, tmp_path: Path) -> None:
    folder = store_folder(config, SSL)
    moved = shutil.copytree(config.ssl.model_id, tmp_path / "moved")
    same: list[dict[str, Any]] = [
        {"model_id": str(moved)},
        {"layers": [0, 1, 2]},
        {"device": "cpu"},
        {"batch_seconds": 1},
        {"shard_clips": 5},
    ]
    assert {store_folder(changed(config, **values), SSL) for values in same} == {folder}


def test_the_fingerprint_names_all_that_the_numbers_depend_on(config: ExperimentConfig) -> None:
    names = {"code_version", "audio", "backbone", "layers", "precision", "time_pool"}
    assert set(store_spec(config, SSL).ingredients) == names
    ignored = {"revision", "model_id", "device", "batch_seconds", "shard_clips"}
    assert set(type(config.ssl).model_fields) == ignored | {"layers", "precision", "time_pool", "dtype"}, "is a new setting an ingredient?"


# how the work is laid out


def test_shards_hold_clips_of_similar_length_and_the_longest_come_first(config: ExperimentConfig) -> None:
    _, todo = plan(config)
    assert [len(shard) for shard in todo.shards] == [8, 8, 8, 4]
    durations = [item.utterance.duration for shard in todo.shards for item in shard]
    assert durations == sorted(durations, reverse=True)
    assert sum(todo.seconds) == pytest.approx(sum(durations))
    folder = transform(config)[1]
    size = sum(path.stat().st_size - 128 for path in folder.glob("*.npy"))
    assert todo.estimated_bytes >= size > todo.estimated_bytes / 2


@pytest.mark.parametrize("audio", [{}, {"duration": 0.45}, {"duration": 0.6, "pad": True}, {"duration": None, "pad": True}], ids=str)
def test_no_clip_is_longer_than_estimated_and_neither_is_a_slower_copy(config: ExperimentConfig, audio: dict[str, Any]) -> None:
    slower = {"copies": 1, "probability": 1.0, "speed": (0.7, 0.72), "noise_snr_db": None, "pitch_semitones": None, "stretch_rate": None}
    config = config.model_copy(
        update={"augmentations": config.augmentations.model_copy(update=slower), "audio": config.audio.model_copy(update=audio)}
    )
    augmenter = Augmenter(config.augmentations, config.audio.sampling_rate)
    for utterance in manifest_of(config):
        for copy in (0, 1):
            item = step.Item(utterance, copy)
            seconds = len(step.waveform_of(config, item, augmenter if copy else None)) / config.audio.sampling_rate
            assert seconds <= step.seconds_of(config, item) + 2 / config.audio.sampling_rate, "but for rounding"
    todo = [store for store in plan(config) if store.family.name == SSL]
    transform(config)
    for store in todo:
        assert store.estimated_bytes >= sum(path.stat().st_size - 128 for path in store.folder.glob("*.npy")) > 0


def test_progress_is_told_in_multiples_of_real_time(config: ExperimentConfig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ser.system.progress")
    transform(config)
    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("transform spectral: 28 of 28, ")
    assert said[1].startswith("transform ssl: 12 of 12 s of audio, ")
    assert said[1].endswith(" x real time")


WATCH = """
import sys
from ser.config_file import load_config
from ser.pipeline import transform as step
build = step.build
def watched(config, store_plan):
    print(store_plan.family.name, "torch" in sys.modules, "transformers" in sys.modules)
    if store_plan.family.name == "spectral":
        build(config, store_plan)
    else:
        print(config.ssl.precision, store_plan.spec.ingredients["precision"])
step.build = watched
step.transform(load_config(sys.argv[1], sys.argv[2:]))
"""


@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_workers_of_the_spectral_store_are_forked_without_torch(space: Workspace, precision: str) -> None:
    chosen = [*settings(tiny_backbone("wavlm")), f"ssl.precision={precision}"]
    result = subprocess.run([sys.executable, "-c", WATCH, str(space.config_file), *chosen], capture_output=True, text=True, check=True)
    *loaded, settled = result.stdout.splitlines()
    assert loaded == ["spectral False False", "ssl False False"], "asked in another process"
    assert settled in ("fp32 fp32", "bf16 bf16")


# what it refuses


def without_weights(folder: Path) -> Path:
    return shutil.copytree(tiny_backbone("wavlm"), folder, ignore=shutil.ignore_patterns("*.safetensors"))


def test_without_weights_nothing_is_written(space: Workspace, ser: Ser) -> None:
    chosen = [part for text in settings(without_weights(space.root / "empty")) for part in ("--set", text)]
    answer = ser("--config", space.config_file, "--steps", "transform", *chosen)
    assert answer.code == 3
    assert len(answer.err.splitlines()) == 1
    assert "weights" in answer.err
    assert not (space.processed / "features").exists()


@pytest.mark.parametrize("copies", [0, 1])
def test_without_weights_of_a_hub_model_whose_settings_are_here_nothing_is_written(
    space: Workspace, held: Path, ser: Ser, monkeypatch: pytest.MonkeyPatch, copies: int
) -> None:
    (held / WEIGHTS).unlink()
    monkeypatch.setattr("ser.features.backbone.load_network", pytest.fail)
    chosen = [*settings(BASE_PLUS), *([SPEED_ALONE] if copies else [])]
    answer = ser("--config", space.config_file, "--steps", "transform", *(part for text in chosen for part in ("--set", text)))
    assert answer.code == 3
    assert len(answer.err.splitlines()) == 1
    assert "the hub cannot be reached; run it once with a network" in answer.err
    assert not (space.processed / "features").exists()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["ssl.device=cuda"], "ssl.device cuda is not available on this machine"),
        (["ssl.device=cuda", "ssl.precision=auto"], "ssl.device cuda is not available on this machine"),
        (["audio.sampling_rate=22050"], "audio.sampling_rate is 22050 Hz; .* takes 16000 Hz"),
    ],
    ids=str,
)
def test_what_the_machine_or_the_audio_lacks_is_told_before_anything_is_written(
    space: Workspace, monkeypatch: pytest.MonkeyPatch, values: list[str], said: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match=said):
        transform(space.config(*settings(tiny_backbone("wavlm")), *values))
    assert not (space.processed / "features").exists()


def test_a_device_is_asked_about_in_another_process_where_torch_is_not_loaded(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("ser.features.ssl_family.find_precision", lambda config: f"told by {os.getpid()}")
    config = space.config(*settings(tiny_backbone("wavlm")), "ssl.precision=auto")
    assert get_family(SSL).settle(config).ssl.precision == f"told by {os.getpid()}"
    monkeypatch.delitem(sys.modules, "torch")
    asked = get_family(SSL).settle(config).ssl.precision
    assert asked.startswith("told by ")
    assert asked != f"told by {os.getpid()}"


def test_weights_that_cannot_be_loaded_leave_no_store(config: ExperimentConfig, tmp_path: Path) -> None:
    broken = shutil.copytree(tiny_backbone("wavlm"), tmp_path / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(DataError):
        transform(changed(config, model_id=str(broken)))
    assert [folder.name.split("-")[0] for folder in paths.features_folder(config.project).iterdir()] == ["spectral"]


@pytest.mark.parametrize("gpu", [False, True])
def test_a_number_that_cannot_be_stored_is_told_with_the_clip(config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch, gpu: bool) -> None:
    """The sixth of a shard's eight clips, which are of several lengths."""
    frames_of = BackboneExtractor.frames_of
    items = next(todo for todo in plan(config) if todo.family.name == SSL).shards[1]
    spoilt = prepared(config, items[5].utterance)

    def spoil(extractor: BackboneExtractor, clips: Sequence[Waveform]) -> list[Any]:
        return [
            frames * np.nan if np.array_equal(clip, spoilt[: len(clip)]) else frames
            for clip, frames in zip(clips, frames_of(extractor, clips), strict=True)
        ]

    monkeypatch.setattr(BackboneExtractor, "frames_of", spoil)
    monkeypatch.setattr("ser.features.ssl_family.on_gpu", lambda config: gpu)
    with pytest.raises(DataError, match=rf"{items[5].id}: .* returned a number that is not finite"):
        list(step.shard_features(config, get_family(SSL), items))


@pytest.mark.parametrize("values", [{"layers": 3}, {"layers": [0, 7]}], ids=str)
def test_hidden_states_that_the_backbone_lacks_are_refused_before_anything_is_written(
    config: ExperimentConfig, values: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="hidden state"):
        transform(changed(config, **values))
    assert not paths.features_folder(config.project).exists()


def test_a_missing_extra_is_reported_before_the_first_step(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser.system.optional.find_spec", lambda name: None if name == "audiomentations" else True)
    monkeypatch.setattr("ser.pipeline.extract.extract", None)
    altered = "augmentations={copies: 1, pitch_semitones: [-1, 1]}"
    with pytest.raises(ConfigError, match=r"needs audiomentations.*augmentations\.copies=0"):
        space.run("extract,transform", *settings(tiny_backbone("wavlm")), altered)


# a model of the hub


@pytest.fixture
def held(hub_cache: Path) -> Path:
    """Where a model of the hub stands, with its weights."""
    return Path(shutil.copytree(tiny_backbone("wavlm"), in_cache(hub_cache, BASE_PLUS, PINNED[BASE_PLUS])))


def test_a_finished_store_needs_no_weights(space: Workspace, held: Path) -> None:
    chosen = [*settings(BASE_PLUS), "train.epochs=1"]
    space.run("transform", *chosen)
    (held / WEIGHTS).unlink()
    space.run("transform,load,train", *chosen)
    assert not (held / WEIGHTS).exists()


def test_the_weights_are_fetched_before_anything_is_computed(space: Workspace, held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (held / WEIGHTS).unlink()
    config = space.config(*settings(BASE_PLUS))

    def snapshot_download(model_id: str, *, revision: str, allow_patterns: list[str]) -> str:
        assert not paths.features_folder(config.project).exists()
        shutil.copy(tiny_backbone("wavlm") / WEIGHTS, held)
        return str(held)

    monkeypatch.setattr("ser.features.backbone_files.hub_answers", lambda: True)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert len(FeatureStore.open(transform(config)[1])) == CLIPS


# --dry-run


def transform_lines(answer: Answer) -> list[str]:
    return [line.removeprefix("transform").strip() for line in answer.out.splitlines() if line.startswith("transform")]


def test_a_dry_run_tells_disk_and_time_and_writes_nothing(space: Workspace, ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser.pipeline.plan.TRIAL_SECONDS", 0.05)
    chosen = [part for text in settings(tiny_backbone("wavlm")) for part in ("--set", text)]
    dry = ("--config", space.config_file, "--steps", "transform", "--dry-run", *chosen, "--set", "runtime.workers=2")
    before = sorted(space.root.rglob("*"))
    spectral, ssl = transform_lines(ser(*dry))
    assert spectral.endswith("28 to compute in 1 shards, at most 0.00 GB")
    assert re.search(r"28 to compute in 4 shards, at most 0.00 GB and about 0:00:0\d \(\d+ x real time, workers 2\)$", ssl)
    assert sorted(space.root.rglob("*")) == before
    space.run("transform", *settings(tiny_backbone("wavlm")))
    assert transform_lines(ser(*dry))[1].endswith("28 clips stored, 0 to compute in 0 shards, at most 0.00 GB")


def test_a_dry_run_without_the_backbone_tells_what_it_can(space: Workspace, ser: Ser) -> None:
    chosen = [part for text in settings(without_weights(space.root / "empty")) for part in ("--set", text)]
    answer = ser("--config", space.config_file, "--steps", "transform", "--dry-run", *chosen)
    assert answer.code == 0
    spectral, ssl = transform_lines(answer)
    assert "28 to compute" in spectral
    assert ssl.startswith("not known yet: ")
    assert "weights" in ssl


def test_a_dry_run_fetches_and_loads_no_weights(space: Workspace, held: Path, ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    (held / WEIGHTS).unlink()
    monkeypatch.setattr("ser.features.backbone.load_network", pytest.fail)
    chosen = [part for text in settings(BASE_PLUS) for part in ("--set", text)]
    ssl = transform_lines(ser("--config", space.config_file, "--steps", "transform", "--dry-run", *chosen))[1]
    assert re.search(
        r"28 to compute in 4 shards, at most 0.00 GB; weights not downloaded yet: the transform step downloads them once$", ssl
    )
