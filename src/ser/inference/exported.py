"""An exported model: one .onnx file, run with numpy, soundfile, soxr and onnxruntime alone.

The file takes prepared waveforms and gives calibrated probabilities; what else there is to know is in its metadata
(`ser.inference.exported_facts`), and a digest of the whole is too (`ser.inference.seal`).
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
"""(B, samples) fp32 at the model's rate with a peak of 1, and how many samples of each row are real, (B,) int64."""
OUTPUTS = ("probabilities", "embedding")
"""(B, C) calibrated, (B, D); and for each name of the attention, (B, T')."""
ATTENTION = "attention_"
"""Begins the name of an output."""
GATES = "gates"
"""(B, E) weights of the experts, of a model that has them."""
FRAMES = ("ssl", "ssl_lengths")
"""Instead of a backbone, where none is inside: (B, T, states x dim) fp32, and how many frames of each row are real, (B,) int64."""
BATCH_SECONDS = 10.0
"""Of audio in a batch, padding included: larger ones are no faster on a processor, and take memory."""
SHOWN = 200
"""Characters of an error in a message."""


class Exported:
    """A model in one file.

    Attributes:
        facts: everything that the file says of itself; the most used of it has names here too.
    """

    def __init__(self, facts: ExportedFacts, session: Session) -> None:
        self.facts, self.session = facts, session
        self.classes, self.audio, self.calibration = facts.classes, facts.audio, facts.calibration
        self.corpora, self.licence, self.certificate = facts.corpora, facts.licence, facts.certificate
        self.inputs = {port.name for port in session.get_inputs()}
        self.outputs = [port.name for port in session.get_outputs()]

    @property
    def missing(self) -> str | None:
        """What is not in the file but needed to hear a recording, in words."""
        backbone = self.facts.backbone
        if backbone is None or backbone["where"] == "inside":
            return None
        return f"the backbone is not inside ({describe_backbone(backbone)}): export with it, or give its frames to Exported.run"

    @classmethod
    def load(cls, path: Path, threads: int = 1) -> Self:
        """
        Args:
            threads: for one call. Calls from several threads at once run side by side, so one serves them best.

        Raises:
            ArtefactError: not there, damaged, no exported model, or one of a newer version.
            ConfigError: onnxruntime is not installed.
            DataError: out of memory.
        """
        try:
            with path.open("rb") as file:
                check_seal(path, file)
        except FileNotFoundError:
            raise ArtefactError(f"{path} does not exist") from None
        # by its path, so that there is no second copy of it in memory; who replaces it now puts a whole one in its place
        return cls.of_session(path, open_model(path, loadable(path), threads))

    @classmethod
    def parse(cls, path: Path, content: bytes, threads: int = 1) -> Self:
        """What is to become the file `path`; errors as of `load`."""
        check_seal(path, BytesIO(content))
        return cls.of_session(path, open_model(path, content, threads))

    @classmethod
    def of_session(cls, path: Path, session: Session) -> Self:
        """Errors as of `load`."""
        try:
            facts = ExportedFacts.read(session.get_modelmeta().custom_metadata_map)
        except (KeyError, TypeError, ValueError) as error:
            what = " ".join(f"{type(error).__name__}: {error}".split())[:SHOWN]
            raise ArtefactError(f"{path} does not describe its model as this version knows it: export it again ({what})") from None
        return cls(facts, session)

    def infer(self, samples: NDArray[np.float32], sample_rate: int) -> ClipOutput:
        """One clip: at least one sample, all finite (`ser.audio.screening` tells); errors as of `infer_clips`.

        Shape:
            samples (samples,) or (samples, channels); full scale is 1
        """
        return self.infer_clips([(samples, sample_rate)])[0]

    def infer_clips(self, clips: Sequence[Clip]) -> list[ClipOutput]:
        """Clips in the order given. Those of similar length share a batch; the output of one does not depend on the others.

        Raises:
            ConfigError: the file is without its backbone.
            AudioError: a probability is no number.
            DataError: out of memory.
        """
        if self.missing:
            raise ConfigError(self.missing)
        stages = [prepare(np.asarray(samples, np.float32), rate, self.audio) for samples, rate in clips]
        outputs: dict[int, ClipOutput] = {}
        for batch in batches_by_length([len(stage.prepared) for stage in stages], round(BATCH_SECONDS * self.facts.sample_rate)):
            outputs |= zip(batch, self.run([stages[index].prepared for index in batch]), strict=True)
        if not all(np.isfinite(output.probabilities).all() for output in outputs.values()):
            raise AudioError("not-finite", "the model's own numbers are too large for the precision of its features")
        return [replace(outputs[index], start=stage.start) for index, stage in enumerate(stages)]

    def run(self, waveforms: Sequence[Waveform], frames: Sequence[Frames] | None = None) -> Iterator[ClipOutput]:
        """Prepared waveforms, all in one batch; errors as of `infer_clips`.

        Args:
            frames: for a file without its backbone, what that says of each waveform, (T, states x dim).
        """
        if self.missing and frames is None:
            raise ConfigError(self.missing)
        with memory_errors("hear shorter clips"):
            values: dict[str, NDArray[np.generic]] = dict(zip(INPUTS, stack(waveforms), strict=True))
            if self.missing and frames is not None:
                values |= zip(FRAMES, stack(frames), strict=True)
            found = self.session.run(self.outputs, {name: value for name, value in values.items() if name in self.inputs})
        for row in zip(*found, strict=True):
            yield self.output_of(dict(zip(self.outputs, row, strict=True)))

    def output_of(self, row: Mapping[str, Frames]) -> ClipOutput:
        """One clip of a batch: {output: its row}."""
        probabilities, embedding = (row[name] for name in OUTPUTS)
        # padding has the weight 0, and stands at the end
        attention = {name: np.trim_zeros(row[ATTENTION + name], "b") for name in self.facts.attention_rate}
        gates = dict(zip(self.facts.features, row[GATES].tolist(), strict=True)) if GATES in row else {}
        return ClipOutput(probabilities.astype(np.float64), embedding, attention, self.facts.attention_rate, gates)


def loadable(path: Path) -> str | bytes:
    """The path, or for onnxruntime, which takes no name that is not UTF-8, the content."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return path.read_bytes()
    return str(path)


def open_model(path: Path, model: str | bytes, threads: int) -> Session:
    """Errors as of `Exported.load`."""
    entries = {"session.disable_quant_qdq": "1"}  # weights of 8 bits become fp32 here, not in every call
    try:
        return open_session(model, name=str(path), threads=threads, entries=entries)
    except SessionError as error:
        raise ArtefactError(f"{path} cannot be loaded by onnxruntime {error.version} ({error.detail})") from None
