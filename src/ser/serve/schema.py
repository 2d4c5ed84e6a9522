"""The shapes of what the service answers, for its OpenAPI description and for whoever checks an answer."""

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Passage(Shape):
    """A stretch of time with one answer."""

    start: float = Field(ge=0, description="seconds from the start of the recording")
    end: float = Field(gt=0, description="seconds")
    emotion: str = Field(description="one of the model's classes, or `unknown` where it is not sure enough")
    confidence: float = Field(ge=0, le=1, description="the highest of the probabilities")
    probabilities: dict[str, float] = Field(description="of each class, calibrated; their sum is 1")


class Attention(Shape):
    """Where one part of the model listened, over the whole recording from second 0."""

    rate: float = Field(gt=0, description="weights a second")
    weights: list[float] = Field(description="1: as much as the average moment that was heard; 0: not heard")


class AnswerModel(Shape):
    """Who answered."""

    classes: list[str]
    licence: str = Field(description="what the corpora mean for whoever uses the model")
    threshold: float | None = Field(description="of the confidence; below it the answer is `unknown`; null: it always answers")
    weights: str = Field(description="digest of its weights")


class Answer(Shape):
    """What the model says of a recording."""

    emotion: str = Field(description="one of the model's classes, or `unknown` where it is not sure enough")
    confidence: float = Field(ge=0, le=1, description="the highest of the probabilities")
    probabilities: dict[str, float] = Field(description="of each class, calibrated; of a long recording the mean over its timeline")
    seconds: float = Field(gt=0)
    speech_seconds: float = Field(ge=0)
    sample_rate: int = Field(gt=0, description="Hz, of the recording")
    channels: int = Field(gt=0)
    container: str = Field(description="wav, aiff, flac, ogg, opus or mp3: told by content")
    voice: str = Field(description="which detector told speech from silence")
    warnings: list[str] = Field(description="codes, as `stereo` or `clipped`")
    segments: list[Passage] = Field(description="neighbouring stretches with the same answer as one")
    timeline: list[Passage] = Field(description="stretches of one hop, without those that hold no speech")
    attention: dict[str, Attention]
    reason: None = Field(description="null, as of every answer that is no problem")
    detail: None
    model: AnswerModel


class Model(Shape):
    """What the model says of itself, and what the service takes."""

    classes: list[str]
    licence: str
    threshold: float | None
    corpora: list[str] = Field(description="that it was trained on")
    certificate: str = Field(description="digest of the split that it was trained on")
    weights: str = Field(description="digest of its weights")
    window: float = Field(description="seconds that are heard at once")
    voice: str = Field(description="which detector tells speech from silence")
    max_bytes: int = Field(description="of a recording")
    max_seconds: float = Field(description="of its sound")


class Health(Shape):
    status: str = Field(description="`ready`")


class Problem(Shape):
    """RFC 9457, with a code to act upon."""

    title: str
    status: int
    reason: str = Field(description="a code that does not change")
    detail: str
