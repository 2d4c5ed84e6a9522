"""Typed records of scores, and their JSON.

In JSON, scores and intervals are separate, as in `{"uar": 0.61, "intervals": {"uar": {"low": 0.58, ...}}}`; in the program both form one
`Estimate`.
"""

from collections.abc import Iterator, Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, JsonValue, SerializerFunctionWrapHandler, model_serializer, model_validator

from ser.evaluation.intervals import Estimate
from ser.evaluation.metrics import METRICS

Json = dict[str, JsonValue]


class Record(BaseModel):
    """Part of a file of scores. All numbers are finite; unknown keys of later versions are ignored."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    def to_json(self) -> Json:
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def from_json(cls, content: object) -> Self:
        """Build a record from JSON.

        Raises:
            pydantic.ValidationError: a key is missing, or a value has another type.
        """
        return cls.model_validate(content)


class Estimates(Record):
    """The metrics of one table of predictions, or differences of them."""

    uar: Estimate
    wa: Estimate
    macro_f1: Estimate

    def by_metric(self) -> dict[str, Estimate]:
        return {metric: getattr(self, metric) for metric in METRICS}

    @model_validator(mode="before")
    @classmethod
    def join_intervals(cls, content: object) -> object:
        return with_intervals(content, tuple(METRICS))

    @model_serializer(mode="wrap")
    def part_intervals(self, serialize: SerializerFunctionWrapHandler) -> Json:
        content = serialize(self)
        estimates = {metric: content.pop(metric) for metric in METRICS}
        return {**values_of(estimates), "intervals": intervals_of(estimates), **content}


class GroupScores(Estimates):
    """Scores of a group of utterances."""

    n: int
    """Number of utterances."""
    speakers: int


class ClassScores(Record):
    """Scores of one emotion; None if undefined."""

    precision: float | None
    recall: Estimate
    f1: Estimate
    support: int
    """Number of utterances of this emotion."""

    @model_validator(mode="before")
    @classmethod
    def join_intervals(cls, content: object) -> object:
        return with_intervals(content, ("recall", "f1"))

    @model_serializer(mode="wrap")
    def part_intervals(self, serialize: SerializerFunctionWrapHandler) -> Json:
        content = serialize(self)
        estimates = {name: content[name] for name in ("recall", "f1")}
        return {**content, **values_of(estimates), "intervals": intervals_of(estimates)}


class SpeakerScores(Record):
    corpus: str
    n: int
    uar: float | None
    wa: float | None


class CorporaMean(Estimates):
    """The mean over corpora, each with equal weight."""

    corpora: tuple[str, ...]


class Scores(GroupScores):
    """All scores of the predictions on one split."""

    classes: tuple[str, ...]
    per_class: Mapping[str, ClassScores]
    per_corpus: Mapping[str, GroupScores]
    mean_over_corpora: CorporaMean
    per_gender: Mapping[str, GroupScores] = {}
    per_speaker: Mapping[str, SpeakerScores] = {}

    def parts(self) -> Iterator[tuple[str, GroupScores | CorporaMean]]:
        """Yield the named rows of a table of scores: overall, each corpus, and the mean over corpora."""
        yield "all", self
        yield from self.per_corpus.items()
        yield "mean over corpora", self.mean_over_corpora


def size_cells(scores: Estimates) -> tuple[int, int] | tuple[None, None]:
    """(number of clips, number of speakers); None for a mean."""
    return (scores.n, scores.speakers) if isinstance(scores, GroupScores) else (None, None)


def with_intervals(content: object, names: tuple[str, ...]) -> object:
    """Join these scores with their intervals in JSON content; objects of this program are returned unchanged."""
    if not isinstance(content, dict):
        return content
    intervals = content.get("intervals")
    known = intervals if isinstance(intervals, dict) else {}
    return {**content, **{name: paired(content[name], name, known) for name in names if name in content}}


def paired(value: object, name: str, intervals: Mapping[str, object]) -> object:
    if isinstance(value, Estimate):
        return value
    return {"value": value, "interval": intervals[name]} if name in intervals else {"value": value}


def values_of(estimates: Mapping[str, Json]) -> Json:
    return {name: estimate["value"] for name, estimate in estimates.items()}


def intervals_of(estimates: Mapping[str, Json]) -> Json:
    return {name: estimate["interval"] for name, estimate in estimates.items()}
