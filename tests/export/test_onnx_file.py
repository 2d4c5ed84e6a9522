"""An exported model says what torch says: at every length, alone and in any batch, whatever stands behind the end of a clip."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import ser.export.graph.spectral_crnn
from ser.audio.decode import read_audio
from ser.audio.waveform import Waveform, normalise_peak
from ser.cli import main
from ser.commands.export import export as write_export
from ser.config import AudioConfig, ChromaConfig, FeaturesConfig, MelConfig, MfccConfig, ModelConfig, SpectralCrnnConfig
from ser.corpora.manifest import read_manifest
from ser.errors import ArtefactError, ConfigError, DataError, LockedError
from ser.evaluation.calibration import Calibration, calibration_of, read_calibration
from ser.export import onnx_file as export
from ser.export.onnx_file import build, export_run
from ser.export.original import Original, made_with, read_original
from ser.export.parity import by_torch, largest_difference
from ser.features.base import FeatureShape
from ser.features.batching import stack
from ser.features.normaliser import Normaliser
from ser.features.spectral import SpectralExtractor
from ser.features.store import StoreSpec
from ser.inference.clip_output import Clip, ClipOutput
from ser.inference.exported import INPUTS, Exported
from ser.inference.header import Header
from ser.inference.load_model import TrainedRun
from ser.inference.recogniser import FeatureInput, Recogniser
from ser.inference.seal import seal
from ser.models.registry import build_model
from ser.runs.run import Run
from ser.system.files import exclusive_lock, refuse_place
from ser.system.optional import install_hint
from workspace import Workspace

RATE = 16_000
NO_CALIBRATION = Calibration(temperature=None, threshold=None, max_error=0.2, reason="none")


@pytest.fixture(scope="module")
def model(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_run(finished, path)
    return Exported.load(path, threads=1)


@pytest.fixture(scope="module")
def original(finished: Run) -> Original:
    return read_original(finished)


def noise(samples: int, seed: int = 0) -> Waveform:
    """Peak 1, as a prepared waveform has it."""
    return normalise_peak(np.random.default_rng(seed).normal(size=samples).astype(np.float32))


def torch_says(original: Original, waveform: Waveform) -> ClipOutput:
    """Of a prepared waveform alone, its probabilities calibrated."""
    (output,) = by_torch(original, [waveform])
    return replace(output, probabilities=original.calibration.apply(output.probabilities))


def clips_of(space: Workspace) -> list[Clip]:
    """A few of every corpus."""
    manifest = read_manifest(space.processed / "manifest.csv")
    audio = [read_audio(space.raw / utterance.path) for utterance in manifest.utterances[::11]]
    return [(recording.samples, recording.sample_rate) for recording in audio]


# as torch


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("samples", [1, 255, 1_600, 1_800, 16_000, 40_111, 80_000])
def test_every_length_in_every_batch_is_heard_as_torch_hears_it_alone(model: Exported, original: Original, samples: int, size: int) -> None:
    waveforms = [noise(max(samples - 97 * index, 1), seed=index) for index in range(size)]
    for waveform, spoken in zip(waveforms, model.run(waveforms), strict=True):
        expected = torch_says(original, waveform)
        np.testing.assert_allclose(spoken.probabilities, expected.probabilities, rtol=0, atol=1e-4)
        np.testing.assert_allclose(spoken.embedding, expected.embedding, rtol=0, atol=1e-3)
        (name,) = spoken.attention
        np.testing.assert_allclose(spoken.attention[name], expected.attention[name], rtol=0, atol=1e-4)
        assert spoken.attention_rate == expected.attention_rate


def test_the_embedding_is_what_the_classifier_sees(model: Exported, original: Original) -> None:
    (spoken,) = model.run([noise(20_000)])
    linear: Any = original.network.classifier[-1]
    logits = linear(torch.from_numpy(spoken.embedding)).detach().double().softmax(-1).numpy()
    np.testing.assert_allclose(original.calibration.apply(logits), spoken.probabilities, rtol=0, atol=1e-6)


def test_clips_of_every_corpus_at_their_own_rates_are_heard_as_in_training(
    model: Exported, original: Original, prepared: Workspace
) -> None:
    clips = clips_of(prepared)
    heard, spoken = original.recogniser.infer_clips(clips), model.infer_clips(clips)
    for clip, one, other in zip(clips, heard, spoken, strict=True):
        np.testing.assert_allclose(other.probabilities, original.calibration.apply(one.probabilities), rtol=0, atol=1e-4)
        np.testing.assert_allclose(model.infer(*clip).probabilities, other.probabilities, rtol=0, atol=1e-5)


@given(samples=st.lists(st.integers(1, 50_000), min_size=1, max_size=9), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_company_and_order_change_nothing(model: Exported, samples: list[int], seed: int) -> None:
    clips = [(noise(count, seed + index), RATE) for index, count in enumerate(samples)]
    together, backwards = model.infer_clips(clips), model.infer_clips(clips[::-1])[::-1]
    for clip, one, other in zip(clips, together, backwards, strict=True):
        alone = model.infer(*clip)
        for spoken in (one, other):
            np.testing.assert_allclose(spoken.probabilities, alone.probabilities, rtol=0, atol=1e-5)
            np.testing.assert_allclose(spoken.embedding, alone.embedding, rtol=0, atol=1e-4)
            assert [len(weights) for weights in spoken.attention.values()] == [len(weights) for weights in alone.attention.values()]


@pytest.mark.parametrize("garbage", [1.0, 1e30, np.nan, np.inf])
def test_what_stands_behind_the_end_of_a_clip_does_not_matter(model: Exported, garbage: float) -> None:
    waveforms = [noise(count, seed=count) for count in (1, 1_000, 9_000, 30_000)]
    block, lengths = stack(waveforms)
    spoiled = np.where(np.arange(block.shape[1]) < lengths[:, None], block, np.float32(garbage))
    outputs = [model.session.run(None, dict(zip(INPUTS, (rows, lengths), strict=True))) for rows in (block, spoiled)]
    for clean, dirty in zip(*outputs, strict=True):
        np.testing.assert_array_equal(clean, dirty)


def test_no_attention_is_on_padding(model: Exported) -> None:
    waveforms = [noise(count) for count in (500, 16_000)]
    attention = model.session.run(["attention_spectral"], dict(zip(INPUTS, stack(waveforms), strict=True)))[0]
    assert attention.shape == (2, 15)
    assert (attention[0] > 0).sum() == 1
    np.testing.assert_allclose(attention.sum(axis=1), 1, rtol=1e-6)


# other settings


def untrained(features: FeaturesConfig, names: tuple[str, ...], crnn: SpectralCrnnConfig | None = None) -> Original:
    """A network with random weights that hears these features; its batch norms have seen something."""
    torch.manual_seed(0)
    audio, generator = AudioConfig(), np.random.default_rng(0)
    crnn = crnn or SpectralCrnnConfig(channels=(4, 8), branch_dim=8, bottleneck_dim=8, gru_dim=8)
    config = ModelConfig.model_validate({"features": names, "spectral_crnn": crnn})
    extractor = SpectralExtractor(audio, features)
    store = StoreSpec("spectral", extractor.dims, extractor.frame_rate, features.dtype, {})
    (frames,) = extractor.extract([noise(RATE)])
    normaliser = Normaliser(frames.mean(axis=0), np.maximum(frames.std(axis=0), 0.1))
    shapes = {name: FeatureShape(rows, extractor.frame_rate) for name, rows in extractor.dims.items() if name in names}
    network = build_model(config, shapes, 3)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean = torch.from_numpy(generator.normal(size=module.num_features)).float()
            module.running_var = torch.from_numpy(generator.uniform(0.5, 2, module.num_features)).float()
            module.weight.data = torch.from_numpy(generator.normal(size=module.num_features)).float()
    header = Header(config, audio, {"spectral": store}, {"spectral": normaliser}, shapes, ("sad", "happy", "angry"), ("crema",), "0", None)
    source = FeatureInput(extractor, store, normaliser)
    recogniser = Recogniser(header, network, [source], torch.device("cpu"))
    return Original("spectral_crnn", recogniser, NO_CALIBRATION, ("crema",))


TINY_MEL, TINY_MFCC = MelConfig(n_mels=20), MfccConfig(n_mfcc=8)


@pytest.mark.parametrize(
    "features",
    [
        FeaturesConfig(mel=TINY_MEL, mfcc=TINY_MFCC),
        FeaturesConfig(n_fft=512, hop_length=160, mel=MelConfig(n_mels=24, fmin=80, fmax=7000), mfcc=TINY_MFCC),
        FeaturesConfig(n_fft=500, hop_length=500, mel=TINY_MEL, mfcc=TINY_MFCC, chroma=ChromaConfig(n_chroma=24)),
        FeaturesConfig(n_fft=401, hop_length=400, mel=TINY_MEL, mfcc=TINY_MFCC),
        FeaturesConfig(n_fft=405, hop_length=120, mel=TINY_MEL, mfcc=MfccConfig(n_mfcc=20)),
        FeaturesConfig(dtype="float16", mel=TINY_MEL, mfcc=TINY_MFCC),
    ],
    ids=["usual", "hop-of-10ms", "no-overlap", "prime", "odd", "half-precision"],
)
@pytest.mark.parametrize("names", [("mel", "mfcc", "chroma"), ("chroma",), ("mfcc",), ("mel", "chroma")], ids="-".join)
def test_every_setting_of_the_features_is_in_the_graph(features: FeaturesConfig, names: tuple[str, ...]) -> None:
    agrees(untrained(features, names))


@pytest.mark.parametrize(
    "crnn",
    [
        SpectralCrnnConfig(channels=(3, 5), pools=((1, 1), (1, 1)), branch_dim=7, bottleneck_dim=9, gru_dim=5, gru_layers=3),
        SpectralCrnnConfig(channels=(4, 4), pools=((3, 3), (2, 5)), branch_dim=8, bottleneck_dim=8, gru_dim=8),
    ],
    ids=["no-pooling-three-layers", "long-steps"],
)
def test_every_width_of_the_network_is_in_the_graph(crnn: SpectralCrnnConfig) -> None:
    agrees(untrained(FeaturesConfig(mel=TINY_MEL, mfcc=TINY_MFCC), ("mel", "mfcc", "chroma"), crnn))


def agrees(original: Original) -> None:
    exported = Exported.parse(Path("model.onnx"), seal(build(original, int8=False).SerializeToString()))
    assert largest_difference(exported, original) < (1e-3 if original.recogniser.inputs[0].store.dtype == "float16" else 1e-4)


# what the file says of itself


def test_the_metadata_is_that_of_the_run(model: Exported, original: Original, finished: Run, prepared: Workspace) -> None:
    config, recogniser = prepared.config(), original.recogniser
    assert model.classes == config.labels.keep
    assert (model.audio, model.facts.sample_rate) == (config.audio, 16_000)
    assert model.corpora == ("crema", "ravdess", "savee", "tess")
    assert model.certificate == recogniser.certificate
    assert model.calibration == read_calibration(finished.calibration)
    assert model.licence.startswith("Not for commercial use, because it was made with RAVDESS")
    assert (model.facts.features, model.facts.family, model.facts.precision) == (recogniser.features, "spectral_crnn", "fp32")
    assert model.facts.weights == original.recogniser.weights
    assert model.facts.attention_rate == {"spectral": 62.5 / 4}
    assert model.facts.backbone is None


def test_the_metadata_is_plain_text_and_json(model: Exported) -> None:
    metadata = model.session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == list(model.classes)
    assert json.loads(metadata["audio"])["sampling_rate"] == 16_000


def test_batch_and_length_are_dynamic(model: Exported) -> None:
    shapes = {port.name: port.shape for port in (*model.session.get_inputs(), *model.session.get_outputs())}
    assert shapes == {
        "waveforms": ["clips", "samples"],
        "lengths": ["clips"],
        "probabilities": ["clips", 8],
        "embedding": ["clips", 32],
        "attention_spectral": ["clips", "steps_spectral"],
    }


def test_equal_runs_give_equal_files(finished: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_run(finished, tmp_path / f"{name}.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_run_without_calibration_says_the_same_as_its_exported_file(
    finished: Run, tmp_path: Path, prepared: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    run = partial_copy(finished, tmp_path, without=["calibration.json"])
    exported, trained = export_run(run, tmp_path / "model.onnx"), TrainedRun(run.folder)
    assert exported.calibration == trained.calibration
    assert (exported.calibration.temperature, exported.calibration.threshold) == (None, None)
    assert [record.message.split(": ")[1] for record in caplog.records] == 2 * [
        "probabilities are not calibrated, and no answer is unknown"
    ]
    clips = clips_of(prepared)[:3]
    for spoken, said in zip(exported.infer_clips(clips), trained.infer_clips(clips), strict=True):
        np.testing.assert_allclose(spoken.probabilities, said.probabilities, rtol=0, atol=1e-4)


def test_the_licence_is_of_all_corpora_that_a_model_was_fitted_to(finished: Run, tmp_path: Path) -> None:
    assert made_with(finished, ["tess"]) == ("crema", "ravdess", "savee", "tess"), "val holds the other three"
    with pytest.raises(DataError, match="is needed to list the licences of the corpora"):
        made_with(Run(tmp_path), ["crema"])


def test_the_calibration_of_another_run_is_not_exported(finished: Run, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="belongs to other weights"):
        calibration_of(finished.calibration, "0" * 64)


# eight bits


def test_weights_of_8_bits_make_a_smaller_file_that_says_almost_the_same(finished: Run, original: Original, tmp_path: Path) -> None:
    full = export_run(finished, tmp_path / "full.onnx")
    small = export_run(finished, tmp_path / "small.onnx", int8=True)
    assert small.facts.precision == "int8"
    assert (tmp_path / "small.onnx").stat().st_size < (tmp_path / "full.onnx").stat().st_size
    assert 0 < largest_difference(small, original) < 0.1
    assert largest_difference(full, original) < 1e-4


def test_every_weight_that_was_learned_is_rounded_and_no_filter_is(original: Original) -> None:
    from onnx import TensorProto, numpy_helper

    built = build(original, int8=True)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in built.graph.initializer if tensor.data_type == TensorProto.INT8}
    learned = [tensor for name, tensor in original.network.named_parameters() if tensor.ndim > 1]
    assert sum(np.count_nonzero(tensor) for tensor in arrays.values()) > 0.95 * sum(tensor.numel() for tensor in learned)
    assert len(arrays) == len(learned) - 2, "both directions of the recurrence stand together"
    assert all(np.abs(array).max() == 127 for array in arrays.values())


# refusals


def partial_copy(run: Run, folder: Path, without: list[str]) -> Run:
    shutil.copytree(run.split, folder / run.split.name)
    for path in run.folder.iterdir():
        if path.is_file() and path.name not in without:
            (folder / path.name).write_bytes(path.read_bytes())
    return Run(folder)


def test_a_file_that_does_not_agree_is_not_written(finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an exporter did that mixed up the gates of the recurrence."""
    old = tmp_path / "model.onnx"
    old.write_text("of yesterday")
    monkeypatch.setattr(ser.export.graph.spectral_crnn, "GRU_GATES", (0, 1, 2))
    with pytest.raises(ArtefactError, match="was not written: a probability differs from the model's by"):
        export_run(finished, old)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["of yesterday"]


def test_a_difference_that_is_no_number_is_refused(finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "largest_difference", lambda *_: np.nan)
    with pytest.raises(ArtefactError, match="was not written"):
        export_run(finished, tmp_path / "model.onnx")


def test_a_run_that_is_not_finished_is_refused(finished: Run, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not a finished run: it has no best\.pth"):
        export_run(partial_copy(finished, tmp_path, without=["best.pth"]), tmp_path / "model.onnx")


def test_a_missing_extra_is_named(finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser.system.optional.find_spec", lambda name: None if name == "onnx" else object())
    with pytest.raises(ConfigError, match=rf"an export needs onnx: {re.escape(install_hint('export'))}"):
        export_run(finished, tmp_path / "model.onnx")


# the command


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["ser", "export", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return (0 if code is None else int(code), *capsys.readouterr())

    return call


def test_the_command_writes_into_the_folder_of_the_run(finished: Run, tmp_path: Path, command: Any) -> None:
    run = partial_copy(finished, tmp_path, without=[])
    code, out, _ = command(str(run.folder))
    assert code == 0
    assert str(tmp_path / "model.onnx") in out
    assert "Not for commercial use" in out
    code, out, _ = command(str(run.folder), "--int8")
    assert (code, Exported.load(tmp_path / "model.int8.onnx").facts.precision) == (0, "int8")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["{run}", "--out", "model.pth"], 2, "ends in .onnx"),
        (["{folder}/nothing"], 3, "is not a finished run"),
        (["{run}/best.pth"], 2, "best.pth is a file: give the folder of a run"),
        (["{run}", "--backbone", "/nope"], 2, "without a speech backbone: leave --backbone out"),
    ],
)
def test_the_command_refuses_in_one_line(finished: Run, tmp_path: Path, command: Any, arguments: list[str], code: int, words: str) -> None:
    found, _, err = command(*(argument.format(run=finished.folder, folder=tmp_path) for argument in arguments))
    assert (found, len(err.splitlines())) == (code, 1)
    assert words in err


@pytest.mark.parametrize(("place", "words"), [("taken.onnx", "is a folder"), ("file/model.onnx", "Not a directory")])
def test_a_place_where_nothing_can_be_written_is_refused_before_the_export(
    tmp_path: Path, command: Any, monkeypatch: pytest.MonkeyPatch, place: str, words: str
) -> None:
    monkeypatch.setattr("ser.commands.export.export_run", None)
    (tmp_path / "taken.onnx").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "run").mkdir()
    code, _, err = command(str(tmp_path / "run"), "--out", str(tmp_path / place))
    assert (code, len(err.splitlines())) == (2, 1)
    assert words in err


def test_a_place_without_permission_is_refused_before_the_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> Any:
        raise PermissionError(13, "Permission denied", "tmp8h2k")

    monkeypatch.setattr("ser.system.files.TemporaryFile", refuse)
    with pytest.raises(ConfigError, match=r"deep/model\.onnx cannot be written: Permission denied$"):
        refuse_place(tmp_path / "deep/model.onnx", "--out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spelling", ["absolute", "crooked"])
def test_the_folder_of_the_run_is_locked_however_it_is_spelled(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    partial_copy(finished, tmp_path / "run", without=[])
    monkeypatch.chdir(tmp_path)
    with exclusive_lock(Run(tmp_path / "run").lock), pytest.raises(LockedError):
        write_export("run", {"absolute": f"{tmp_path}/run/model.onnx", "crooked": "run/../run/model.onnx"}[spelling])
