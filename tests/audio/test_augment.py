"""Altered copies: of training clips only, the same on every run, and in a store of their own."""

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ser.audio.augment import NOISE_VERSION, Augmenter, add_noise, change_speed, seeded
from ser.audio.decode import audio_hash, read_audio
from ser.audio.waveform import Waveform
from ser.config import AugmentationsConfig, ExperimentConfig
from ser.config_file import load_config
from ser.corpora.manifest import Manifest, Utterance, copy_id, write_manifest
from ser.errors import ConfigError, DataError
from ser.families import SPECTRAL
from ser.features.store import FeatureStore
from ser.pipeline import paths
from ser.pipeline.stores import augmented_folder, augmented_spec, store_folder
from ser.pipeline.transform import plan, transform
from ser.system.tables import write_table

soundfile = pytest.importorskip("soundfile")

ALWAYS = AugmentationsConfig(copies=2, probability=1.0)
LIBRARY: dict[str, Any] = {"pitch_semitones": (2.0, 2.0), "stretch_rate": (0.8, 0.8), "speed": None, "noise_snr_db": None}
"""What only audiomentations does."""
TONE: Waveform = np.sin(np.arange(8000, dtype=np.float32) / 5)


def configure(tmp_path: Path, **augmentations: Any) -> ExperimentConfig:
    project = {"raw_dir": str(tmp_path / "raw"), "processed_dir": str(tmp_path / "processed")}
    values = {"project": project, "features": {"shard_clips": 2}, "runtime": {"workers": 1}}
    return ExperimentConfig.model_validate({**values, "augmentations": {"copies": 2, **augmentations}})


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three clips; b and c train."""
    utterances = []
    for number, name in enumerate("abc"):
        path = tmp_path / f"raw/tess/{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.3 * np.random.default_rng(number).standard_normal(6000), 16_000, subtype="FLOAT")
        facts = (16_000, 1, 6000, 0.375, audio_hash(read_audio(path)))
        utterances.append(Utterance(name, "tess", f"tess/{name}.wav", "tess/OAF", "female", "sad", "sad", "", "", *facts))
    config = configure(tmp_path)
    write_manifest(paths.manifest_file(config.project), Manifest(utterances))
    write_table(paths.split_folder(config) / "train.csv", ["id"], [{"id": "c"}, {"id": "b"}])
    return tmp_path


def test_speed_moves_pitch_and_length_by_one_factor() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(16_000, dtype=np.float32) / 16_000)
    faster = change_speed(tone, 1.25, 16_000)
    assert len(faster) == 12_800
    spectrum = np.abs(np.fft.rfft(faster * np.hanning(len(faster))))
    assert abs(spectrum.argmax() * 16_000 / len(faster) - 550) < 2


def test_speed_draws_within_its_range() -> None:
    alone = AugmentationsConfig(copies=2, probability=1, noise_snr_db=None, speed=(0.8, 1.25))
    augmenter = Augmenter(alone, 16_000)
    lengths = [len(augmenter.alter(TONE, f"clip{number}~1")) for number in range(20)]
    assert len(set(lengths)) > 10
    assert all(8000 / 1.25 - 1 <= length <= 8000 / 0.8 + 1 for length in lengths)
    assert np.array_equal(augmenter.alter(TONE, "clip3~1"), Augmenter(alone, 16_000).alter(TONE, "clip3~1"))
    never = Augmenter(alone.model_copy(update={"probability": 0.0}), 16_000)
    assert np.array_equal(never.alter(TONE, "clip3~1"), TONE)


def test_noise_has_the_power_that_its_ratio_says_and_an_offset_counts_for_nothing() -> None:
    with seeded("noise"):
        noise = add_noise(TONE, 20) - TONE
    with seeded("noise"):
        of_offset = add_noise(TONE + 0.5, 20) - (TONE + 0.5)
    assert 10 * np.log10(np.var(TONE) / np.var(noise)) == pytest.approx(20, abs=0.2)
    assert np.allclose(of_offset, noise, atol=1e-6)
    spectrum = np.square(np.abs(np.fft.rfft(noise))).reshape(-1)[1:4001].reshape(8, -1).mean(axis=1)
    assert spectrum.max() / spectrum.min() < 1.5, "white"


@pytest.mark.parametrize("samples", [0, 1, 100])
def test_silence_gets_no_noise(samples: int) -> None:
    silence = np.zeros(samples, np.float32)
    assert np.array_equal(add_noise(silence, 10), silence)


@pytest.mark.parametrize("name", ["spectral_crnn.yaml", "spectral_crnn_six.yaml", "ssl_spectral_moe.yaml", "demo.yaml"])
def test_the_shipped_configs_need_no_extra_to_alter_clips(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "audiomentations", None)
    shipped = load_config(name).augmentations
    Augmenter(shipped.model_copy(update={"probability": 1.0}), 16_000).alter(TONE, "a~1")
    Augmenter(ALWAYS, 16_000).alter(TONE, "a~1")
    assert not shipped.needs_library
    assert not AugmentationsConfig().needs_library


def test_the_noise_of_this_program_has_a_store_of_its_own(tmp_path: Path) -> None:
    """Not that of copies whose noise audiomentations added."""
    spec = augmented_spec(configure(tmp_path), SPECTRAL)
    assert spec.ingredients["noise_version"] == NOISE_VERSION
    assert "noise_version" not in augmented_spec(configure(tmp_path, noise_snr_db=None), SPECTRAL).ingredients


def test_speed_has_a_store_of_its_own_and_leaves_the_old_ones_valid(tmp_path: Path) -> None:
    plain, voices = configure(tmp_path, speed=None), configure(tmp_path, speed=[0.9, 1.1])
    assert augmented_folder(plain) != augmented_folder(voices)
    assert store_folder(plain) == store_folder(voices)


def test_a_copy_depends_on_seed_utterance_and_number_alone() -> None:
    augmenter = Augmenter(ALWAYS, 16_000)
    first = augmenter.alter(TONE, "a~1")
    augmenter.alter(TONE, "other~1")
    random.seed(5)
    assert np.array_equal(Augmenter(ALWAYS, 16_000).alter(TONE, "a~1"), first)
    for other in (augmenter.alter(TONE, "a~2"), augmenter.alter(TONE, "b~1")):
        assert not np.array_equal(other, first)
    reseeded = Augmenter(ALWAYS.model_copy(update={"seed": 7}), 16_000)
    assert not np.array_equal(reseeded.alter(TONE, "a~1"), first)


def test_the_global_generators_go_on_as_if_nothing_had_happened() -> None:
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    Augmenter(ALWAYS, 16_000).alter(TONE, "a~1")
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002


OFF: dict[str, Any] = {"noise_snr_db": None, "pitch_semitones": None, "stretch_rate": None, "speed": None}


@pytest.mark.parametrize("setting", [{}, {"noise_snr_db": (20, 20)}, {"pitch_semitones": (2, 2)}, {"stretch_rate": (0.8, 0.8)}], ids=str)
def test_each_alteration_does_what_it_is_called(setting: dict[str, Any]) -> None:
    config = AugmentationsConfig.model_validate({"copies": 1, "probability": 1.0, **OFF, **setting})
    if config.needs_library:
        pytest.importorskip("audiomentations")
    altered = Augmenter(config, 16_000).alter(TONE, "a~1")
    assert altered.dtype == np.float32
    assert altered.ndim == 1
    if setting == {}:
        assert np.array_equal(altered, TONE)
    elif "noise_snr_db" in setting:
        assert 10 * np.log10(np.mean(TONE**2) / np.mean((altered - TONE) ** 2)) == pytest.approx(20, abs=0.5)
    elif "pitch_semitones" in setting:
        assert pitch(altered) / pitch(TONE) == pytest.approx(2 ** (2 / 12), rel=0.01)
    elif "stretch_rate" in setting:
        assert len(altered) == pytest.approx(len(TONE) / 0.8, rel=0.01)
    else:
        assert np.allclose(altered, TONE * 10 ** (-6 / 20), atol=1e-6)


def pitch(waveform: Waveform) -> float:
    return float(np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)), 1 << 17)).argmax())


def test_copies_of_training_clips_alone_stand_in_a_store_of_their_own(tree: Path) -> None:
    config = configure(tree)
    folders = transform(config)
    assert folders == [store_folder(config), augmented_folder(config)]
    originals, copies = map(FeatureStore.open, folders)
    assert list(originals) == ["a", "b", "c"]
    assert list(copies) == ["b~1", "b~2", "c~1", "c~2"]
    assert (copies.dims, copies.frame_rate) == (originals.dims, originals.frame_rate)
    assert copies.audio_hash("b~1") == originals.audio_hash("b")
    copies.verify()


def test_copies_are_the_same_from_any_number_of_processes_and_in_any_order(tree: Path) -> None:
    config = configure(tree)
    alone = FeatureStore.open(transform(config)[1])
    write_table(paths.split_folder(config) / "train.csv", ["id"], [{"id": "c"}, {"id": "a"}, {"id": "b"}])
    values = config.model_dump(mode="json")
    values |= {"runtime": {"workers": 2}, "project": values["project"] | {"processed_dir": str(tree / "other")}}
    other = ExperimentConfig.model_validate(values)
    (tree / "other").mkdir()
    for part in ("manifest.csv", "splits"):
        (tree / "other" / part).symlink_to(tree / "processed" / part)
    together = FeatureStore.open(transform(other)[1])
    assert len(together) == 6
    assert all(np.array_equal(alone.rows(copy), together.rows(copy)) for copy in alone)


def test_two_splits_share_a_store_without_losing_each_others_copies(tree: Path) -> None:
    config = configure(tree)
    before = FeatureStore.open(transform(config)[1])
    write_table(paths.split_folder(config) / "train.csv", ["id"], [{"id": "a"}])
    after = FeatureStore.open(transform(config)[1])
    assert list(after) == ["a~1", "a~2", *before]


def test_another_copy_is_computed_without_the_first_ones(tree: Path) -> None:
    transform(configure(tree))
    _, more = plan(configure(tree, copies=3))
    assert [item.id for shard in more.shards for item in shard] == ["b~3", "c~3"]


def test_other_alterations_get_another_store_and_the_originals_stay(tree: Path) -> None:
    config, other = configure(tree), configure(tree, probability=0.9)
    assert augmented_folder(other) != augmented_folder(config)
    assert store_folder(other) == store_folder(config)
    assert augmented_folder(configure(tree, copies=0)) is None


def test_without_the_library_it_says_what_to_install(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "audiomentations", None)
    with pytest.raises(ConfigError, match=r"pip install '.*\[augment\]'"):
        transform(configure(tree, **LIBRARY))
    assert len(transform(configure(tree, copies=0))) == 1


def test_without_a_split_it_says_what_to_run(tree: Path) -> None:
    config = configure(tree)
    (paths.split_folder(config) / "train.csv").unlink()
    with pytest.raises(DataError, match="run the extract step first"):
        transform(config)


def test_a_split_of_another_manifest_is_refused(tree: Path) -> None:
    config = configure(tree)
    write_table(paths.split_folder(config) / "train.csv", ["id"], [{"id": "z"}])
    with pytest.raises(DataError, match="names z, which the manifest lacks"):
        transform(config)


def test_copies_carry_the_id_of_their_original() -> None:
    assert copy_id("tess_OAF_pad_disgust", 3) == "tess_OAF_pad_disgust~3"


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({}, "unaltered"),
        ({"noise_snr_db": (20, 20)}, "noise at 20 dB"),
        ({"pitch_semitones": (2, 2)}, "pitch +2.0 semitones"),
        ({"stretch_rate": (0.8, 0.8)}, "tempo x 0.80"),
        ({"speed": (1.1, 1.1)}, "speed x 1.100"),
        ({"speed": (1.1, 1.1), "noise_snr_db": (15, 15)}, "speed x 1.100, noise at 15 dB"),
        ({"noise_snr_db": (15, 15), "probability": 0.0}, "unaltered"),
    ],
    ids=str,
)
def test_what_was_done_to_the_last_copy_is_told(setting: dict[str, Any], told: str) -> None:
    config = AugmentationsConfig.model_validate({"probability": 1.0, **OFF, **setting})
    if config.needs_library:
        pytest.importorskip("audiomentations")
    augmenter = Augmenter(config, 16_000)
    augmenter.alter(TONE, "a~1")
    assert augmenter.last_changes() == told
