"""A backbone written as a graph gives the frames that torch gives: of every kind, at every length, alone and in any batch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbones import KINDS, WHISPER_FRAMES, save_backbone, tiny_backbone
from ser.audio.waveform import Waveform
from ser.config import SslConfig
from ser.export.graph.backbone import add_backbone
from ser.export.graph.base import Graph, NotExportable, Port
from ser.families import SSL
from ser.features.backbone import BackboneExtractor
from ser.features.base import Frames
from ser.features.batching import stack
from ser.features.normaliser import Normaliser
from ser.features.store import StoreSpec
from ser.inference.recogniser import FeatureInput

RATE = 16_000
LENGTHS = (1, 399, 400, 3_000, 3_001, 5_000, 16_123, 31_999)
"""Samples: too short for a frame, just one, rests that make none, and more frames than WavLM tells distances apart here."""
NEAR = {"max_bucket_distance": 20, "num_buckets": 16}


def input_of(folder: Path, **choices: Any) -> FeatureInput:
    """With a normaliser that changes nothing, in the precision of the store."""
    config = SslConfig.model_validate({"model_id": str(folder), "precision": "fp32", "dtype": "float32", "device": "cpu", **choices})
    extractor = BackboneExtractor(config, RATE)
    columns = extractor.dims[SSL]
    store = StoreSpec(SSL, extractor.dims, extractor.frame_rate, config.dtype, {"layers": list(extractor.states)})
    return FeatureInput(extractor, store, Normaliser(np.zeros(columns, np.float32), np.ones(columns, np.float32)))


def session_of(source: FeatureInput, int8: bool = False) -> Any:
    """(waveforms, lengths) -> frames (B, T, columns) and how many are real (B,)"""
    import onnxruntime
    from onnx import checker

    graph = Graph(int8)
    feature = add_backbone(graph, source, [SSL], "waveforms", "lengths", 1)[SSL]
    graph.add("Identity", feature.frames, output="frames")
    graph.add("Identity", feature.steps.lengths, output="counts")
    inputs = [Port("waveforms", np.float32, ("clips", "samples")), Port("lengths", np.int64, ("clips",))]
    outputs = [Port("frames", np.float32, ("clips", "frames", source.store.columns)), Port("counts", np.int64, ("clips",))]
    model = graph.build("backbone", inputs, outputs, {})
    checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(session: Any, clips: list[Waveform]) -> list[Frames]:
    waveforms, lengths = stack(clips)
    frames, counts = session.run(None, {"waveforms": waveforms, "lengths": lengths})
    assert frames.shape[1] == counts.max()
    assert all(not row[count:].any() for row, count in zip(frames, counts, strict=True))
    return [row[:count] for row, count in zip(frames, counts, strict=True)]


def noise(samples: int, seed: int = 0) -> Waveform:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def agrees(source: FeatureInput, lengths: tuple[int, ...] = LENGTHS, atol: float = 2e-5) -> None:
    """Alone, and in batches of two and of all."""
    session, clips = session_of(source), [noise(samples, samples) for samples in lengths]
    expected = source.extractor.extract(clips)
    scale = max(np.abs(frames).max() for frames in expected)
    for size in (1, 2, len(clips)):
        found = [frames for start in range(0, len(clips), size) for frames in run(session, clips[start : start + size])]
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.shape == theirs.shape
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol * scale)


@pytest.mark.parametrize("pool", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_frames_of_torch(kind: str, pool: int) -> None:
    agrees(input_of(tiny_backbone(kind), time_pool=pool))


@pytest.mark.parametrize("layers", [0, 1, 2, [0, 2], [1]], ids=str)
@pytest.mark.parametrize("kind", ["wavlm", "whisper"])
def test_some_hidden_states_are_written_alone(kind: str, layers: Any) -> None:
    agrees(input_of(tiny_backbone(kind), layers=layers))


VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "WavLM that tells few distances apart": ("wavlm", NEAR),
    "WavLM large": ("wavlm", {"do_stable_layer_norm": True, "feat_extract_norm": "layer", **NEAR}),
    "HuBERT large": ("hubert", {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}),
    "HuBERT with batch norm": ("hubert", {"conv_pos_batch_norm": True}),
    "HuBERT without a norm before the projection": ("hubert", {"feat_proj_layer_norm": False}),
    "wav2vec 2.0 large": ("wav2vec2", {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}),
    "MMS": ("wav2vec2", {"do_stable_layer_norm": True, "adapter_attn_dim": 4}),
    "waveform as it is": ("wavlm", {"normalise": False}),
    "an odd kernel for positions": ("wav2vec2", {"num_conv_pos_embeddings": 15}),
    "data2vec with an even kernel": ("data2vec-audio", {"conv_pos_kernel_size": 4}),
}


@pytest.mark.parametrize("layers", ["all", 1])
@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_of_an_architecture_give_the_frames_of_torch(tmp_path: Path, variant: str, layers: Any) -> None:
    kind, shape = VARIANTS[variant]
    agrees(input_of(save_backbone(tmp_path, kind, **shape), layers=layers))


def test_whisper_takes_long_clips_in_stretches() -> None:
    window = WHISPER_FRAMES * 320
    agrees(input_of(tiny_backbone("whisper"), time_pool=3), (window, window + 1, 2 * window + 5 * 320 + 7, 500))


@pytest.mark.parametrize("kind", KINDS)
def test_digital_silence_is_heard_as_torch_hears_it(kind: str) -> None:
    source = input_of(tiny_backbone(kind))
    (found,) = run(session_of(source), [np.zeros(8_000, np.float32)])
    np.testing.assert_allclose(found, source.extractor.extract([np.zeros(8_000, np.float32)])[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["wavlm", "whisper"])
@pytest.mark.parametrize("garbage", [1.0, 1e30, np.nan])
def test_what_stands_behind_the_end_of_a_clip_does_not_matter(kind: str, garbage: float) -> None:
    session, (waveforms, lengths) = session_of(input_of(tiny_backbone(kind))), stack([noise(count) for count in (200, 3_100, 9_000)])
    spoiled = np.where(np.arange(waveforms.shape[1]) < lengths[:, None], waveforms, np.float32(garbage))
    clean, dirty = (session.run(["frames"], {"waveforms": rows, "lengths": lengths})[0] for rows in (waveforms, spoiled))
    np.testing.assert_array_equal(clean, dirty)


@pytest.fixture(scope="module")
def wavlm() -> Any:
    return session_of(input_of(tiny_backbone("wavlm")))


@given(samples=st.lists(st.integers(1, 20_000), min_size=1, max_size=5), data=st.data())
@settings(max_examples=10, deadline=None)
def test_company_and_order_change_nothing(wavlm: Any, samples: list[int], data: st.DataObject) -> None:
    clips = [noise(count, seed) for seed, count in enumerate(samples)]
    order = data.draw(st.permutations(range(len(clips))))
    together = run(wavlm, [clips[index] for index in order])
    for index, frames in zip(order, together, strict=True):
        np.testing.assert_array_equal(frames, run(wavlm, [clips[index]])[0])


def test_frames_are_rounded_as_the_store_rounds() -> None:
    source = input_of(tiny_backbone("hubert"), dtype="float16")
    (found,) = run(session_of(source), [noise(5_000)])
    np.testing.assert_array_equal(found, found.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_8_bits_give_almost_the_same_frames(kind: str) -> None:
    source = input_of(tiny_backbone(kind))
    (expected,), (found,) = source.extractor.extract([noise(9_000)]), run(session_of(source, int8=True), [noise(9_000)])
    assert not np.allclose(found, expected, rtol=0, atol=1e-5)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("wavlm", {"hidden_act": "gelu_new"}),
        ("hubert", {"feat_extract_activation": "swish"}),
        ("whisper", {"activation_function": "relu6"}),
    ],
)
def test_what_nobody_has_written_as_nodes_is_refused(tmp_path: Path, kind: str, shape: dict[str, Any]) -> None:
    with pytest.raises(NotExportable, match="no node is implemented for"):
        session_of(input_of(save_backbone(tmp_path, kind, **shape)))
