"""What an exported model says of itself: the metadata of its file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NotRequired, Self, TypedDict

from ser.config import AudioConfig
from ser.errors import ArtefactError
from ser.evaluation.calibration import Calibration
from ser.inference.seal import UNSEALED

FORMAT = 1
"""Of metadata, inputs and outputs."""


class BackboneFacts(TypedDict):
    """The frozen speech backbone of a model: what names it for good (`kind`, and hub model and revision or checksums), and its frames."""

    where: Literal["inside", "absent"]
    """Absent from the file, which takes the frames of that backbone instead."""
    kind: str
    model_id: NotRequired[str]
    revision: NotRequired[str]
    sha256: NotRequired[dict[str, str]]
    """{file: digest}"""
    layers: list[int]
    """Its hidden states, side by side in a frame."""
    sample_rate: int
    """Hz"""
    frame_rate: float
    """Hz"""
    time_pool: int
    """Frames of its own that are averaged into one."""
    trained_in: str
    """Precision of the frames of the training."""
    licence: str | None
    """None where its files name none."""


@dataclass(frozen=True)
class ExportedFacts:
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
    backbone: BackboneFacts | None = None
    """None: the model has no speech backbone."""

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
