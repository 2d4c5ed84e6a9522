"""Calibration of a model's probabilities, the answer `unknown`, and calibration.json.

Probabilities are calibrated if about 70 % of the answers with a confidence of 70 % are right. The logits are divided by a temperature
fitted on val; answers with a calibrated confidence below a threshold are replaced by `unknown`.
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
    """Temperature and threshold fitted on val."""

    temperature: float | None = Field(gt=0)
    """Temperature; None and 1 leave the probabilities unchanged."""
    temperature_reason: str | None = None
    """Why the temperature is 1 although there is a validation set."""
    threshold: float | None = Field(ge=0, le=1)
    """Lowest calibrated confidence of an answer; None to answer always."""
    max_error: float = Field(gt=0, lt=1)
    """Maximum share of wrong answers on val."""
    reason: str | None
    """Why there is no temperature or no threshold."""

    def apply(self, probabilities: FloatArray) -> Floats:
        """Calibrated probabilities, (..., C)."""
        if self.temperature is None:
            return np.asarray(probabilities, np.float64)
        return apply_temperature(probabilities, self.temperature)

    def answered(self, probabilities: FloatArray) -> NDArray[np.bool_]:
        """Whether the confidence is high enough for an answer, from uncalibrated probabilities: (..., C) -> (...)."""
        return np.asarray(self.apply(probabilities).max(axis=-1) >= (self.threshold or 0.0))

    def answer(self, probabilities: FloatArray) -> int | None:
        """Index of the answer or None for `unknown`, from uncalibrated probabilities (C,).

        >>> calibration = Calibration(temperature=2.0, threshold=0.6, max_error=0.2, reason=None)
        >>> calibration.answer(np.array([0.9, 0.1])), calibration.answer(np.array([0.6, 0.4]))
        (0, None)
        """
        return int(np.argmax(probabilities)) if self.answered(probabilities) else None


def apply_temperature(probabilities: FloatArray, temperature: float) -> Floats:
    """softmax(log p / T) over the last axis, which equals dividing the logits by T. The order of the classes does not change.

    >>> apply_temperature(np.array([0.8, 0.2]), 2.0).round(3)
    array([0.667, 0.333])
    """
    if temperature == 1:
        return np.asarray(probabilities, np.float64)
    powers = np.exp(scaled_logs(probabilities, temperature))
    scaled: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return scaled


def scaled_logs(probabilities: FloatArray, temperature: float) -> Floats:
    """log p / T, shifted so that the maximum of each row is 0."""
    logs = np.log(np.maximum(np.asarray(probabilities, np.float64), SMALLEST))
    shifted: Floats = (logs - logs.max(axis=-1, keepdims=True)) / temperature
    return shifted


class Quality(Config):
    """Measures of the quality of probabilities."""

    model_config = ConfigDict(strict=True)

    ece: float
    brier: float
    log_loss: float
    aurc: float


class Effect(Config):
    """Effect of a calibration on a split."""

    model_config = ConfigDict(strict=True)

    before: Quality
    after: Quality | None
    n: int
    coverage: float | None = Field(ge=0, le=1)
    error: float | None = Field(ge=0, le=1)


class StoredCalibration(Calibration):
    """Content of calibration.json without its digest."""

    model_config = ConfigDict(strict=True)

    weights: str | None = None
    """Digest of the weights that the calibration belongs to."""
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
        """The part that is necessary to apply it."""
        return Calibration(**{name: getattr(self, name) for name in Calibration.model_fields})

    @property
    def on_test(self) -> "CalibrationOnTest":
        return CalibrationOnTest(**dict(self.calibration), **dict(self.test))


class CalibrationOnTest(Calibration):
    """The part of calibration.json that is stored with the scores on test."""

    model_config = ConfigDict(extra="ignore")

    before: Quality
    after: Quality | None
    n: int
    coverage: float | None
    error: float | None


def write_calibration(path: Path, calibration: StoredCalibration) -> None:
    """Write calibration.json atomically, with a digest."""
    write_with_digest(path, calibration.model_dump(mode="json"))


def write_with_digest(path: Path, content: Mapping[str, object]) -> None:
    write_json(path, {**content, "digest": digest_json(content)})


def read_calibration(path: Path, weights: str | None = None) -> Calibration:
    """Read calibration.json.

    Args:
        weights: expected digest of the weights, as in test_metrics.json and from `checkpoint.digest`; None to skip the check.

    Raises:
        ArtefactError: the file is missing or corrupted, or belongs to other weights.
    """
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist: the run was not calibrated") from None
    if not isinstance(content, dict) or content.pop("digest", None) != digest_json(content):
        raise ArtefactError(f"{path} is corrupted (checksum mismatch): restore it from a copy, or train again")
    try:
        stored = StoredCalibration.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ArtefactError(f"{path} is not a calibration of this program ({where}{': ' if where else ''}{first['msg']})") from None
    if weights not in (None, stored.weights):
        raise ArtefactError(f"{path} belongs to other weights: use the file that the same training wrote")
    return stored.calibration


def calibration_of(path: Path, weights: str) -> Calibration:
    """Calibration of a run. A run without calibration.json always answers, and a warning is logged.

    Raises:
        ArtefactError: the file is corrupted, or belongs to other weights.
    """
    if path.exists():
        return read_calibration(path, weights)
    log.warning("%s does not exist: probabilities are not calibrated, and no answer is unknown", path)
    return Calibration(temperature=None, threshold=None, max_error=0.5, reason="the run was not calibrated")
