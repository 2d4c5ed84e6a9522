"""From the probabilities of a model to calibrated confidences, and when the answer is `unknown`; the file that holds how.

A probability is calibrated if of the answers given with 70 % some 70 % are right. A temperature, fitted on val, divides the logits; a
threshold of the calibrated confidence decides when the answer is `unknown`.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, ValidationError, model_validator

from ser.config import Config
from ser.errors import ArtefactError
from ser.evaluation.confidence import SMALLEST
from ser.evaluation.metrics import FloatArray, Floats
from ser.system.files import digest_json, read_json, write_json

log = logging.getLogger(__name__)


class Calibration(Config):
    """What was fitted on val: how a model's probabilities become confidences, and which of them are too low for an answer."""

    temperature: float | None = Field(gt=0)
    """None leaves the probabilities as they are, and so does 1."""
    temperature_reason: str | None = None
    """Why the temperature was left at 1, though there is a val to fit it on."""
    threshold: float | None = Field(ge=0, le=1)
    """Of the calibrated confidence. None answers always."""
    max_error: float = Field(gt=0, lt=1)
    """Share of wrong answers on val that the threshold keeps to."""
    reason: str | None
    """Why there is no temperature or no threshold."""

    def apply(self, probabilities: FloatArray) -> Floats:
        """Calibrated probabilities, (..., C)."""
        if self.temperature is None:
            return np.asarray(probabilities, np.float64)
        return apply_temperature(probabilities, self.temperature)

    def answered(self, probabilities: FloatArray) -> NDArray[np.bool_]:
        """(..., C) as the model gives them -> (...) whether the confidence suffices for an answer."""
        return np.asarray(self.apply(probabilities).max(axis=-1) >= (self.threshold or 0.0))

    def answer(self, probabilities: FloatArray) -> int | None:
        """(C,) as the model gives them -> index of the answer, None for `unknown`.

        >>> calibration = Calibration(temperature=2.0, threshold=0.6, max_error=0.2, reason=None)
        >>> calibration.answer(np.array([0.9, 0.1])), calibration.answer(np.array([0.6, 0.4]))
        (0, None)
        """
        return int(np.argmax(probabilities)) if self.answered(probabilities) else None


def apply_temperature(probabilities: FloatArray, temperature: float) -> Floats:
    """softmax(log p / T) over the last axis, as dividing the logits by T gives it. The highest stays the highest; 1 changes nothing.

    >>> apply_temperature(np.array([0.8, 0.2]), 2.0).round(3)
    array([0.667, 0.333])
    """
    if temperature == 1:
        return np.asarray(probabilities, np.float64)
    powers = np.exp(scaled_logs(probabilities, temperature))
    scaled: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return scaled


def scaled_logs(probabilities: FloatArray, temperature: float) -> Floats:
    """log p / T, shifted so that the highest of a row is 0."""
    logs = np.log(np.maximum(np.asarray(probabilities, np.float64), SMALLEST))
    shifted: Floats = (logs - logs.max(axis=-1, keepdims=True)) / temperature
    return shifted


class Quality(Config):
    """Of probabilities."""

    model_config = ConfigDict(strict=True)

    ece: float
    brier: float
    log_loss: float
    aurc: float


class Effect(Config):
    """What a calibration does on a split."""

    model_config = ConfigDict(strict=True)

    before: Quality
    after: Quality | None
    n: int
    coverage: float | None = Field(ge=0, le=1)
    error: float | None = Field(ge=0, le=1)


class StoredCalibration(Calibration):
    """The content of calibration.json, but for its digest."""

    model_config = ConfigDict(strict=True)

    weights: str | None = None
    """Digest of the weights whose probabilities these are."""
    fitted_on: Literal["val"] | None
    n: int
    bins: int
    val: Effect | None
    test: Effect

    @model_validator(mode="after")
    def agrees_with_itself(self) -> Self:
        if (self.val is None) != (self.fitted_on is None) or (self.val is None and (self.temperature, self.threshold) != (None, None)):
            raise ValueError("what was fitted, and what on, contradict each other")
        for effect in (self.test, self.val or self.test):
            if (effect.after is None) != (self.temperature is None) or (effect.coverage is None) != (self.threshold is None):
                raise ValueError("what was fitted, and what it does, contradict each other")
        if self.reason is None and None in (self.temperature, self.threshold):
            raise ValueError("no reason for what is missing")
        return self

    @property
    def calibration(self) -> Calibration:
        """What it takes to apply it."""
        return Calibration(**{name: getattr(self, name) for name in Calibration.model_fields})

    @property
    def on_test(self) -> "CalibrationOnTest":
        return CalibrationOnTest(**dict(self.calibration), **dict(self.test))


class CalibrationOnTest(Calibration):
    """What of calibration.json stands among the scores on test."""

    model_config = ConfigDict(extra="ignore")

    before: Quality
    after: Quality | None
    n: int
    coverage: float | None
    error: float | None


def write_calibration(path: Path, calibration: StoredCalibration) -> None:
    """Atomic, with a digest beside it."""
    write_with_digest(path, calibration.model_dump(mode="json"))


def write_with_digest(path: Path, content: Mapping[str, object]) -> None:
    write_json(path, {**content, "digest": digest_json(content)})


def read_calibration(path: Path, weights: str | None = None) -> Calibration:
    """
    Args:
        weights: digest of the weights that it is meant for, as in test_metrics.json and as `checkpoint.digest` gives it; None asks nothing.

    Raises:
        ArtefactError: there is none, it is corrupted, or it is of other weights.
    """
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist: the run was not calibrated") from None
    if not isinstance(content, dict) or content.pop("digest", None) != digest_json(content):
        raise ArtefactError(f"{path} is corrupted (checksum mismatch)")
    try:
        stored = StoredCalibration.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ArtefactError(f"{path} holds no calibration of this program ({where}{': ' if where else ''}{first['msg']})") from None
    if weights not in (None, stored.weights):
        raise ArtefactError(f"{path} is of other weights, so it says nothing of these: take the file that the same training wrote")
    return stored.calibration


def calibration_of(path: Path, weights: str) -> Calibration:
    """Of a run, wherever its model answers: what stands in its calibration.json. One that was not calibrated answers always, and a
    warning says so.

    Raises:
        ArtefactError: it is corrupted, or of another model than the one with these weights.
    """
    if path.exists():
        return read_calibration(path, weights)
    log.warning("%s does not exist: probabilities are the model's own, and no answer is unknown", path)
    return Calibration(temperature=None, threshold=None, max_error=0.5, reason="the run was not calibrated")
