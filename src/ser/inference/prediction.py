"""The protocol of a trained model, and its prediction for a recording."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ser.config import AudioConfig
from ser.evaluation.calibration import Calibration
from ser.inference.attention import Attention
from ser.inference.clip_output import Clip, ClipOutput
from ser.inference.pictures import Stretch, as_figure, as_html
from ser.wording import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DIGITS = 6
"""Decimal places of probabilities and seconds in records."""
ATTENTION_DIGITS = 3
"""Decimal places of attention weights in records, whose curves are long."""
Floats = NDArray[np.float64]
Embedding = NDArray[np.float32]
"""(D,) mean input of the classifier."""
Span = tuple[int, int]
"""First sample, and the first after the last."""


class Model(Protocol):
    """A trained model, from a checkpoint or an exported file."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def audio(self) -> AudioConfig: ...

    @property
    def calibration(self) -> Calibration:
        """Its threshold is a calibrated confidence; below it the answer is `unknown`."""

    def infer_clips(self, clips: Sequence[Clip]) -> Sequence[ClipOutput]:
        """The outputs, with calibrated probabilities, in the order of the clips. No output depends on the other clips."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a recording with one answer."""

    start: float
    end: float
    """Seconds from the start of the recording."""
    emotion: str
    """One of the model's classes, or `unknown`."""
    confidence: float
    """The highest of the probabilities."""
    probabilities: Mapping[str, float]
    """{class: calibrated probability}"""

    def to_dict(self) -> dict[str, object]:
        """The record for JSON: `start`, `end`, `emotion`, `confidence`, `probabilities`, rounded to 6 digits."""
        return {
            "start": round(self.start, DIGITS),
            "end": round(self.end, DIGITS),
            "emotion": self.emotion,
            "confidence": round(self.confidence, DIGITS),
            "probabilities": rounded(self.probabilities),
        }


def rounded(probabilities: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, DIGITS) for name, value in probabilities.items()}


@dataclass(frozen=True, slots=True, repr=False)
class Prediction:
    """The prediction of a model for one recording.

    In a notebook it is shown as bars and a timeline. Its `repr` is short, however long the recording:

        <Prediction angry 64.2 %, 94.0 s, 6 segments>
    """

    emotion: str
    """One of the model's classes; `unknown` if the confidence is below the model's threshold."""
    confidence: float
    """The highest of the probabilities."""
    probabilities: Mapping[str, float]
    """{class: calibrated probability}. For a long recording the mean over the timeline, each cell weighted by the speech in it."""
    seconds: float
    speech_seconds: float
    sample_rate: int
    """Sample rate of the recording, in hertz."""
    channels: int
    container: str | None
    """wav, aiff, flac, ogg, opus or mp3; None for samples that come from no file."""
    warnings: tuple[str, ...]
    """Reason codes (`ser.reasons`)."""
    voice: str
    """The speech detector that was used: silero or energy."""
    timeline: tuple[Passage, ...]
    """Cells of one hop each, without those that hold no speech. One cell if the recording was predicted as a whole; none if it has no
    speech."""
    segments: tuple[Passage, ...]
    """Neighbouring cells with the same answer as one, with the mean of their probabilities."""
    attention: Mapping[str, Attention]
    """A curve for each attention of the model; empty for a model without attention."""

    def __repr__(self) -> str:
        return f"<Prediction {self.title}, {len(self.segments)} segment{'' if len(self.segments) == 1 else 's'}>"

    @property
    def title(self) -> str:
        """Emotion, confidence and duration in words."""
        return f"{self.emotion} {percent(self.confidence)} %, {self.seconds:.1f} s"

    @property
    def stretches(self) -> list[Stretch]:
        """The segments as (start, end, emotion)."""
        return [(segment.start, segment.end, segment.emotion) for segment in self.segments]

    def to_dict(self) -> dict[str, object]:
        """The prediction for JSON, with the keys that `ser predict --format json` writes, and `attention`.

        Probabilities and seconds are rounded to 6 digits, weights of attention to 3.
        """
        return {
            "emotion": self.emotion,
            "confidence": round(self.confidence, DIGITS),
            "probabilities": rounded(self.probabilities),
            "seconds": round(self.seconds, DIGITS),
            "speech_seconds": round(self.speech_seconds, DIGITS),
            "sample_rate": self.sample_rate,
            "channels": self.channels,
            "container": self.container,
            "warnings": list(self.warnings),
            "voice": self.voice,
            "segments": [segment.to_dict() for segment in self.segments],
            "timeline": [cell.to_dict() for cell in self.timeline],
            "attention": {name: attention_record(curve) for name, curve in self.attention.items()},
        }

    def plot(self) -> "Figure":
        """Bars of the probabilities and, for more than one segment, a timeline.

        Returns:
            A matplotlib figure. Notebooks show it; `figure.savefig("prediction.png")` writes it to a file.

        Raises:
            ConfigError: matplotlib is not installed (extra `viz`).
        """
        return as_figure(self.title, self.probabilities, self.stretches, self.seconds)

    def _repr_html_(self) -> str:
        """For notebooks: inline SVG, without script."""
        return as_html(self.title, self.probabilities, self.stretches, self.seconds)


def attention_record(curve: Attention) -> dict[str, object]:
    return {"rate": round(curve.rate, DIGITS), "weights": [round(weight, ATTENTION_DIGITS) for weight in curve.weights]}
