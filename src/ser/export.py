"""A run's model as one .onnx file that hears prepared waveforms and is tried before it counts."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ser import __version__
from ser.audio import Stages, Waveform, normalise_peak
from ser.calibration import Calibration, calibrate, read_calibration
from ser.certificate import read_certificate
from ser.checkpoint import load_checkpoint
from ser.errors import ArtefactError, ConfigError, DataError
from ser.exported import ATTENTION, FORMAT, INPUTS, OUTPUTS, Exported, Facts, seal
from ser.features.spectral import SpectralExtractor
from ser.files import atomic_write
from ser.graph.base import Graph, Port
from ser.graph.spectral import add_features, add_frames
from ser.graph.spectral_crnn import add_network
from ser.licences import model_licence
from ser.models.spectral_crnn import SpectralCrnn
from ser.predictions import read_predictions
from ser.rebuild import read_header
from ser.restore import Ear, Recogniser
from ser.runs import Run, stored_config
from ser.splits import CERTIFICATE_FILE
from ser.units import seconds_to_samples

if TYPE_CHECKING:
    from onnx import ModelProto

FAMILY = "spectral_crnn"
"""The one that can be exported."""
TOLERANCE = 1e-4
"""Between the probabilities of torch and those of the file, in fp32."""
TOLERANCE_INT8 = 0.1
"""The same with rounded weights: what it costs is measured in scores, and this finds a file that is broken."""
TRIED_SECONDS = (0.02, 0.1, 0.73, 2.4, 5.1)
"""Of the waveforms that a file is tried with: less than one step, about a syllable, a word, a sentence, the longest in training."""


@dataclass(frozen=True)
class Original:
    """What is exported."""

    recogniser: Recogniser
    network: SpectralCrnn
    ear: Ear
    extractor: SpectralExtractor
    calibration: Calibration
    weights: str
    """Digest."""
    made_with: tuple[str, ...]
    """Corpora whose licences it carries."""

    @property
    def attention_rate(self) -> dict[str, float]:
        """{name: Hz}: the network listens to all its features at once."""
        return {"spectral": self.network.step_rate}


def export_run(run: Run, out: Path, *, int8: bool = False) -> Exported:
    """Write the model of a finished run to `out`, atomically, and give it back as it was read from there.

    Args:
        int8: weights in 8 bits, a quarter of their size.

    Raises:
        ConfigError: the extra `export` is not installed, or the model is of a family that cannot be exported.
        DataError: the folder is no finished run.
        ArtefactError: the checkpoint, the calibration or the predictions are damaged, or onnxruntime gives other answers than torch.
    """
    refuse_without_libraries()
    original = read_original(run)
    content = seal(build(original, int8).SerializeToString())
    exported = Exported.parse(out, content)
    tolerance = TOLERANCE_INT8 if int8 else TOLERANCE
    difference = largest_difference(exported, original)
    if not difference <= tolerance:  # also where it is no number
        raise ArtefactError(
            f"{out} is not written: it differs from the model by {difference:.1e} in a probability, {tolerance:g} is allowed"
        )
    with atomic_write(out) as file:
        file.write(content)
    return exported


def refuse_without_libraries() -> None:
    absent = [module for module in ("onnx", "onnxruntime") if find_spec(module) is None]
    if absent:
        raise ConfigError(f"an export needs {' and '.join(absent)}: pip install 'ser[export]'")


def read_original(run: Run) -> Original:
    """Errors as of `export_run`."""
    if not run.best.is_file():
        raise DataError(f"{run.folder} is no finished run: it holds no {run.best.name}")
    content = load_checkpoint(run.best)
    family = read_header(run.best, content).model.name
    if family != FAMILY:
        raise ConfigError(f"{run.folder} holds a model of the family {family}: this version, {__version__}, exports {FAMILY} only")
    recogniser = Recogniser.load(run.best, device="cpu")
    (ear,), network = recogniser.ears, recogniser.model
    assert isinstance(network, SpectralCrnn)
    assert isinstance(ear.extractor, SpectralExtractor)
    calibration = calibration_of(run, recogniser.weights)
    return Original(recogniser, network, ear, ear.extractor, calibration, recogniser.weights, made_with(run, recogniser.corpora))


def made_with(run: Run, trained_on: Iterable[str]) -> tuple[str, ...]:
    """The corpora whose licences the model carries: of train, and of val, to which epoch, temperature and threshold were fitted."""
    path = run.split / CERTIFICATE_FILE
    if not path.is_file():
        raise DataError(f"{path} does not exist: without it nobody knows which licences the model carries")
    speakers = read_certificate(path).splits["val"].speakers
    return tuple(sorted({*trained_on, *(speaker.partition("/")[0] for speaker in speakers)}))


def calibration_of(run: Run, weights: str) -> Calibration:
    """What the run stored, or, of a run made before there was such a file, what it would have stored; errors as of `export_run`."""
    if run.calibration.is_file():
        return read_calibration(run.calibration, weights)
    if not run.predictions.is_file():
        raise DataError(f"{run.folder} is not finished: it holds neither {run.calibration.name} nor {run.predictions.name}")
    predictions = read_predictions(run.predictions)
    content = calibrate(predictions.get("val"), predictions["test"], stored_config(run).calibration)
    return Calibration.model_validate({name: content[name] for name in Calibration.model_fields})


def build(original: Original, int8: bool) -> "ModelProto":
    """The graph from waveforms to calibrated probabilities, with its metadata, checked by onnx."""
    from onnx import checker

    graph, config, names = Graph(int8), original.extractor.config, original.recogniser.features
    frames, steps = add_frames(graph, *INPUTS, config.n_fft, config.hop_length, least=original.network.time_pool)
    features = add_features(graph, frames, names, original.extractor, original.ear.store, original.ear.normaliser)
    logits, embedding, attention = add_network(graph, original.network, features, steps)
    cooled = graph.add("Div", logits, graph.number(original.calibration.temperature or 1))
    probabilities = graph.add("Softmax", cooled, axis=-1)
    inputs, outputs = ports(original)
    for port, value in zip(outputs, (probabilities, embedding, attention), strict=True):
        graph.add("Identity", value, output=port.name)
    built = graph.build(FAMILY, inputs, outputs, facts_of(original, int8).metadata())
    checker.check_model(built, full_check=True)
    return built


def ports(original: Original) -> tuple[list[Port], list[Port]]:
    """Inputs and outputs of the graph."""
    linear: Any = original.network.classifier[-1]
    sizes = {OUTPUTS[0]: linear.out_features, OUTPUTS[1]: linear.in_features, **{ATTENTION + of: "steps" for of in original.attention_rate}}
    inputs = [Port(INPUTS[0], np.float32, ("clips", "samples")), Port(INPUTS[1], np.int64, ("clips",))]
    return inputs, [Port(name, np.float32, ("clips", size)) for name, size in sizes.items()]


def facts_of(original: Original, int8: bool) -> Facts:
    recogniser = original.recogniser
    return Facts(
        format=FORMAT,
        classes=recogniser.classes,
        sample_rate=recogniser.audio.sampling_rate,
        audio=recogniser.audio,
        family=FAMILY,
        features=recogniser.features,
        precision="int8" if int8 else "fp32",
        calibration=original.calibration,
        attention_rate=original.attention_rate,
        corpora=recogniser.corpora,
        licence=model_licence(original.made_with),
        certificate=recogniser.certificate,
        weights=original.weights,
        version=__version__,
    )


def largest_difference(exported: Exported, original: Original) -> float:
    """Between the calibrated probabilities of torch and those of the file, each clip alone and all together."""
    rate = original.recogniser.audio.sampling_rate
    waveforms = trial_waveforms(rate)
    heard = original.recogniser.hear_batch([Stages(waveform, rate, *[waveform] * 4) for waveform in waveforms])
    expected = original.calibration.apply(np.stack([of.probabilities for of in heard]))
    together = [of.probabilities for of in exported.run(waveforms)]
    alone = [of.probabilities for waveform in waveforms for of in exported.run([waveform])]
    return float(max(np.abs(found - expected).max() for found in (together, alone)))


def trial_waveforms(sample_rate: int) -> list[Waveform]:
    """Noise that swells and fades over 60 dB like syllables do, each with some digital silence in its middle."""
    generator = np.random.default_rng(0)
    waveforms = []
    for seconds in TRIED_SECONDS:
        time = np.arange(seconds_to_samples(seconds, sample_rate)) / sample_rate
        loudness = 10 ** (1.5 * (np.sin(2 * np.pi * 4 * time) - 1))
        noise = loudness * generator.normal(size=len(time)) * (np.abs(time - seconds / 2) > seconds / 20)
        waveforms.append(normalise_peak(noise.astype(np.float32)))
    return waveforms
