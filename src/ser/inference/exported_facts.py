"""The metadata of an exported model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NotRequired, Self, TypedDict

from ser.config import AudioConfig
from ser.errors import ArtefactError
from ser.evaluation.calibration import Calibration
from ser.inference.seal import UNSEALED

FORMAT = 1
"""Version of the metadata, inputs and outputs."""


class BackboneFacts(TypedDict):
    """The frozen speech backbone of a model: its identity (`kind`, and hub model and revision, or checksums) and its frames."""

    where: Literal["inside", "absent"]
    """Whether the file does not contain the backbone and takes its frames as an input."""
    kind: str
    model_id: NotRequired[str]
    revision: NotRequired[str]
    sha256: NotRequired[dict[str, str]]
    """{file: checksum}"""
    layers: list[int]
    """The hidden states that are concatenated in a frame."""
    sample_rate: int
    """Hz"""
    frame_rate: float
    """Hz"""
    time_pool: int
    """The number of the backbone's frames that are averaged into one."""
    trained_in: str
    """Precision of the frames during training."""
    licence: str | None
    """Licence of the backbone; None if its files name none."""


@dataclass(frozen=True)
class ExportedFacts:
    """The metadata of an exported model, one entry for each field; values that are not text are written as JSON."""

    format: int
    classes: tuple[str, ...]
    """The emotions that the model distinguishes, in the order of the probabilities."""
    sample_rate: int
    """Sample rate of the graph's input, in hertz."""
    audio: AudioConfig
    """The preparation of a clip for the model."""
    family: str
    features: tuple[str, ...]
    """Names of the network's input features, in the order of its branches."""
    precision: str
    """Precision of the weights: fp32, or int8 if the large ones were quantised."""
    calibration: Calibration
    """The temperature is already applied in the graph; the threshold has to be applied by the caller."""
    attention_rate: dict[str, float]
    """{name: steps a second, in hertz}"""
    corpora: tuple[str, ...]
    """The corpora that the model was trained on."""
    licence: str
    """The terms of the corpora's licences for a user of the model, in one sentence."""
    certificate: str
    """Digest of the split that the model was trained on."""
    weights: str
    """Digest of the checkpoint's weights."""
    version: str
    """Version of the program that wrote the file."""
    backbone: BackboneFacts | None = None
    """None for a model without a speech backbone."""

    def metadata(self) -> dict[str, str]:
        values = {**vars(self), "audio": self.audio.model_dump(mode="json"), "calibration": self.calibration.model_dump(mode="json")}
        texts = {name: value if isinstance(value, str) else json.dumps(value, allow_nan=False) for name, value in values.items()}
        return {**texts, "seal": UNSEALED.decode()}

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> Self:
        """
        Raises:
            ArtefactError: a newer version wrote the file.
            KeyError, TypeError, ValueError: a field is missing or cannot be read.
        """
        if int(metadata["format"]) > FORMAT:
            raise ArtefactError(f"the model has format {metadata['format']}, this version reads formats up to {FORMAT}: update ser")
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
