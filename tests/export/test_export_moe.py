"""An exported mixture of experts hears waveforms with the backbone inside, or that backbone's frames, and says what torch says."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backbones import save_backbone, tiny_backbone
from conftest import Ser
from places import SHARED
from real_speech import real_clips
from ser.audio.waveform import Waveform, normalise_peak
from ser.config import AudioConfig, FeaturesConfig, MelConfig, MfccConfig, SslConfig, SslSpectralMoeConfig
from ser.corpora.registry import CORPORA
from ser.errors import ConfigError
from ser.evaluation.calibration import Calibration
from ser.export import onnx_file as export
from ser.export.onnx_file import build, export_run
from ser.export.original import Original, in_fp32, read_original
from ser.export.parity import backbone_frames, by_file, by_torch, largest_difference
from ser.families import SSL
from ser.features.backbone import BackboneExtractor
from ser.features.backbone_files import read_licence
from ser.features.base import FeatureShape
from ser.features.batching import stack
from ser.features.normaliser import Normaliser
from ser.features.spectral import SpectralExtractor
from ser.features.store import StoreSpec
from ser.inference.clip_output import ClipOutput
from ser.inference.exported import Exported
from ser.inference.header import Header
from ser.inference.recogniser import FeatureInput, Recogniser
from ser.inference.seal import seal
from ser.runs.run import Run
from toys import TINY_MOE, moe_config, tiny_moe
from trees import write_trees
from workspace import make_workspace

RATE = 16_000
REAL = SHARED / "models" / "whisper-base-encoder"
EXPERTS = ("ssl", "mel", "mfcc", "chroma")
LENGTHS = (1, 255, 400, 1_601, 16_000, 40_111)
NO_CALIBRATION = Calibration(temperature=None, threshold=None, max_error=0.2, reason="none")
FEATURES = FeaturesConfig(mel=MelConfig(n_mels=20), mfcc=MfccConfig(n_mfcc=8))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A whole run with a tiny WavLM."""
    root = tmp_path_factory.mktemp("moe")
    write_trees(root / "raw", ["savee"], takes=1)
    space = make_workspace(root, root / "raw", tiny_backbone("wavlm"))
    space.run("extract,transform,load")
    return space.train("moe")


@pytest.fixture(scope="module")
def model(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_run(finished, path)
    return Exported.load(path)


@pytest.fixture(scope="module")
def head(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    path = tmp_path_factory.mktemp("exported") / "head.onnx"
    export_run(finished, path, head_only=True)
    return Exported.load(path)


@pytest.fixture(scope="module")
def original(finished: Run) -> Original:
    return read_original(finished)


def noise(samples: int, seed: int = 0) -> Waveform:
    """Peak 1, as a prepared waveform has it."""
    return normalise_peak(np.random.default_rng(seed).normal(size=samples).astype(np.float32))


def input_of(extractor: Any, dtype: str) -> FeatureInput:
    """Whose normaliser has seen one second of noise."""
    layers = {"layers": list(extractor.states)} if extractor.name == SSL else {}
    store = StoreSpec(extractor.name, extractor.dims, extractor.frame_rate, dtype, layers)
    (frames,) = extractor.extract([noise(RATE)])
    return FeatureInput(extractor, store, Normaliser(frames.mean(axis=0), np.maximum(frames.std(axis=0), 0.1)))


def untrained(config: SslSpectralMoeConfig = TINY_MOE, names: tuple[str, ...] = EXPERTS, kind: str = "wavlm", **ssl: Any) -> Original:
    """A network with random weights that hears with a tiny backbone, or with that of a folder `model_id`."""
    audio = AudioConfig()
    choices = SslConfig.model_validate(
        {"model_id": str(tiny_backbone(kind)), "precision": "fp32", "dtype": "float32", "device": "cpu", **ssl}
    )
    backbone = BackboneExtractor(choices, RATE)
    inputs = {"spectral": input_of(SpectralExtractor(audio, FEATURES), "float32"), SSL: input_of(backbone, choices.dtype)}
    shapes = {
        name: FeatureShape(dim, source.store.frame_rate, len(source.store.layers))
        for source in inputs.values()
        for name, dim in source.store.dims.items()
    }
    shapes = {name: shapes[name] for name in names}
    network = tiny_moe(features=names, config=config, seed=3, shapes=shapes)
    stores = {name: source.store for name, source in inputs.items()}
    normalisers = {name: source.normaliser for name, source in inputs.items()}
    header = Header(moe_config(names, config), audio, stores, normalisers, shapes, ("sad", "happy", "angry"), ("crema",), "0", None)
    recogniser = Recogniser(header, network, list(inputs.values()), torch.device("cpu"))
    original = Original("ssl_spectral_moe", recogniser, NO_CALIBRATION, ("crema",))
    return decided(original, by_torch(original, [noise(samples, samples) for samples in LENGTHS]))


def decided(original: Original, heard: Sequence[ClipOutput]) -> Original:
    """With a last layer that tells these clips apart as a trained one does: else all sound alike, and parity would prove nothing."""
    layer, said = original.network.classifier[-1], np.log([output.probabilities for output in heard])
    factor = 2 / float(np.ptp(said, axis=0).max())
    with torch.no_grad():
        layer.weight.mul_(factor)
        layer.bias.copy_(factor * (layer.bias - torch.from_numpy(said.mean(axis=0)).float()))
    return original


def exported_of(original: Original, *, int8: bool = False, head_only: bool = False) -> Exported:
    return Exported.parse(Path("model.onnx"), seal(build(original, int8, head_only).SerializeToString()))


# -- as torch ------------------------------------------------------------------------


@pytest.mark.parametrize("head_only", [False, True])
@pytest.mark.parametrize("size", [1, 2, 6])
def test_every_length_in_every_batch_is_heard_as_torch_hears_it_alone(
    model: Exported, head: Exported, original: Original, size: int, head_only: bool
) -> None:
    exported, waveforms = head if head_only else model, [noise(samples, samples) for samples in LENGTHS]
    expected = [next(iter(by_torch(original, [waveform]))) for waveform in waveforms]
    found = [spoken for start in range(0, len(waveforms), size) for spoken in by_file(exported, original, waveforms[start : start + size])]
    for spoken, heard in zip(found, expected, strict=True):
        np.testing.assert_allclose(spoken.probabilities, original.calibration.apply(heard.probabilities), rtol=0, atol=1e-4)
        assert list(spoken.gates) == list(heard.gates) == list(EXPERTS)
        np.testing.assert_allclose(list(spoken.gates.values()), list(heard.gates.values()), rtol=0, atol=1e-4)
        assert spoken.attention_rate == heard.attention_rate
        for name, weights in heard.attention.items():
            np.testing.assert_allclose(spoken.attention[name], weights, rtol=0, atol=1e-4)


def test_a_clip_that_is_said_to_be_longer_than_its_batch_ends_with_it(model: Exported) -> None:
    waveforms, lengths = stack([noise(9_000)])
    for wrong in (lengths + 1, lengths * 10):
        one, other = [model.session.run(["probabilities"], {"waveforms": waveforms, "lengths": ends})[0] for ends in (lengths, wrong)]
        np.testing.assert_array_equal(one, other)


CHOICES: dict[str, dict[str, Any]] = {
    "no transformer": {"ssl": {"layers": 0}, "spectral": {"layers": 0}},
    "transformers in all experts": {"ssl": {"layers": 2}, "spectral": {"layers": 2, "heads": 2}},
    "one convolution": {"spectral": {"channels": [6], "kernel": 3}},
    "wide kernels": {"spectral": {"channels": [4, 4, 4, 4], "kernel": 7}},
    "side by side": {"fusion": "concat"},
    "another classifier for mel": {"aux_expert": "mel"},
}


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_of_the_network_is_in_the_graph(choice: str) -> None:
    config = TINY_MOE.model_dump()
    for key, value in CHOICES[choice].items():
        config[key] = {**config[key], **value} if isinstance(value, dict) else value
    original = untrained(SslSpectralMoeConfig.model_validate(config))
    assert largest_difference(exported_of(original), original) < 1e-4


@pytest.mark.parametrize("ssl", [{"layers": 1}, {"layers": [0, 2], "time_pool": 1}, {"time_pool": 5}], ids=str)
@pytest.mark.parametrize("kind", ["hubert", "whisper"])
def test_every_choice_of_the_backbone_is_in_the_graph(kind: str, ssl: dict[str, Any]) -> None:
    original = untrained(kind=kind, **ssl)
    assert largest_difference(exported_of(original), original) < 1e-4


@pytest.mark.parametrize("names", [("ssl", "mfcc"), ("mel", "chroma"), ("ssl",)], ids="-".join)
def test_any_experts_are_exported(names: tuple[str, ...]) -> None:
    original = untrained(names=names)
    if SSL not in names:
        original.recogniser.inputs = original.recogniser.inputs[:1]
    exported = exported_of(original)
    assert largest_difference(exported, original) < 1e-4
    assert (exported.facts.backbone is not None) == (SSL in names)


def test_a_gate_that_is_not_there_says_nothing() -> None:
    original = untrained(TINY_MOE.model_copy(update={"fusion": "concat"}))
    (spoken,) = exported_of(original).run([noise(8_000)])
    assert spoken.gates == {}


def test_half_precision_of_the_store_is_in_the_graph() -> None:
    original = untrained(dtype="float16")
    assert largest_difference(exported_of(original), original) < 1e-3


def test_a_backbone_that_was_heard_in_bf16_is_exported_in_fp32(original: Original) -> None:
    assert original.backbone
    assert in_fp32(original.backbone) is original.backbone
    rounded = untrained(precision="bf16", dtype="float16").backbone
    assert rounded
    exact = in_fp32(rounded)
    clip = noise(8_000)
    frames = [source.extractor.extract([clip])[0] for source in (exact, untrained().backbone, rounded) if source]
    np.testing.assert_array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[0], frames[2])


def test_weights_of_8_bits_make_a_smaller_file_that_says_almost_the_same(original: Original) -> None:
    full, small = (build(original, int8).SerializeToString() for int8 in (False, True))
    assert len(small) < 0.75 * len(full)
    exported = Exported.parse(Path("model.onnx"), seal(small))
    assert 0 < largest_difference(exported, original) < 0.1


@pytest.fixture(scope="module")
def real() -> tuple[Original, Exported]:
    """With the encoder of Whisper base, as `ssl.dtype` has it by default."""
    if not REAL.is_dir():
        pytest.skip(f"needs {REAL}")
    original = untrained(model_id=str(REAL), dtype="float16")
    decided(original, original.recogniser.infer_clips([clip for corpus in CORPORA for clip in real_clips(corpus, 1)]))
    return original, exported_of(original)


@pytest.mark.parametrize("corpus", CORPORA)
def test_real_clips_are_heard_alike_by_torch_and_exported_in_a_batch_and_alone(real: tuple[Original, Exported], corpus: str) -> None:
    (original, exported), clips = real, real_clips(corpus, 4)
    expected = np.stack([heard.probabilities for heard in original.recogniser.infer_clips(clips)])
    assert np.ptp(expected, axis=0).max() > 100 * 1e-4, "clips that all sound alike would prove nothing"
    for found in (exported.infer_clips(clips), [exported.infer(*clip) for clip in clips]):
        np.testing.assert_allclose([spoken.probabilities for spoken in found], expected, rtol=0, atol=1e-4)


# -- what the file says of itself ----------------------------------------------------


def test_the_metadata_names_the_backbone(model: Exported, original: Original) -> None:
    backbone = model.facts.backbone
    assert backbone
    assert original.backbone
    assert {name: backbone[name] for name in ("where", "kind", "layers", "sample_rate", "frame_rate", "time_pool", "trained_in")} == {
        "where": "inside",
        "kind": "wavlm",
        "layers": [0, 1, 2],
        "sample_rate": RATE,
        "frame_rate": 25.0,
        "time_pool": 2,
        "trained_in": "fp32",
    }
    assert set(backbone["sha256"]) == {"config.json", "model.safetensors", "preprocessor_config.json"}
    assert (model.facts.family, model.facts.features) == ("ssl_spectral_moe", EXPERTS)
    assert model.facts.attention_rate == {"ssl": 25.0, "mel": 15.625, "mfcc": 15.625, "chroma": 15.625}


def test_batch_and_length_are_dynamic(model: Exported, head: Exported) -> None:
    inputs = {port.name: port.shape for port in model.session.get_inputs()}
    assert inputs == {"waveforms": ["clips", "samples"], "lengths": ["clips"]}
    assert {port.name: port.shape for port in head.session.get_inputs()} == {
        **inputs,
        "ssl": ["clips", "frames", 96],
        "ssl_lengths": ["clips"],
    }
    outputs = {port.name: port.shape for port in model.session.get_outputs()}
    assert outputs == {
        "probabilities": ["clips", 7],
        "embedding": ["clips", 16],
        **{f"attention_{name}": ["clips", f"steps_{name}"] for name in EXPERTS},
        "gates": ["clips", 4],
    }


@pytest.mark.parametrize(
    ("card", "licence", "words"),
    [
        ("---\nlanguage: en\nlicense: mit\n---\n# A model\n", "mit", " The backbone in the file has the licence mit."),
        ("---\nlanguage: en\n---\nlicense: mit\n", None, ""),
        ("# A model\n", None, ""),
        (None, None, ""),
    ],
)
def test_the_licence_of_the_backbone_stands_beside_that_of_the_corpora(
    original: Original, tmp_path: Path, card: str | None, licence: str | None, words: str
) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert read_licence(tmp_path) == licence
    facts = original.backbone_facts(inside=True)
    assert facts
    assert facts["licence"] is None
    assert export.licence_of({**facts, "licence": licence}) == words


def test_equal_runs_give_equal_files(finished: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_run(finished, tmp_path / f"{name}.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


PROGRAM = """
import json, sys
from pathlib import Path
import numpy as np
from ser.inference.exported import Exported
spoken = Exported.load(Path(sys.argv[1])).infer(np.sin(np.arange(8000, dtype=np.float32)), 8000)
print(json.dumps([sorted(sys.modules), spoken.probabilities.sum(), sum(spoken.gates.values())]))
"""


def test_hearing_a_file_loads_neither_torch_nor_transformers(finished: Run, tmp_path: Path) -> None:
    export_run(finished, tmp_path / "model.onnx")
    result = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path / "model.onnx")], capture_output=True, text=True, check=True)
    loaded, total, gates = json.loads(result.stdout)
    assert not {"torch", "transformers", "librosa", "scipy", "onnx"} & set(loaded)
    assert (total, gates) == (pytest.approx(1), pytest.approx(1))


# -- a head alone --------------------------------------------------------------------


def test_a_head_hears_no_recording_and_says_what_is_missing(head: Exported) -> None:
    assert head.facts.backbone
    assert head.facts.backbone["where"] == "absent"
    for call in (lambda: head.infer(noise(8_000), RATE), lambda: list(head.run([noise(8_000)]))):
        with pytest.raises(ConfigError, match=r"the file does not contain its backbone \(wavlm, .*\)") as error:
            call()
        assert "\n" not in str(error.value)


def test_what_stands_behind_the_frames_of_a_clip_does_not_matter(head: Exported, original: Original) -> None:
    waveforms = [noise(9_000), noise(40_000)]
    frames = backbone_frames(original, waveforms)
    alone = [next(head.run([waveform], [own])) for waveform, own in zip(waveforms, frames, strict=True)]
    for spoken, one in zip(head.run(waveforms, frames), alone, strict=True):
        np.testing.assert_allclose(spoken.probabilities, one.probabilities, rtol=0, atol=1e-6)


def test_a_head_of_the_backbone_alone_takes_no_waveforms() -> None:
    original = untrained(names=("ssl",))
    exported = exported_of(original, head_only=True)
    assert exported.inputs == {"ssl", "ssl_lengths"}
    assert largest_difference(exported, original) < 1e-4


def test_a_run_without_a_backbone_has_no_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = untrained(names=("mel",))
    original.recogniser.inputs = original.recogniser.inputs[:1]
    monkeypatch.setattr(export, "read_original", lambda *_: original)
    with pytest.raises(ConfigError, match="without a backbone: leave --head-only out"):
        export_run(Run(tmp_path), tmp_path / "head.onnx", head_only=True)


# -- refusals ------------------------------------------------------------------------


def test_a_file_that_would_be_too_large_is_not_begun(original: Original, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MOST_BYTES", 1_000)
    with pytest.raises(
        ConfigError, match=r"an \.onnx file holds at most 2: --int8 makes it a quarter, --head-only leaves the backbone out"
    ):
        build(original, int8=False)
    with pytest.raises(ConfigError, match=r"an \.onnx file holds at most 2: --head-only leaves the backbone out"):
        build(original, int8=True)


def test_a_backbone_that_nobody_has_written_as_nodes_is_refused_with_the_way_out(
    original: Original, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ser.export.graph.layers.ACTIVATIONS", {})
    with pytest.raises(ConfigError, match=r"cannot be written as a graph: no node is implemented for GELU.*; --head-only"):
        build(original, int8=False)


def test_a_backbone_whose_parts_have_other_names_is_refused_with_the_way_out(original: Original, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a transformers that is newer than this program."""
    assert original.backbone
    extractor: Any = original.backbone.extractor
    monkeypatch.delattr(extractor.network.model, "feature_extractor")
    with pytest.raises(
        ConfigError, match=r"cannot read its parts as transformers \d.* names them \(.*feature_extractor.*\); --head-only"
    ) as error:
        build(original, int8=False)
    assert "\n" not in str(error.value)


# -- the command ---------------------------------------------------------------------


def test_the_command_writes_model_and_head(finished: Run, ser: Ser) -> None:
    for options, name in (((), "model.onnx"), (("--int8",), "model.int8.onnx"), (("--head-only",), "head.onnx")):
        answer = ser("export", finished.folder, *options)
        assert answer.code == 0, answer.err
        assert name in answer.out
        (finished.folder / name).unlink()
    assert "the file does not contain its backbone" in answer.out


def test_a_backbone_that_has_moved_is_found_where_one_says(finished: Run, ser: Ser, tmp_path: Path) -> None:
    moved = shutil.copytree(tiny_backbone("wavlm"), tmp_path / "moved")
    answer = ser("export", finished.folder, "--backbone", moved, "--out", tmp_path / "model.onnx")
    assert answer.code == 0, answer.err
    assert Exported.load(tmp_path / "model.onnx").missing is None


def test_another_backbone_than_that_of_the_training_is_refused(finished: Run, ser: Ser, tmp_path: Path) -> None:
    other = save_backbone(tmp_path / "other", "wavlm", seed=5)
    answer = ser("export", finished.folder, "--backbone", other, "--out", tmp_path / "model.onnx")
    assert (answer.code, len(answer.err.splitlines())) == (2, 1)
    assert "was trained with the backbone wavlm" in answer.err
