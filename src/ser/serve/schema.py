"""Models of the service's responses, for its OpenAPI description and for clients that validate them."""

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Passage(Shape):
    """A stretch of time with one answer."""

    start: float = Field(ge=0, description="seconds from the start of the recording")
    end: float = Field(gt=0, description="seconds")
    emotion: str = Field(description="one of the model's classes, or `unknown` if the confidence is below the threshold")
    confidence: float = Field(ge=0, le=1, description="the highest of the probabilities")
    probabilities: dict[str, float] = Field(description="calibrated probability of each class; their sum is 1")


class Attention(Shape):
    """The attention of one part of the model over the whole recording, from second 0."""

    rate: float = Field(gt=0, description="weights a second")
    weights: list[float] = Field(description="relative to the mean over all cells that were used, which is 1; 0: not used")


class AnswerModel(Shape):
    """The model that predicted."""

    classes: list[str]
    licence: str = Field(description="terms of the corpora's licences for a user of the model")
    threshold: float | None = Field(description="confidence below which the answer is `unknown`; null: never")
    weights: str = Field(description="digest of the model's weights")


class Answer(Shape):
    """The prediction for a recording."""

    emotion: str = Field(description="one of the model's classes, or `unknown` if the confidence is below the threshold")
    confidence: float = Field(ge=0, le=1, description="the highest of the probabilities")
    probabilities: dict[str, float] = Field(
        description="calibrated probability of each class; for a long recording the mean over its timeline"
    )
    seconds: float = Field(gt=0)
    speech_seconds: float = Field(ge=0)
    sample_rate: int = Field(gt=0, description="sample rate of the recording, in hertz")
    channels: int = Field(gt=0)
    container: str = Field(description="wav, aiff, flac, ogg, opus or mp3, detected by content")
    voice: str = Field(description="the speech detector that was used: silero or energy")
    warnings: list[str] = Field(description="warning codes, such as `stereo` or `clipped`")
    segments: list[Passage] = Field(description="neighbouring stretches with the same answer as one")
    timeline: list[Passage] = Field(description="stretches of one hop, without those that hold no speech")
    attention: dict[str, Attention]
    reason: None = Field(description="null: only a problem has a reason")
    detail: None
    model: AnswerModel


class Model(Shape):
    """The description of the model, and the limits of the service."""

    classes: list[str]
    licence: str
    threshold: float | None
    corpora: list[str] = Field(description="the corpora that the model was trained on")
    certificate: str = Field(description="digest of the split that the model was trained on")
    weights: str = Field(description="digest of the model's weights")
    window: float = Field(description="length of a window in seconds")
    voice: str = Field(description="the speech detector: silero or energy")
    max_bytes: int = Field(description="the largest recording in bytes")
    max_seconds: float = Field(description="the longest recording in seconds")


class Health(Shape):
    status: str = Field(description="`ready`")


class Problem(Shape):
    """An error (RFC 9457) with a code for programs."""

    title: str
    status: int
    reason: str = Field(description="a stable code")
    detail: str
