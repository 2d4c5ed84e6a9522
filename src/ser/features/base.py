"""What every feature extractor offers: waveforms in, frames out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from ser.errors import DataError

Frames = npt.NDArray[np.float32]
StoredRows = npt.NDArray[np.floating]
"""(frames, columns), in the precision that a store keeps: fp32 or fp16."""


class ClipError(DataError):
    """A clip whose features cannot be stored; `index` is its position among those that were given."""

    def __init__(self, detail: str, index: int = 0) -> None:
        super().__init__(detail)
        self.index = index


class FeatureExtractor(Protocol):
    """Waveforms at one sample rate -> frames at one frame rate, with the columns of one or several features side by side."""

    @property
    def name(self) -> str:
        """Of the family: the first part of its store's folder."""

    @property
    def config(self) -> BaseModel:
        """The settings that its numbers depend on."""

    @property
    def dims(self) -> Mapping[str, int]:
        """Columns of each feature, in their order."""

    @property
    def frame_rate(self) -> float:
        """Frames a second, in hertz."""

    def extract(self, waveforms: Sequence[npt.NDArray[np.float32]]) -> list[Frames]:
        """A group of clips.

        Shape:
            each (samples,) -> (frames, sum of dims), float32; the same whatever group a clip stands in.

        Raises:
            ClipError: the features of one cannot be stored.
        """


@dataclass(frozen=True, slots=True)
class FeatureShape:
    """One feature, as the store holds it."""

    rows: int
    """Numbers in each frame."""
    frame_rate: float
    """Hz"""
    layers: int = 1
    """Equal parts of the rows, one behind the other: the hidden states of a backbone."""
