"""Live predictions: an answer for the last seconds every hop, with smoothed probabilities."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ser.audio.microphone import Moment, limited, moments
from ser.audio.screening import dbfs
from ser.audio.waveform import Waveform
from ser.errors import AudioError
from ser.inference.prediction import Prediction
from ser.inference.predictor import Predictor
from ser.units import seconds_to_samples

HALF_LIFE = 0.5
"""Seconds after which the weight of an answer in the smoothed probabilities has halved."""
NO_SPEECH = "no-speech"


class Source(Protocol):
    """A source of blocks of samples."""

    @property
    def sample_rate(self) -> int:
        """Hz"""

    def blocks(self) -> Iterator[Waveform]: ...


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """The answer for the last seconds."""

    moment: Moment
    level: float
    """Level of the new samples in dBFS; minus infinity for digital silence."""
    prediction: Prediction | None
    """Prediction for the last window alone; None if there is none."""
    reason: str | None
    """The reason why there is no prediction: too-short, silent or no-speech."""
    emotion: str | None
    """The emotion by the smoothed probabilities; None without speech."""
    probabilities: Mapping[str, float] | None
    """Smoothed."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reason codes (`ser.reasons`)."""
        return () if self.prediction is None else tuple(code for code in self.prediction.warnings if code != NO_SPEECH)


def predict_live(predictor: Predictor, source: Source, hop: float, seconds: float | None = None) -> Iterator[LiveAnswer]:
    """Yield an answer every hop, and one at the end. Raises the errors of `Microphone.blocks`."""
    blocks, rate = source.blocks(), source.sample_rate
    if seconds is not None:
        blocks = limited(blocks, seconds_to_samples(seconds, rate))
    smoothed: NDArray[np.float64] | None = None
    for moment in moments(blocks, rate, predictor.window, hop):
        prediction, reason = predict_moment(predictor, moment.samples, rate)
        if prediction is None or reason is not None:
            smoothed = None
        else:
            smoothed = blend(smoothed, np.array(list(prediction.probabilities.values())), moment.newest / rate)
        newest = moment.samples[-moment.newest :]
        yield LiveAnswer(
            moment=moment,
            level=dbfs(newest, float(newest.mean())),
            prediction=prediction,
            reason=reason,
            emotion=None if smoothed is None else predictor.answer(smoothed),
            probabilities=None if smoothed is None else predictor.by_class(smoothed),
        )


def predict_moment(predictor: Predictor, samples: Waveform, rate: int) -> tuple[Prediction | None, str | None]:
    """The prediction for these samples, or the reason why there is none."""
    try:
        prediction = predictor.predict(samples, rate)
    except AudioError as error:
        return None, error.reason
    return prediction, NO_SPEECH if NO_SPEECH in prediction.warnings else None


def blend(before: NDArray[np.float64] | None, now: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """Exponential smoothing.

    >>> blend(np.array([1.0, 0.0]), np.array([0.0, 1.0]), seconds=1.0).tolist()
    [0.25, 0.75]
    """
    if before is None:
        return now
    old: float = 0.5 ** (seconds / HALF_LIFE)
    return old * before + (1 - old) * now
