"""An exported model: one .onnx file, heard with numpy, soundfile, soxr and onnxruntime alone.

The file takes prepared waveforms and gives calibrated probabilities; what else there is to know stands in its metadata. Its sha256 stands
there too, over the file with 64 zeros in its place: a flipped bit is found before the model is used.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from ser.audio.waveform import Waveform, prepare
from ser.config import AudioConfig
from ser.errors import ArtefactError, AudioError, ConfigError, DataError
from ser.evaluation.calibration import Calibration
from ser.inference.clip_output import Clip, ClipOutput
from ser.system.memory import memory_errors
from ser.system.optional import import_optional, install_hint
from ser.wording import described

Frames = NDArray[np.float32]

FORMAT = 1
"""Of metadata, inputs and outputs."""
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
UNSEALED = b"sha256:" + b"0" * 64
SEAL = re.compile(rb"sha256:([0-9a-f]{64})")
WEIGHTS = re.compile(rb"\n\x07weights\x12@([0-9a-f]{64})")
"""As an ONNX file has the entry of that name among its metadata."""
END = 1 << 20
"""Bytes at the end of a file, where its metadata stand: behind all that was learned."""
PIECE = 1 << 20
"""Bytes that are read at once."""
BATCH_SECONDS = 10.0
"""Of audio in a batch, padding included: larger ones are no faster on a processor, and take memory."""
SHOWN = 200
"""Characters of an error in a message."""


@dataclass(frozen=True)
class Facts:
    """The metadata of an exported model, each field under its own name; what is no text is JSON."""

    format: int
    classes: tuple[str, ...]
    """What it tells apart, in the order of the probabilities."""
    sample_rate: int
    """Hz, of the waveforms that the graph takes."""
    audio: AudioConfig
    """How a clip is prepared for it."""
    family: str
    features: tuple[str, ...]
    """Names of what the network sees, in the order of its branches."""
    precision: str
    """Of the weights: fp32, or int8 of those that were rounded."""
    calibration: Calibration
    """The temperature is already in the graph; the threshold is for whoever answers."""
    attention_rate: dict[str, float]
    """{name: Hz}"""
    corpora: tuple[str, ...]
    """That it was trained on."""
    licence: str
    """What they mean for whoever uses the model, in one sentence."""
    certificate: str
    """Digest of the split that it was trained on."""
    weights: str
    """Digest of the checkpoint's weights."""
    version: str
    """Of the program that wrote the file."""
    backbone: Mapping[str, Any] | None = None
    """The frozen speech backbone that it hears with: `where` (`inside` the file, or `absent`: it takes that backbone's frames), what names
    it for good (`kind`, and hub model and revision or checksums), `layers` (its hidden states, side by side in a frame), `sample_rate` and
    `frame_rate` in Hz, `time_pool` (its frames averaged into one), `trained_in` (precision), `licence` if it tells one."""

    def metadata(self) -> dict[str, str]:
        values = {**vars(self), "audio": self.audio.model_dump(mode="json"), "calibration": self.calibration.model_dump(mode="json")}
        texts = {name: value if isinstance(value, str) else json.dumps(value, allow_nan=False) for name, value in values.items()}
        return {**texts, "seal": UNSEALED.decode()}

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> Self:
        """
        Raises:
            ArtefactError: a newer version wrote it.
            KeyError, TypeError, ValueError: something is missing, or not what this version knows.
        """
        if int(metadata["format"]) > FORMAT:
            raise ArtefactError(f"the model has format {metadata['format']}, this version reads up to {FORMAT}: update ser")
        return cls(
            format=int(metadata["format"]),
            classes=tuple(json.loads(metadata["classes"])),
            sample_rate=int(metadata["sample_rate"]),
            audio=AudioConfig.model_validate_json(metadata["audio"]),
            family=metadata["family"],
            features=tuple(json.loads(metadata["features"])),
            precision=metadata["precision"],
            calibration=Calibration.model_validate_json(metadata["calibration"]),
            attention_rate=dict(json.loads(metadata["attention_rate"])),
            corpora=tuple(json.loads(metadata["corpora"])),
            licence=metadata["licence"],
            certificate=metadata["certificate"],
            weights=metadata["weights"],
            version=metadata["version"],
            backbone=json.loads(metadata.get("backbone", "null")),
        )


class Exported:
    """A model in one file.

    Attributes:
        facts: everything that the file says of itself; the most used of it has names here too.
    """

    def __init__(self, facts: Facts, session: Any) -> None:
        self.facts, self.session = facts, session
        self.classes, self.audio, self.calibration = facts.classes, facts.audio, facts.calibration
        self.corpora, self.licence, self.certificate = facts.corpora, facts.licence, facts.certificate
        self.inputs = {of.name for of in session.get_inputs()}
        self.outputs = [of.name for of in session.get_outputs()]

    @property
    def missing(self) -> str | None:
        """What is not in the file but needed to hear a recording, in words."""
        backbone = self.facts.backbone
        if backbone is None or backbone["where"] == "inside":
            return None
        return f"the backbone is not inside ({described(backbone)}): export with it, or give its frames to Exported.run"

    @classmethod
    def load(cls, path: Path, threads: int = 1) -> Self:
        """
        Args:
            threads: for one call. Calls from several threads at once run side by side, so one serves them best.

        Raises:
            ArtefactError: not there, damaged, no exported model, or one of a newer version.
            ConfigError: onnxruntime is not installed.
            DataError: the memory does not suffice.
        """
        try:
            with path.open("rb") as file:
                check_seal(path, file)
        except FileNotFoundError:
            raise ArtefactError(f"{path} does not exist") from None
        # by its path, so that there is no second copy of it in memory; who replaces it now puts a whole one in its place
        return cls.of_session(path, open_session(path, loadable(path), threads))

    @classmethod
    def parse(cls, path: Path, content: bytes, threads: int = 1) -> Self:
        """What is to become the file `path`; errors as of `load`."""
        check_seal(path, BytesIO(content))
        return cls.of_session(path, open_session(path, content, threads))

    @classmethod
    def of_session(cls, path: Path, session: Any) -> Self:
        """Errors as of `load`."""
        try:
            facts = Facts.read(session.get_modelmeta().custom_metadata_map)
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
            DataError: the memory does not suffice.
        """
        if self.missing:
            raise ConfigError(self.missing)
        stages = [prepare(np.asarray(samples, np.float32), rate, self.audio) for samples, rate in clips]
        outputs: dict[int, ClipOutput] = {}
        for batch in batches([len(stage.prepared) for stage in stages], round(BATCH_SECONDS * self.facts.sample_rate)):
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
            values = dict(zip(INPUTS, stack(waveforms), strict=True))
            if self.missing and frames is not None:
                values |= zip(FRAMES, stack(frames), strict=True)
            found = self.session.run(self.outputs, {name: value for name, value in values.items() if name in self.inputs})
        for row in zip(*found, strict=True):
            yield self.output_of(dict(zip(self.outputs, row, strict=True)))

    def output_of(self, row: Mapping[str, Any]) -> ClipOutput:
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


def open_session(path: Path, model: str | bytes, threads: int) -> Any:
    """Errors as of `Exported.load`."""
    onnxruntime = import_optional("onnxruntime", f"{path} needs onnxruntime: {install_hint('export')}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what goes wrong is raised, and said once
    options.add_session_config_entry("session.disable_quant_qdq", "1")  # weights of 8 bits become fp32 here, not in every call
    try:
        with memory_errors(f"{path} cannot be loaded"):
            return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except DataError:
        raise
    except Exception as error:  # onnxruntime has a class of its own for each status, below Exception alone
        what = " ".join(str(error).split())[:SHOWN]
        raise ArtefactError(f"{path} cannot be loaded by onnxruntime {onnxruntime.__version__} ({what})") from None


def batches(lengths: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Positions, shortest first, in groups that padded to their longest are no longer than `limit` together, or are one.

    >>> list(batches([5, 1, 2, 9, 2], limit=6))
    [[1, 2, 4], [0], [3]]
    """
    group: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        if group and (len(group) + 1) * lengths[index] > limit:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def stack(rows: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """
    Shape:
        B arrays, each (length, ...) -> (B, longest, ...), zero behind the end, and the lengths (B,)
    """
    lengths = np.array([len(row) for row in rows], np.int64)
    block = np.zeros((len(rows), lengths.max(), *rows[0].shape[1:]), np.float32)
    for place, row in zip(block, rows, strict=True):
        place[: len(row)] = row
    return block, lengths


def seal(content: bytes) -> bytes:
    """The bytes of a model with their own digest in the place that `Facts.metadata` left for it."""
    return content.replace(UNSEALED, b"sha256:" + hashlib.sha256(content).hexdigest().encode(), 1)


def check_seal(path: Path, file: IO[bytes]) -> None:
    """
    Args:
        file: `path`, open; it is read in pieces, for a backbone has hundreds of megabytes.

    Raises:
        ArtefactError: the file is not as it was written, or was not written by this program.
    """
    start, content = end_of(file)
    match = SEAL.search(content)
    if match is None:
        raise ArtefactError(f"{path} is no model exported by this program, or only a part of one")
    digest, left = hashlib.sha256(), start
    file.seek(0)
    while left and (piece := file.read(min(left, PIECE))):
        digest.update(piece)
        left -= len(piece)
    digest.update(content[: match.start()] + UNSEALED + content[match.end() :])
    if digest.hexdigest().encode() != match[1]:
        raise ArtefactError(f"{path} is damaged: its digest does not fit its content")


def end_of(file: IO[bytes]) -> tuple[int, bytes]:
    """Where the last `END` bytes begin, and they themselves."""
    start = max(0, file.seek(0, os.SEEK_END) - END)
    file.seek(start)
    return start, file.read()


def weights_of(path: Path) -> str | None:
    """Digest of the weights that an exported file says it holds, found in a millisecond and not checked; None of any other file."""
    try:
        with path.open("rb") as file:
            match = WEIGHTS.search(end_of(file)[1])
    except OSError:
        return None
    return match and match[1].decode()
