"""Hidden states of a frozen speech backbone, frame by frame. This is the only module that imports transformers.

A clip is not padded and does not share a batch with clips of other lengths, because group norm and convolutions would process the padding.
Its frames therefore depend only on the clip. Whisper also runs on the actual length, which is several times faster than on the 30 s that
the library pads to. A change here that changes the results must raise `CODE_VERSION` in `backbone_files`.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from ser.config import SslConfig
from ser.errors import DataError
from ser.families import SSL
from ser.features.backbone_files import fetch_weights, find_backbone, hidden_states, refuse_rate
from ser.features.base import ClipError, Frames
from ser.system.device import choose_device, repeat_exactly, use_bf16
from ser.system.memory import memory_errors

VARIANCE_FLOOR = 1e-7
"""Added to the variance of a waveform before the square root, as in transformers' Wav2Vec2FeatureExtractor."""
ONLY_FOR_TRAINING = {"masked_spec_embed"}
"""Weights that may be missing in a checkpoint."""
MODELS = {"wavlm": "WavLMModel", "hubert": "HubertModel", "wav2vec2": "Wav2Vec2Model", "data2vec-audio": "Data2VecAudioModel"}
"""{kind: class of transformers}"""

Pretrained: TypeAlias = Any
"""A class or an object of transformers; the five kinds of models have no common type there."""
Waveform = npt.NDArray[np.float32]
Precision = Literal["fp32", "bf16"]


def resolved_precision(config: SslConfig) -> Precision:
    """Resolve `ssl.precision` on this machine.

    Raises:
        ConfigError: the configured device is not available.
    """
    return "bf16" if use_bf16(config, choose_device(config)) else "fp32"


class BackboneExtractor:
    """Extracts the configured hidden states, concatenated: all columns of the first, then of the next.

    A clip longer than the maximum input of the backbone (Whisper: 30 s) is divided into stretches, whose frames are concatenated. The
    weights are downloaded if necessary and loaded once in a process; forked processes share them.

    Raises:
        ConfigError: the audio has another sample rate than the backbone; or as of `find_backbone` and `hidden_states`.
        DataError: the weights are corrupted; or as of `find_backbone` and `fetch_weights`.
    """

    name = "ssl"

    def __init__(self, config: SslConfig, sample_rate: int) -> None:
        self.config, self.backbone = config, find_backbone(config)
        refuse_rate(config, self.backbone, sample_rate)
        self.states = hidden_states(config, self.backbone)
        self.dims: dict[str, int] = {SSL: len(self.states) * self.backbone.dim}
        self.frame_rate = self.backbone.frame_rate / config.time_pool
        self.precision, self.device = resolved_precision(config), choose_device(config)
        self.in_batches = self.device.type != "cpu"
        fetch_weights(self.backbone)
        identity = json.dumps(self.backbone.identity, sort_keys=True)
        self.network = load_network(self.backbone.kind, self.backbone.location, identity, self.states[-1], self.precision, self.device)

    def extract(self, waveforms: Sequence[Waveform]) -> list[Frames]:
        """Compute the features of several clips.

        Shape:
            each (samples,) -> (frames, states * dim), float32

        Raises:
            ClipError: a feature of a clip is not finite or too large for `ssl.dtype`.
            DataError: out of memory.
        """
        stretches = [self.stretches(waveform) for waveform in waveforms]
        pieces = [piece for clip in stretches for piece in clip]
        computed: list[Frames] = [np.empty(0, np.float32)] * len(pieces)
        for batch in self.batches([len(piece) for piece in pieces]):
            for index, frames in zip(batch, self.frames_of([pieces[index] for index in batch]), strict=True):
                computed[index] = frames
        in_order = iter(computed)
        return [self.joined(index, [next(in_order) for _ in clip]) for index, clip in enumerate(stretches)]

    def stretches(self, waveform: Waveform) -> list[Waveform]:
        """Divide a clip into stretches of at most the backbone's maximum input.

        The last samples that do not fill a frame, at most 20 ms, are dropped: more clips then have equal lengths and can share a batch. A
        clip too short for one frame is padded with zeros.
        """
        backbone = self.backbone
        if len(waveform) < backbone.min_samples:
            return [np.pad(waveform, (0, backbone.min_samples - len(waveform)))]
        whole = waveform[: len(waveform) - (len(waveform) - backbone.min_samples) % backbone.frame_samples]
        step = backbone.max_samples or len(whole)
        return [whole[start : start + step] for start in range(0, len(whole), step)]

    def batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Yield indices of clips of equal length, with at most `ssl.batch_seconds` of audio on a GPU. On a CPU a batch has one clip."""
        samples = self.config.batch_seconds * self.backbone.sample_rate
        for length, members in groupby(sorted(range(len(lengths)), key=lengths.__getitem__), key=lengths.__getitem__):
            same, size = list(members), max(1, int(samples // length)) if self.in_batches else 1
            yield from (same[start : start + size] for start in range(0, len(same), size))

    def frames_of(self, clips: Sequence[Waveform]) -> list[Frames]:
        """Compute the frames of clips of equal length.

        Shape:
            each (samples,) -> (frames, states * dim)
        """
        inputs = torch.from_numpy(np.stack([self.network.prepare(clip) for clip in clips]))
        bf16 = torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16", cache_enabled=False)
        with memory_errors("lower audio.duration, or ssl.batch_seconds on a GPU", detail=True), torch.inference_mode(), bf16:
            states = self.network.states(inputs.to(self.device), self.states)
            frames = torch.cat([state.float() for state in states], dim=2).cpu().numpy()
        return list(frames)

    def joined(self, index: int, pieces: Sequence[Frames]) -> Frames:
        """Concatenate the stretches of clip number `index` at the stored frame rate. Raises the errors of `refuse_unstorable`."""
        frames = np.concatenate(pieces)
        self.refuse_unstorable(index, float(max(frames.max(), -frames.min())))
        return mean_of_neighbours(frames, self.config.time_pool)

    def refuse_unstorable(self, index: int, largest: float) -> None:
        """Check the largest magnitude in clip number `index`.

        Raises:
            ClipError: it is not finite, or too large for `ssl.dtype`.
        """
        name, dtype = self.config.model_id, self.config.dtype
        if not np.isfinite(largest):
            advice = "set ssl.precision=fp32" if self.precision == "bf16" else "its weights may be corrupted"
            raise ClipError(f"{name} returned a number that is not finite, in {self.precision}: {advice}", index)
        if largest > float(np.finfo(dtype).max):
            raise ClipError(f"{name} returned the number {largest:g}, which {dtype} cannot hold: set ssl.dtype=float32", index)


def mean_of_neighbours(frames: Frames, group: int) -> Frames:
    """Average groups of neighbouring frames.

    Shape:
        (frames, columns) -> (frames / group, rounded up, columns); the last group may have fewer frames

    >>> mean_of_neighbours(np.array([[1], [3], [5]], np.float32), 2).tolist()
    [[2.0], [5.0]]
    """
    if group == 1:
        return frames
    whole = len(frames) // group * group
    means: Frames = frames[:whole].reshape(-1, group, frames.shape[1]).mean(axis=1)
    return np.concatenate([means, frames[whole:].mean(axis=0, keepdims=True)]) if whole < len(frames) else means


class Network(Protocol):
    """A loaded backbone."""

    def prepare(self, clip: Waveform) -> npt.NDArray[np.float32]:
        """Convert a waveform to the input of the backbone."""

    def states(self, inputs: Tensor, wanted: Sequence[int]) -> list[Tensor]:
        """Compute hidden states.

        Shape:
            prepared clips of equal length, stacked -> the wanted hidden states, each (clips, frames, dim)
        """


class WaveformNetwork:
    """wav2vec 2.0 and related models with waveforms as input."""

    def __init__(self, model: Pretrained, normalise: bool) -> None:
        self.model, self.normalise = model, normalise

    def prepare(self, clip: Waveform) -> npt.NDArray[np.float32]:
        """Return the waveform, normalised to mean 0 and variance 1 if the model was trained that way."""
        if not self.normalise:
            return clip
        normalised: Waveform = (clip - clip.mean()) / np.sqrt(clip.var() + VARIANCE_FLOOR)
        return normalised

    def states(self, inputs: Tensor, wanted: Sequence[int]) -> list[Tensor]:
        found = self.model(inputs, output_hidden_states=True).hidden_states
        return [found[index] for index in wanted]


class WhisperNetwork:
    """Whisper's encoder. Equals the library's forward pass, but without the fixed length of 30 s.

    Args:
        model: WhisperEncoder, possibly without its last layers.
        features: WhisperFeatureExtractor.
        num_layers: number of layers of the complete encoder; only its last hidden state is normalised.
    """

    def __init__(self, model: Pretrained, features: Pretrained, num_layers: int) -> None:
        self.model, self.features, self.num_layers = model, features, num_layers

    def prepare(self, clip: Waveform) -> npt.NDArray[np.float32]:
        """Compute the log-mel spectrogram, floored 80 dB below the clip's maximum.

        Shape:
            (samples,) -> (mels, 2 * frames)
        """
        rate = self.features.sampling_rate
        mel = self.features(clip, sampling_rate=rate, padding=False, truncation=False, return_tensors="np")
        return np.asarray(mel.input_features[0], np.float32)

    def states(self, inputs: Tensor, wanted: Sequence[int]) -> list[Tensor]:
        model = self.model
        hidden = functional.gelu(model.conv2(functional.gelu(model.conv1(inputs)))).transpose(1, 2)
        found = [hidden + model.embed_positions.weight[: hidden.shape[1]]]
        for layer in model.layers:
            found.append(layer(found[-1], None))
        if len(model.layers) == self.num_layers:
            found[-1] = model.layer_norm(found[-1])
        return [found[index] for index in wanted]


@lru_cache(maxsize=1)  # called again for every shard
def load_network(kind: str, location: str, identity: str, last: int, precision: Precision, device: torch.device) -> Network:  # noqa: ARG001
    """Load a frozen network without the layers after hidden state `last`, with its matrices in bf16 if that is the precision.

    Args:
        identity: what the files contain, so that other weights at the same place are loaded anew.

    Raises:
        DataError: the weights are corrupted, or of another model.
    """
    repeat_exactly()
    try:
        with quiet(), one_thread():
            network = load_whisper(location, last) if kind == "whisper" else load_waveform_network(kind, location, last)
            model: nn.Module = network.model.eval().requires_grad_(False)
            fold_weight_norm(model)
            if precision == "bf16":
                round_matrices(model)
            model.to(device)
    except DataError:
        raise
    except Exception as error:  # torch, safetensors, pickle and transformers raise different classes
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{location}: the weights cannot be loaded ({reason})") from error
    return network


def load_waveform_network(kind: str, location: str, last: int) -> WaveformNetwork:
    import transformers

    model_class = getattr(transformers, MODELS[kind])
    config = model_class.config_class.from_pretrained(location, add_adapter=False, num_hidden_layers=max(last, 1))
    features = transformers.Wav2Vec2FeatureExtractor.from_pretrained(location)
    return WaveformNetwork(load_model(model_class, location, config), bool(features.do_normalize))


def load_whisper(location: str, last: int) -> WhisperNetwork:
    """Load Whisper's encoder from a folder with the encoder or the complete model."""
    from transformers import WhisperConfig, WhisperFeatureExtractor
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    config = WhisperConfig.from_pretrained(location)
    num_layers, config.encoder_layers = config.encoder_layers, last
    model = load_model(WhisperEncoder, location, config, key_mapping={r"^(model\.)?encoder\.": ""})
    return WhisperNetwork(model, WhisperFeatureExtractor.from_pretrained(location, dither=0.0), num_layers)


def load_model(model_class: Pretrained, location: str, config: Pretrained, **options: object) -> Pretrained:
    """Load a model of transformers.

    Raises:
        DataError: weights are missing, which the library would initialise at random.
    """
    model, info = model_class.from_pretrained(
        location, config=config, dtype=torch.float32, local_files_only=True, output_loading_info=True, **options
    )
    missing = sorted(set(info["missing_keys"]) - ONLY_FOR_TRAINING)
    if missing:
        raise DataError(f"{location}: the weights lack {missing[0]} and {len(missing) - 1} more: they belong to another model")
    return model


def fold_weight_norm(model: nn.Module) -> None:
    """Replace the parametrised weight of the positional convolution by its value, which the library would compute again for each clip."""
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")


def round_matrices(model: nn.Module) -> None:
    """Convert linear layers and convolutions to bf16. Norms and the residual stream stay in fp32, which takes no extra time and is
    necessary for Whisper's last hidden states.
    """
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv1d)):
            module.to(torch.bfloat16)


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress the progress bars and warnings of transformers during the block."""
    from transformers import utils

    logging: Pretrained = utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch to one thread during the block. A thread pool does not survive a fork: forked processes could wait for it forever."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
