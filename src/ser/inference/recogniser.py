"""A trained model rebuilt from its checkpoint alone: decoded samples in, probabilities and every intermediate result out.

The processing is that of the transform step and of the datasets, so a clip is treated as in training: it is prepared, its features are
computed by the same extractors, rounded as in the stores, normalised, and passed to the network in fp32.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ser.audio.waveform import Stages, Waveform, prepare
from ser.config import TrainConfig
from ser.errors import ArtefactError, ConfigError
from ser.features.base import ClipError, FeatureExtractor, Frames
from ser.features.batching import batches_by_length, stack
from ser.features.family import Device
from ser.features.normaliser import Normaliser
from ser.features.registry import any_backbone
from ser.features.store import StoreSpec
from ser.inference.clip_output import Clip, ClipOutput
from ser.inference.header import Header, make_extractor, read_header
from ser.models.base import ModelOutput, padded_length
from ser.models.registry import build_model
from ser.runs.checkpoint import digest, fitting, load_checkpoint
from ser.system.device import choose_device, repeat_exactly
from ser.system.memory import memory_errors

BATCH_SIZE = 16
"""The highest number of clips in a batch: five seconds of all hidden states of a backbone are some megabytes."""


@dataclass(frozen=True, slots=True)
class ClipTrace:
    """The intermediate and final results of a recogniser for one clip. The names are those of the features."""

    stages: Stages
    features: Mapping[str, Frames]
    """{name: (frames, dim)} as in a store."""
    normalised: Mapping[str, Frames]
    """{name: (frames, dim)} as the network gets them."""
    frame_rate: Mapping[str, float]
    """{name: frames a second, in hertz} of both."""
    output: ClipOutput
    """Its probabilities are not calibrated."""


@dataclass(frozen=True)
class FeatureInput:
    """One extractor, with the settings of the store that the model was trained on."""

    extractor: FeatureExtractor
    store: StoreSpec
    normaliser: Normaliser

    def compute(self, waveforms: Sequence[Waveform]) -> Iterator[tuple[dict[str, Frames], dict[str, Frames]]]:
        """Compute the features of each clip, (frames, dim), as stored and normalised.

        Raises:
            ClipError: the features of a clip cannot be stored.
        """
        for frames in self.extractor.extract(waveforms):
            stored = frames.astype(self.store.dtype).astype(np.float32)
            normalised = np.empty_like(stored)
            self.normaliser.apply(stored, normalised)
            yield self.by_name(stored), self.by_name(normalised)

    def by_name(self, rows: Frames) -> dict[str, Frames]:
        return {name: rows[:, first:last] for name, (first, last) in self.store.features.items()}


class Recogniser:
    """A trained model that predicts decoded audio.

    Attributes:
        classes: the emotions that the model distinguishes, in the order of the probabilities.
        audio: the preparation of a clip.
        features: names of the network's input features, in the order of its branches or experts.
        corpora: the corpora that the model was trained on.
        certificate: digest of the split that the model was trained on.
        weights: digest of the weights, as in the run's test_metrics.json and calibration.json; empty for a model that comes from no
            checkpoint.
    """

    weights = ""

    def __init__(self, header: Header, model: nn.Module, inputs: Sequence[FeatureInput], device: torch.device) -> None:
        self.classes, self.audio, self.features = header.classes, header.audio, tuple(header.model.features)
        self.corpora, self.certificate = header.corpora, header.certificate
        self.model, self.inputs, self.device = model.to(device).eval(), tuple(inputs), device
        self.frame_rate: dict[str, float] = {name: header.shapes[name].frame_rate for name in self.features}

    @classmethod
    def load(cls, path: Path, backbone: str | None = None, device: Device = "auto") -> Self:
        """Load the model of a checkpoint, such as best.pth of a run.

        Args:
            backbone: folder or hub model, for a model with the feature ssl; None: the place that is recorded in the checkpoint.

        Raises:
            ArtefactError: the checkpoint is corrupted, not written by this program, or written by a version with other features or
                networks.
            ConfigError: the backbone is not the one that the model was trained with, or its place is not known, or the model has none;
                transformers is not installed; the device is not available.
            DataError: the backbone's files are corrupted, or missing and cannot be downloaded.
        """
        content = load_checkpoint(path)
        header = read_header(path, content)
        if backbone is not None and not any_backbone(header.model.features):
            raise ConfigError(f"{path} is a model of {', '.join(header.model.features)} without a speech backbone: leave --backbone out")
        repeat_exactly()
        torch_device = choose_device(TrainConfig(device=device))
        with fitting(path):
            model = build_model(header.model, header.shapes, len(header.classes))
            model.load_state_dict(content["weights"])
        refuse_broken(path, model)
        inputs = [
            FeatureInput(make_extractor(path, header, name, backbone, device), store, header.normalisers[name])
            for name, store in header.stores.items()
        ]
        recogniser = cls(header, model, inputs, torch_device)
        recogniser.weights = digest(content["weights"])
        return recogniser

    def infer(self, samples: NDArray[np.float32], sample_rate: int) -> ClipOutput:
        """Infer one clip of at least one sample, all finite (`ser.audio.screening` checks this). Raises the errors of `trace_clips`.

        Shape:
            samples (samples,) or (samples, channels); full scale is 1
        """
        return self.infer_clips([(samples, sample_rate)])[0]

    def infer_clips(self, clips: Sequence[Clip]) -> list[ClipOutput]:
        """Like `trace_clips`, but only the outputs are kept."""
        return [trace.output for trace in self.trace_clips(clips)]

    def trace(self, samples: NDArray[np.float32], sample_rate: int) -> ClipTrace:
        """Like `infer`, with all intermediate results."""
        return self.trace_clips([(samples, sample_rate)])[0]

    def trace_clips(self, clips: Sequence[Clip]) -> list[ClipTrace]:
        """Trace clips, in the order given. Clips of similar length share a batch, and no output depends on the other clips.

        All intermediate results are kept in memory: pass a few dozen clips at a time.

        Raises:
            ClipError: the frames of a clip cannot be stored; it has the index of the clip.
            DataError: out of memory.
        """
        traces: dict[int, ClipTrace] = {}
        with memory_errors("use fewer clips at once, or shorter ones", detail=True):
            stages = [prepare(np.asarray(samples, np.float32), rate, self.audio) for samples, rate in clips]
            for batch in batches_by_length([len(stage.prepared) for stage in stages], most_clips=BATCH_SIZE):
                try:
                    traces |= zip(batch, self.trace_batch([stages[index] for index in batch]), strict=True)
                except ClipError as error:
                    raise ClipError(str(error), batch[error.index]) from None
        return [traces[index] for index in range(len(stages))]

    def trace_batch(self, stages: Sequence[Stages]) -> Iterator[ClipTrace]:
        """Trace prepared clips in one batch. Raises the errors of `trace_clips`."""
        features: list[dict[str, Frames]] = [{} for _ in stages]
        normalised: list[dict[str, Frames]] = [{} for _ in stages]
        for source in self.inputs:
            for clip, (stored, seen) in enumerate(source.compute([stage.prepared for stage in stages])):
                features[clip] |= stored
                normalised[clip] |= seen
        outputs = self.outputs(self.forward(normalised))
        for clip, (stage, output) in enumerate(zip(stages, outputs, strict=True)):
            yield ClipTrace(
                stages=stage,
                features=chosen(features[clip], self.features),
                normalised=chosen(normalised[clip], self.features),
                frame_rate=self.frame_rate,
                output=replace(output, start=stage.start),
            )

    def outputs(self, output: ModelOutput) -> Iterator[ClipOutput]:
        """One output for each clip of a batch."""
        probabilities = output.logits.cpu().double().softmax(dim=-1).numpy()
        embedding = output.embedding.cpu().numpy()
        gates = np.empty((len(probabilities), 0)) if output.gate is None else output.gate.cpu().double().numpy()
        attention = {name: weights.cpu().numpy() for name, weights in output.attention.items()}
        for clip in range(len(probabilities)):
            yield ClipOutput(
                probabilities=probabilities[clip],
                embedding=embedding[clip],
                # padding has the weight 0 and is at the end
                attention={name: np.trim_zeros(weights[clip], "b") for name, weights in attention.items()},
                attention_rate=output.attention_rate,
                gates=dict(zip(self.features, gates[clip].tolist(), strict=False)),
            )

    def forward(self, clips: Sequence[Mapping[str, Frames]]) -> ModelOutput:
        """The output of the network for normalised features."""
        features, lengths = {}, {}
        for name in self.features:
            frames = [clip[name] for clip in clips]
            padded, real = stack(frames, padded_length(np.array([len(rows) for rows in frames])))
            features[name] = torch.from_numpy(padded).transpose(1, 2).to(self.device)
            lengths[name] = torch.from_numpy(real).to(self.device)
        with torch.inference_mode():
            output: ModelOutput = self.model(features, lengths)
        return output


def refuse_broken(path: Path, model: nn.Module) -> None:
    """
    Raises:
        ArtefactError: a weight is not finite, so no probability would be.
    """
    for name, weights in model.state_dict().items():
        if not torch.isfinite(weights).all():
            raise ArtefactError(f"{path} is corrupted: {name} has values that are not finite")


def chosen(features: Mapping[str, Frames], names: Sequence[str]) -> dict[str, Frames]:
    return {name: features[name] for name in names}
