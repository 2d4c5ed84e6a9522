"""The contract of a trained model, and what is predicted for a recording with one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ser.config import AudioConfig
from ser.evaluation.calibration import Calibration
from ser.inference.attention import Attention
from ser.inference.clip_output import Clip, ClipOutput

Floats = NDArray[np.float64]
Span = tuple[int, int]
"""First sample, and the first behind the last."""


class Model(Protocol):
    """A trained model, from whatever file."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def audio(self) -> AudioConfig: ...

    @property
    def calibration(self) -> Calibration:
        """Its threshold is that of the calibrated confidence, below which the answer is `unknown`."""

    def infer_clips(self, clips: Sequence[Clip]) -> Sequence[ClipOutput]:
        """Outputs in the order of the clips, with calibrated probabilities; that of one does not depend on the others."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of time with one answer."""

    start: float
    end: float
    """Seconds from the start of the recording."""
    emotion: str
    """One of the model's classes, or `unknown`."""
    confidence: float
    """The highest of the probabilities."""
    probabilities: Mapping[str, float]
    """{class: calibrated probability}"""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one recording."""

    emotion: str
    """One of the model's classes; `unknown` if the confidence is below the model's threshold."""
    confidence: float
    """The highest of the probabilities."""
    probabilities: Mapping[str, float]
    """{class: calibrated probability}. Of a long recording their mean over the timeline, each cell weighted by the speech in it."""
    seconds: float
    speech_seconds: float
    sample_rate: int
    """Hz, of the recording."""
    channels: int
    container: str | None
    """wav, aiff, flac, ogg, opus or mp3; None for samples that come from no file."""
    warnings: tuple[str, ...]
    """Codes of `ser.reasons`."""
    voice: str
    """Which detector told speech from silence: silero, or energy."""
    timeline: tuple[Passage, ...]
    """Cells of one hop each, without those that hold no speech. One cell if the recording was heard whole; none if nobody speaks in it."""
    segments: tuple[Passage, ...]
    """Neighbouring cells with the same answer as one, with the mean of their probabilities."""
    attention: Mapping[str, Attention]
    """Where the model listened: a curve for each attention that it has; empty for a model without."""
