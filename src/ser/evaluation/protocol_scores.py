"""protocol.json: the scores of a protocol, with the facts that are necessary to interpret them."""

from collections.abc import Mapping

from pydantic import Field, JsonValue, SerializerFunctionWrapHandler, model_serializer, model_validator

from ser.evaluation.folds import FoldsMean, SeedSpread
from ser.evaluation.records import ClassScores, GroupScores, Json, Record, SpeakerScores

SCHEMA = 1


class ProtocolFacts(Record):
    """Fields of `ser.splits.protocols.Protocol` without the folds."""

    name: str
    version: int
    title: str
    source: str
    validation: str
    speakers: str
    transductive: bool
    checksum: str


class ModelFacts(Record):
    name: str
    features: tuple[str, ...]


class FoldRun(Record):
    """One training of a fold."""

    seed: int
    run: str
    """Name of the run's folder."""
    uar: float | None
    wa: float | None
    macro_f1: float | None
    n: int
    best_epoch: int
    epochs: int
    selection: str | None
    certificate: str | None


class FoldRow(Record):
    """A fold with its counts and the scores of all its seeds together."""

    fold: str
    corpora: tuple[str, ...]
    classes: tuple[str, ...]
    clips: Mapping[str, int]
    """Number of clips in train, val and test."""
    expected: Mapping[str, int]
    """Number of clips that the protocol states."""
    published: Mapping[str, int] | None
    train_speakers: int
    test_speakers: tuple[str, ...]
    speaker_independent: bool
    scores: GroupScores
    """In JSON its fields are on the level of the fold."""
    runs: tuple[FoldRun, ...]

    @model_validator(mode="before")
    @classmethod
    def gather_scores(cls, content: object) -> object:
        return {**content, "scores": content} if isinstance(content, dict) and "scores" not in content else content

    @model_serializer(mode="wrap")
    def spread_scores(self, serialize: SerializerFunctionWrapHandler) -> Json:
        content: Json = {}
        for name, value in serialize(self).items():
            content |= value if name == "scores" else {name: value}
        return content


class SeedParts(Record):
    """Scores by class, corpus, gender and speaker of one seed, over all folds together."""

    seed: int
    per_class: Mapping[str, ClassScores]
    per_corpus: Mapping[str, GroupScores]
    per_gender: Mapping[str, GroupScores]
    per_speaker: Mapping[str, SpeakerScores]


class FoldsInterval(Record):
    low: float
    high: float
    method: str


class LeakDelta(Record):
    """UAR on random splits of the same sizes minus UAR on the splits of the protocol."""

    folds: tuple[str, ...]
    uar: float
    uar_random_splits: float
    delta: float
    interval: FoldsInterval | None
    """Interval over folds; None with fewer than five folds."""


class ProtocolScores(Record):
    file_version: int = Field(default=SCHEMA, alias="schema")
    protocol: ProtocolFacts
    model: ModelFacts
    train: Mapping[str, JsonValue]
    """Section train of the config."""
    augmented_copies: int
    seeds: tuple[int, ...]
    folds_in_all: int
    complete: bool
    """Whether there are results for all folds and seeds."""
    whole_corpora: bool
    speaker_independent: bool
    folds: tuple[FoldRow, ...]
    mean_over_folds: FoldsMean
    pooled: GroupScores | None
    by_seed: Mapping[str, SeedSpread]
    """{metric: spread of the mean over folds between seeds}"""
    parts: tuple[SeedParts, ...]
    leak_delta: LeakDelta | None
