"""An exported model: one .onnx file, run with numpy, soundfile, soxr and onnxruntime alone.

Its inputs are prepared waveforms, its outputs calibrated probabilities. Its metadata describe the model (`ser.inference.exported_facts`)
and hold a checksum of the whole file (`ser.inference.seal`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ser.audio.waveform import Waveform, prepare
from ser.errors import ArtefactError, AudioError, ConfigError
from ser.features.batching import batches_by_length, stack
from ser.inference.clip_output import Clip, ClipOutput
from ser.inference.exported_facts import ExportedFacts
from ser.inference.seal import check_seal
from ser.system.memory import memory_errors
from ser.system.onnx_session import Session, SessionError, open_session
from ser.wording import describe_backbone

Frames = NDArray[np.float32]

INPUTS = ("waveforms", "lengths")
"""(B, samples) fp32 at the model's sample rate, peak 1; and the number of valid samples in each row, (B,) int64."""
OUTPUTS = ("probabilities", "embedding")
"""(B, C) calibrated probabilities and (B, D) embeddings; (B, T') for each attention."""
ATTENTION = "attention_"
"""Prefix of the outputs' names."""
GATES = "gates"
"""(B, E) weights of the experts, if the model has a gate."""
FRAMES = ("ssl", "ssl_lengths")
"""Inputs that replace a backbone which is not in the file: (B, T, states x dim) fp32, and the number of valid frames in each row, (B,)
int64."""
BATCH_SECONDS = 10.0
"""Seconds of audio in a batch, padding included: larger batches take more memory and are not faster on a CPU."""
SHOWN = 200
"""The longest part of an error that a message quotes, in characters."""


class Exported:
    """A model in one file.

    Attributes:
        facts: everything in the file's metadata; the most used fields are attributes here as well.
    """

    def __init__(self, facts: ExportedFacts, session: Session) -> None:
        self.facts, self.session = facts, session
        self.classes, self.audio, self.calibration = facts.classes, facts.audio, facts.calibration
        self.corpora, self.licence, self.certificate = facts.corpora, facts.licence, facts.certificate
        self.inputs = {port.name for port in session.get_inputs()}
        self.outputs = [port.name for port in session.get_outputs()]

    @property
    def missing(self) -> str | None:
        """A description of what is not in the file but needed for a prediction; None if it is complete."""
        backbone = self.facts.backbone
        if backbone is None or backbone["where"] == "inside":
            return None
        return f"the file does not contain its backbone ({describe_backbone(backbone)}): export with it, or pass its frames to Exported.run"

    @classmethod
    def load(cls, path: Path, threads: int = 1) -> Self:
        """
        Args:
            threads: used by one call. Calls from several threads run in parallel, so use 1 in a threaded program.

        Raises:
            ArtefactError: the file does not exist, is corrupted, is not an exported model, or was written by a newer version.
            ConfigError: onnxruntime is not installed.
            DataError: out of memory.
        """
        try:
            with path.open("rb") as file:
                check_seal(path, file)
        except FileNotFoundError:
            raise ArtefactError(f"{path} does not exist") from None
        # by its path, so that memory holds one copy; a program that replaces the file meanwhile does so atomically
        return cls.of_session(path, open_model(path, loadable(path), threads))

    @classmethod
    def parse(cls, path: Path, content: bytes, threads: int = 1) -> Self:
        """Build the model from bytes that will become the file `path`. Raises the errors of `load`."""
        check_seal(path, BytesIO(content))
        return cls.of_session(path, open_model(path, content, threads))

    @classmethod
    def of_session(cls, path: Path, session: Session) -> Self:
        """Raises the errors of `load`."""
        try:
            facts = ExportedFacts.read(session.get_modelmeta().custom_metadata_map)
        except (KeyError, TypeError, ValueError) as error:
            what = " ".join(f"{type(error).__name__}: {error}".split())[:SHOWN]
            raise ArtefactError(f"the metadata of {path} cannot be read by this version: export the model again ({what})") from None
        return cls(facts, session)

    def infer(self, samples: NDArray[np.float32], sample_rate: int) -> ClipOutput:
        """Infer one clip of at least one sample, all finite (`ser.audio.screening` checks this). Raises the errors of `infer_clips`.

        Shape:
            samples (samples,) or (samples, channels); full scale is 1
        """
        return self.infer_clips([(samples, sample_rate)])[0]

    def infer_clips(self, clips: Sequence[Clip]) -> list[ClipOutput]:
        """Infer clips; the outputs are in the order of the clips. Clips of similar length share a batch, and no output depends on the other
        clips.

        Raises:
            ConfigError: the file does not contain its backbone.
            AudioError: a probability is not finite.
            DataError: out of memory.
        """
        if self.missing:
            raise ConfigError(self.missing)
        stages = [prepare(np.asarray(samples, np.float32), rate, self.audio) for samples, rate in clips]
        outputs: dict[int, ClipOutput] = {}
        for batch in batches_by_length([len(stage.prepared) for stage in stages], round(BATCH_SECONDS * self.facts.sample_rate)):
            outputs |= zip(batch, self.run([stages[index].prepared for index in batch]), strict=True)
        if not all(np.isfinite(output.probabilities).all() for output in outputs.values()):
            raise AudioError("not-finite", "a value inside the model is too large for the precision of its features")
        return [replace(outputs[index], start=stage.start) for index, stage in enumerate(stages)]

    def run(self, waveforms: Sequence[Waveform], frames: Sequence[Frames] | None = None) -> Iterator[ClipOutput]:
        """Infer prepared waveforms in one batch. Raises the errors of `infer_clips`.

        Args:
            frames: the backbone's output for each waveform, (T, states x dim); for a file that does not contain its backbone.
        """
        if self.missing and frames is None:
            raise ConfigError(self.missing)
        with memory_errors("use shorter clips"):
            values: dict[str, NDArray[np.generic]] = dict(zip(INPUTS, stack(waveforms), strict=True))
            if self.missing and frames is not None:
                values |= zip(FRAMES, stack(frames), strict=True)
            found = self.session.run(self.outputs, {name: value for name, value in values.items() if name in self.inputs})
        for row in zip(*found, strict=True):
            yield self.output_of(dict(zip(self.outputs, row, strict=True)))

    def output_of(self, row: Mapping[str, Frames]) -> ClipOutput:
        """The outputs of one clip of a batch, {output: its row}."""
        probabilities, embedding = (row[name] for name in OUTPUTS)
        # padding has the weight 0 and is at the end
        attention = {name: np.trim_zeros(row[ATTENTION + name], "b") for name in self.facts.attention_rate}
        gates = dict(zip(self.facts.features, row[GATES].tolist(), strict=True)) if GATES in row else {}
        return ClipOutput(probabilities.astype(np.float64), embedding, attention, self.facts.attention_rate, gates)


def loadable(path: Path) -> str | bytes:
    """The path, or the content if the path is not UTF-8, which onnxruntime does not accept."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return path.read_bytes()
    return str(path)


def open_model(path: Path, model: str | bytes, threads: int) -> Session:
    """Raises the errors of `Exported.load`."""
    entries = {"session.disable_quant_qdq": "1"}  # weights of 8 bits become fp32 once, not in every call
    try:
        return open_session(model, name=str(path), threads=threads, entries=entries)
    except SessionError as error:
        raise ArtefactError(f"{path} cannot be loaded by onnxruntime {error.version} ({error.detail})") from None
