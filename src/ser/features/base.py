"""Interface of feature extractors, which convert waveforms to frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from ser.errors import DataError

Frames = npt.NDArray[np.float32]
StoredRows = npt.NDArray[np.floating]
"""(frames, columns) in the precision of a store: float32 or float16."""


class ClipError(DataError):
    """The features of a clip cannot be stored; `index` is its position among the clips of the call."""

    def __init__(self, detail: str, index: int = 0) -> None:
        super().__init__(detail)
        self.index = index


class FeatureExtractor(Protocol):
    """Converts waveforms at one sample rate to frames at one frame rate, with the columns of one or more features side by side."""

    @property
    def name(self) -> str:
        """Name of the family, the first part of its store's folder."""

    @property
    def config(self) -> BaseModel:
        """The settings that the features depend on."""

    @property
    def dims(self) -> Mapping[str, int]:
        """{feature: number of columns}, in order."""

    @property
    def frame_rate(self) -> float:
        """Frames a second, in hertz."""

    def extract(self, waveforms: Sequence[npt.NDArray[np.float32]]) -> list[Frames]:
        """Compute the features of a group of clips.

        Shape:
            each (samples,) -> (frames, sum of dims), float32; the result for a clip does not depend on the rest of the group.

        Raises:
            ClipError: the features of a clip cannot be stored.
        """


@dataclass(frozen=True, slots=True)
class FeatureShape:
    """Shape of one feature in the store."""

    rows: int
    """Number of values in each frame."""
    frame_rate: float
    """Frame rate in Hz."""
    layers: int = 1
    """Number of equal consecutive parts of the rows: the hidden states of a backbone."""
