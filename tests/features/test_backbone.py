"""A backbone's frames against the library's own forward, and that they depend on the clip alone."""

import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from backbones import DIM, KINDS, WHISPER_FRAMES, save_backbone, tiny_backbone
from places import ROOT, SHARED
from ser.audio.decode import read_audio
from ser.audio.waveform import Waveform, prepare
from ser.config import AudioConfig, SslConfig
from ser.errors import ConfigError, DataError
from ser.features import backbone as backbone_module
from ser.features.backbone import BackboneExtractor, load_network, resolved_precision
from ser.features.base import FeatureExtractor, Frames
from ser.system.parallel import run_tasks

RATE = 16_000
WHOLE = 400 + 40 * 320
"""Samples of a clip that every kind takes whole: 41 frames, and 41.25 of Whisper."""
REAL = SHARED / "models" / "whisper-base-encoder"
CLIPS = ROOT / "data" / "raw" / "crema"


def noise(samples: int, seed: int = 0) -> Waveform:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def extractor(folder: Path, **settings: Any) -> BackboneExtractor:
    """In fp32 with every frame kept, unless `settings` say otherwise."""
    config = SslConfig.model_validate({"model_id": str(folder), "precision": "fp32", "time_pool": 1, "device": "cpu", **settings})
    return BackboneExtractor(config, RATE)


def features(folder: Path, clip: Waveform, **settings: Any) -> Frames:
    (frames,) = extractor(folder, **settings).extract([clip])
    return frames


def library(name: str) -> Any:
    return getattr(importlib.import_module("transformers"), name)


@torch.inference_mode()
def library_states(folder: Path, clip: Waveform) -> Frames:
    """What the library itself gives with `output_hidden_states`, side by side; Whisper told that its clips have this length."""
    extract = library("AutoFeatureExtractor").from_pretrained(folder)
    if "Whisper" in type(extract).__name__:
        mel = extract(clip, sampling_rate=RATE, padding=False, truncation=False, return_tensors="pt").input_features
        outputs = whisper_of_length(folder, mel.shape[2] // 2)(mel, output_hidden_states=True)
    else:
        outputs = library("AutoModel").from_pretrained(folder)(
            extract(clip, sampling_rate=RATE, return_tensors="pt").input_values, output_hidden_states=True
        )
    return np.asarray(torch.cat(outputs.hidden_states, dim=2)[0].numpy())


def whisper_of_length(folder: Path, frames: int) -> Any:
    """The library's encoder with its first position embeddings alone: its forward then takes just so many frames."""
    encoder: Any = importlib.import_module("transformers.models.whisper.modeling_whisper").WhisperEncoder
    model = encoder.from_pretrained(folder, dtype=torch.float32)
    model.config.max_source_positions = frames
    model.embed_positions = torch.nn.Embedding(frames, model.config.d_model, _weight=model.embed_positions.weight[:frames])
    return model.eval()


def cosines(a: Frames, b: Frames) -> Frames:
    return np.asarray((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))


@pytest.fixture
def forgotten() -> Iterator[None]:
    """No network is loaded yet, and none that the test spoils is left."""
    load_network.cache_clear()
    yield
    load_network.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
def test_every_hidden_state_is_the_one_that_the_library_gives(kind: str) -> None:
    clip = noise(31 * 320 if kind == "whisper" else WHOLE)
    ours, theirs = features(tiny_backbone(kind), clip), library_states(tiny_backbone(kind), clip)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5)


VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "WavLM large": ("wavlm", {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}),
    "HuBERT large": ("hubert", {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}),
    "HuBERT with batch norm": ("hubert", {"conv_pos_batch_norm": True}),
    "HuBERT without a norm before the projection": ("hubert", {"feat_proj_layer_norm": False}),
    "wav2vec 2.0 large": ("wav2vec2", {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}),
    "MMS": ("wav2vec2", {"do_stable_layer_norm": True, "adapter_attn_dim": 4}),
    "waveform as it is": ("wavlm", {"normalise": False}),
    "an adapter behind the last layer": ("wav2vec2", {"add_adapter": True}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_of_an_architecture_are_those_of_the_library(tmp_path: Path, variant: str) -> None:
    kind, shape = VARIANTS[variant]
    save_backbone(tmp_path, kind, **shape)
    np.testing.assert_allclose(features(tmp_path, noise(WHOLE)), library_states(tmp_path, noise(WHOLE)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layers", [0, 1, 2, [0, 2], [1], "all"])
@pytest.mark.parametrize("kind", KINDS)
def test_some_hidden_states_are_the_same_as_among_all(kind: str, layers: Any) -> None:
    wanted = [0, 1, 2] if layers == "all" else [layers] if isinstance(layers, int) else layers
    ours = extractor(tiny_backbone(kind), layers=layers)
    (frames,) = ours.extract([noise(WHOLE)])
    everything = features(tiny_backbone(kind), noise(WHOLE)).reshape(len(frames), 3, DIM)
    assert ours.dims == {"ssl": len(wanted) * DIM}
    np.testing.assert_array_equal(frames, everything[:, wanted].reshape(len(frames), -1))


@pytest.mark.parametrize(("last", "layers"), [(0, 1), (1, 1), (2, 2)])
def test_layers_that_nobody_asked_for_are_not_loaded(last: int, layers: int) -> None:
    network: Any = extractor(tiny_backbone("wavlm"), layers=last).network
    assert len(network.model.encoder.layers) == layers


def test_it_is_a_feature_extractor() -> None:
    ours: FeatureExtractor = extractor(tiny_backbone("hubert"), time_pool=2)
    assert (ours.name, ours.dims, ours.frame_rate) == ("ssl", {"ssl": 3 * DIM}, 25.0)


@pytest.mark.parametrize(
    ("kind", "model_class"), [("whisper", "WhisperModel"), ("whisper", "WhisperForConditionalGeneration"), ("hubert", "HubertForCTC")]
)
def test_the_backbone_is_found_inside_a_larger_model(tmp_path: Path, kind: str, model_class: str) -> None:
    """As the hub has them: all of Whisper, models that were fine-tuned to recognise speech."""
    save_backbone(tmp_path, kind, model_class=model_class)
    whole: Any = library(model_class).from_pretrained(tmp_path)
    inner = {"WhisperModel": "encoder", "WhisperForConditionalGeneration": "model.encoder", "HubertForCTC": "hubert"}[model_class]
    alone = tmp_path / "alone"
    whole.get_submodule(inner).save_pretrained(alone)
    shutil.copy(tmp_path / "preprocessor_config.json", alone)
    np.testing.assert_array_equal(features(tmp_path, noise(WHOLE)), features(alone, noise(WHOLE)))


def as_old_checkpoint(folder: Path, to: Path) -> None:
    """pytorch_model.bin with the names that weights had before torch 2, as most models of the hub still are."""
    from safetensors.torch import load_file

    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*.safetensors"))
    new = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    weights = load_file(folder / "model.safetensors")
    torch.save({rename(f"wavlm.{name}", new): weight for name, weight in weights.items()}, to / "pytorch_model.bin")


def rename(name: str, endings: dict[str, str]) -> str:
    return next((name.removesuffix(new) + old for new, old in endings.items() if name.endswith(new)), name)


def test_an_old_checkpoint_of_torch_gives_the_same_numbers(tmp_path: Path) -> None:
    as_old_checkpoint(tiny_backbone("wavlm"), tmp_path / "old")
    np.testing.assert_array_equal(features(tmp_path / "old", noise(WHOLE)), features(tiny_backbone("wavlm"), noise(WHOLE)))


def test_weights_in_several_files_give_the_same_numbers(tmp_path: Path) -> None:
    model: Any = library("AutoModel").from_pretrained(tiny_backbone("hubert"))
    model.save_pretrained(tmp_path, max_shard_size="50KB")
    shutil.copy(tiny_backbone("hubert") / "preprocessor_config.json", tmp_path)
    assert (tmp_path / "model.safetensors.index.json").exists()
    np.testing.assert_array_equal(features(tmp_path, noise(WHOLE)), features(tiny_backbone("hubert"), noise(WHOLE)))


@pytest.mark.parametrize("kind", KINDS)
@given(lengths=st.lists(st.sampled_from([1, 399, 3000, 3001, 3100, 5000]), min_size=1, max_size=6), data=st.data())
@settings(max_examples=8, deadline=None)
def test_a_clip_has_the_same_frames_in_whatever_company(kind: str, lengths: list[int], data: st.DataObject) -> None:
    ours = extractor(tiny_backbone(kind))
    clips = [noise(length, seed) for seed, length in enumerate(lengths)]
    alone = [ours.extract([clip])[0] for clip in clips]
    order = data.draw(st.permutations(range(len(clips))))
    for index, frames in zip(order, ours.extract([clips[index] for index in order]), strict=True):
        np.testing.assert_array_equal(frames, alone[index])
    ours.in_batches = True
    for index, frames in zip(order, ours.extract([clips[index] for index in order]), strict=True):
        np.testing.assert_allclose(frames, alone[index], atol=1e-4)


@given(lengths=st.lists(st.integers(1, 5), max_size=12), seconds=st.integers(1, 12))
@settings(max_examples=50, deadline=None)
def test_only_equal_lengths_share_a_batch_and_only_for_so_many_seconds(lengths: list[int], seconds: int) -> None:
    ours = extractor(tiny_backbone("wavlm"), batch_seconds=seconds)
    ours.in_batches = True
    batches = list(ours.batches([RATE * length for length in lengths]))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len({lengths[index] for index in batch}) == 1
        assert len(batch) == 1 or sum(lengths[index] for index in batch) <= seconds
    ours.in_batches = False
    assert all(len(batch) == 1 for batch in ours.batches([RATE * length for length in lengths]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rest", [1, 319])
def test_samples_that_make_no_whole_frame_do_not_matter(kind: str, rest: int) -> None:
    whole = extractor(tiny_backbone(kind)).backbone.min_samples + 10 * 320
    clip = noise(whole + rest)
    np.testing.assert_array_equal(features(tiny_backbone(kind), clip), features(tiny_backbone(kind), clip[:whole]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [0, 1, 200])
def test_a_clip_too_short_for_a_frame_is_one_frame_of_the_clip_with_zeros_behind(kind: str, samples: int) -> None:
    ours, clip = extractor(tiny_backbone(kind)), noise(samples)
    filled = np.pad(clip, (0, ours.backbone.min_samples - samples))
    short, long = ours.extract([clip, filled])
    assert short.shape == (1, 3 * DIM)
    np.testing.assert_array_equal(short, long)


@pytest.mark.parametrize("kind", KINDS)
def test_digital_silence_has_finite_frames(kind: str) -> None:
    assert np.isfinite(features(tiny_backbone(kind), np.zeros(8000, np.float32))).all()


@pytest.mark.parametrize(("group", "frames"), [(1, 10), (2, 5), (3, 4), (4, 3), (10, 1), (50, 1)])
def test_neighbouring_frames_are_averaged(group: int, frames: int) -> None:
    clip = noise(400 + 9 * 320)
    every = features(tiny_backbone("hubert"), clip)
    ours = features(tiny_backbone("hubert"), clip, time_pool=group)
    assert len(ours) == frames
    for index, frame in enumerate(ours):
        np.testing.assert_allclose(frame, every[index * group : (index + 1) * group].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("group", [1, 3])
def test_whisper_takes_long_clips_in_stretches(group: int) -> None:
    window = WHISPER_FRAMES * 320
    clip = noise(2 * window + 5 * 320 + 7)
    ours = features(tiny_backbone("whisper"), clip, time_pool=group)
    parts = [features(tiny_backbone("whisper"), part) for part in (clip[:window], clip[window : 2 * window], clip[2 * window :])]
    together = np.concatenate(parts)
    assert len(together) == 2 * WHISPER_FRAMES + 5
    np.testing.assert_allclose(ours, [together[i : i + group].mean(axis=0) for i in range(0, len(together), group)], atol=1e-6)


def test_whisper_on_a_clip_of_its_full_length_is_the_library_s_own_forward() -> None:
    clip = noise(WHISPER_FRAMES * 320)
    encoder: Any = importlib.import_module("transformers.models.whisper.modeling_whisper").WhisperEncoder
    mel = library("AutoFeatureExtractor").from_pretrained(tiny_backbone("whisper"))(clip, sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        found = encoder.from_pretrained(tiny_backbone("whisper"))(mel.input_features, output_hidden_states=True).hidden_states
    np.testing.assert_allclose(features(tiny_backbone("whisper"), clip), torch.cat(found, dim=2)[0].numpy(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_is_close_and_its_frames_are_float32(kind: str) -> None:
    exact, rounded = (features(tiny_backbone(kind), noise(WHOLE), precision=precision) for precision in ("fp32", "bf16"))
    assert rounded.dtype == np.float32
    assert not np.array_equal(exact, rounded)
    for state in range(3):
        columns = slice(state * DIM, (state + 1) * DIM)
        assert cosines(exact[:, columns], rounded[:, columns]).min() > 0.995


@pytest.mark.parametrize(
    ("precision", "bf16", "expected"), [("auto", True, "bf16"), ("auto", False, "fp32"), ("fp32", True, "fp32"), ("bf16", False, "bf16")]
)
def test_the_precision_is_that_of_the_machine_unless_one_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, precision: Any, bf16: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert resolved_precision(SslConfig(precision=precision, device="cpu")) == expected


def test_another_sample_rate_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"audio\.sampling_rate is 22050 Hz; .* takes 16000 Hz"):
        BackboneExtractor(SslConfig(model_id=str(tiny_backbone("wavlm"))), 22_050)


def test_a_device_that_is_not_here_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"ssl\.device cuda is not available on this machine"):
        resolved_precision(SslConfig(device="cuda"))


@pytest.mark.parametrize(
    ("number", "settings", "message"),
    [
        (np.inf, {"precision": "bf16"}, r"not finite, in bf16: set ssl\.precision=fp32"),
        (np.nan, {}, "not finite, in fp32: its weights may be corrupted"),
        (-1e5, {}, r"the number 100000, which float16 cannot hold: set ssl\.dtype=float32"),
    ],
)
def test_a_number_that_cannot_be_stored_is_an_error(
    monkeypatch: pytest.MonkeyPatch, number: float, settings: dict[str, Any], message: str
) -> None:
    ours = extractor(tiny_backbone("wavlm"), layers=2, **settings)

    def states(inputs: Tensor, wanted: object) -> list[Tensor]:
        found = torch.ones(1, 4, DIM)
        found[0, 2, 5] = number
        return [found]

    monkeypatch.setattr(ours.network, "states", states)
    with pytest.raises(DataError, match=message):
        ours.extract([noise(WHOLE)])


def test_a_large_number_can_be_stored_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = extractor(tiny_backbone("wavlm"), layers=2, dtype="float32")
    monkeypatch.setattr(ours.network, "states", lambda inputs, wanted: [torch.full((1, 4, DIM), 1e5)])
    assert ours.extract([noise(WHOLE)])[0].max() == 1e5


def test_too_little_memory_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = extractor(tiny_backbone("wavlm"))

    def states(inputs: Tensor, wanted: object) -> list[Tensor]:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99999999999 bytes")

    monkeypatch.setattr(ours.network, "states", states)
    with pytest.raises(DataError, match=r"out of memory: lower audio\.duration"):
        ours.extract([noise(WHOLE)])


def cut_in_half(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])


def no_safetensors(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"not this")


def no_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"not this")


def of_a_smaller_model(folder: Path) -> None:
    other = save_backbone(folder / "other", "wavlm", num_hidden_layers=1)
    shutil.copy(other / "model.safetensors", folder)


def of_a_wider_model(folder: Path) -> None:
    other = save_backbone(folder / "other", "wavlm", intermediate_size=128)
    shutil.copy(other / "model.safetensors", folder)


def of_another_kind(folder: Path) -> None:
    shutil.copy(tiny_backbone("whisper") / "model.safetensors", folder)


@pytest.mark.parametrize("spoil", [cut_in_half, no_safetensors, no_pickle, of_a_smaller_model, of_a_wider_model, of_another_kind])
def test_weights_that_do_not_fit_are_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str], spoil: Any) -> None:
    folder = tmp_path / "wavlm"
    shutil.copytree(tiny_backbone("wavlm"), folder)
    spoil(folder)
    capfd.readouterr()
    with pytest.raises(DataError, match=r"the weights (cannot be loaded|lack)") as caught:
        extractor(folder)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("kind", KINDS)
def test_loading_says_nothing_and_leaves_the_library_as_it_was(tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    """Also where the folder holds more than is used."""
    folder = save_backbone(tmp_path, kind, model_class={"whisper": "WhisperForConditionalGeneration", "hubert": "HubertForCTC"}.get(kind))
    logging: Any = importlib.import_module("transformers").utils.logging
    before, threads = (logging.get_verbosity(), logging.is_progress_bar_enabled()), torch.get_num_threads()
    capfd.readouterr()
    extractor(folder, layers=1).extract([noise(WHOLE)])
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert torch.get_num_threads() == threads


@pytest.mark.usefixtures("forgotten")
def test_the_weights_are_loaded_once_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    first = extractor(tiny_backbone("wavlm"))
    monkeypatch.setattr(backbone_module, "load_model", pytest.fail)
    assert extractor(tiny_backbone("wavlm")).network is first.network


@pytest.mark.usefixtures("forgotten")
def test_other_weights_at_the_same_place_are_loaded(tmp_path: Path) -> None:
    """A folder that is replaced while a notebook runs: features of the old weights would be stored as those of the new ones."""
    first = features(save_backbone(tmp_path / "backbone", "wavlm", seed=1), noise(5000))
    other = features(save_backbone(tmp_path / "backbone", "wavlm", seed=2), noise(5000))
    assert np.abs(first - other).max() > 0.01
    np.testing.assert_array_equal(other, features(save_backbone(tmp_path / "elsewhere", "wavlm", seed=2), noise(5000)))


def in_a_worker(task: tuple[Path, int]) -> tuple[Frames, int]:
    torch.set_num_threads(1)
    folder, samples = task
    return features(folder, noise(samples)), load_network.cache_info().misses


@pytest.mark.usefixtures("forgotten")
def test_forked_workers_share_the_weights_and_give_the_same_frames() -> None:
    folder = tiny_backbone("wavlm")
    here = {samples: features(folder, noise(samples)) for samples in (3000, 5000, 8000)}
    tasks = [(folder, samples) for samples in here]
    for index, (frames, loads) in run_tasks(in_a_worker, tasks, 2, name=str):
        np.testing.assert_allclose(frames, here[tasks[index][1]], atol=1e-5)
        assert loads == 1


@pytest.fixture(scope="module")
def real() -> Path:
    if not REAL.is_dir():
        pytest.skip("needs shared/models/whisper-base-encoder")
    return REAL


@pytest.fixture(params=["synthetic", "real"])
def clip(request: pytest.FixtureRequest) -> Waveform:
    if request.param == "synthetic":
        return noise(RATE)
    files = sorted(CLIPS.rglob("*.wav"))
    if not files:
        pytest.skip("needs data/raw/crema")
    return prepare(*audio_of(files[0]), AudioConfig()).prepared


def audio_of(path: Path) -> tuple[Waveform, int]:
    audio = read_audio(path)
    return audio.samples, audio.sample_rate


def test_the_real_whisper_is_the_library_s_on_the_clip_s_own_length(real: Path, clip: Waveform) -> None:
    clip = clip[: len(clip) // 320 * 320]
    ours, theirs = features(real, clip), library_states(real, clip)
    assert ours.shape == (len(clip) // 320, 7 * 512)
    scale = np.abs(theirs).reshape(-1, 512).max(axis=1).reshape(len(ours), 7, 1)
    assert (np.abs(ours - theirs).reshape(-1, 7, 512) / scale).max() < 1e-5
