"""The leakage certificate of a split: its declared kind, its measured facts, and the split that each statistic was fitted on.

It is stored as JSON next to the tables of the split (`leakage.json`). Later steps append to it, and every step checks it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError, field_validator

from ser.config import Config, LabelMapping, SplitConfig
from ser.corpora.manifest import Manifest, original_id
from ser.errors import ArtefactError, LeakageError
from ser.system.files import digest_json, read_json, write_json

SPLIT_NAMES = ("train", "val", "test")
"""The three parts of a split, in order."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a split's table."""

    id: str
    corpus: str
    speaker: str
    emotion: str
    """Emotion of the common vocabulary, after merging."""
    label: int
    """Index into the classes."""


Entries = Mapping[str, tuple[Entry, ...]]
"""{`train`, `val` or `test`: rows}"""


class SplitFacts(Config):
    """Content of one of train, val and test."""

    n: int
    speakers: tuple[str, ...]
    samples: dict[str, str]
    """{id: hash of the decoded samples}"""
    rows_digest: str
    """SHA-256 of the rows of the table, which detects edited tables."""


class Statistic(Config):
    """A fitted quantity, such as a normaliser or a temperature."""

    what: str
    fitted_on: str
    n: int
    ids_digest: str


class Certificate(Config):
    """Declared kind, facts of each split, and the statistics fitted so far."""

    schema_version: Literal[1] = 1
    name: str
    rule: str
    seed: int
    kind: Literal["speaker-disjoint", "sample-disjoint", "none"]
    classes: tuple[str, ...]
    labels: LabelMapping
    config_digest: str
    """SHA-256 of the split and labels configs that the split was made from."""
    splits: dict[str, SplitFacts]
    statistics: tuple[Statistic, ...] = ()

    @field_validator("splits")
    @classmethod
    def three_splits(cls, splits: dict[str, SplitFacts]) -> dict[str, SplitFacts]:
        if tuple(splits) != SPLIT_NAMES:
            raise ValueError(f"the splits are {', '.join(splits)}")
        return splits

    @property
    def digest(self) -> str:
        """SHA-256 of all fields."""
        return digest_json(self.model_dump(mode="json"))

    @property
    def split_digest(self) -> str:
        """SHA-256 of all fields except the statistics, to which several configs with the same split append."""
        return digest_json(self.model_dump(mode="json", exclude={"statistics"}))


def certify(entries: Entries, classes: tuple[str, ...], config: SplitConfig, labels: LabelMapping, manifest: Manifest) -> Certificate:
    """Build the certificate of a split. `check` tests whether the facts match the declared kind."""
    return Certificate(
        name=config.name,
        rule=config.rule,
        seed=config.seed,
        kind=config.kind,
        classes=classes,
        labels=labels.mapping,
        config_digest=config_digest(config, labels),
        splits={name: measure(entries[name], manifest) for name in SPLIT_NAMES},
    )


def measure(rows: tuple[Entry, ...], manifest: Manifest) -> SplitFacts:
    return SplitFacts(
        n=len(rows),
        speakers=tuple(sorted({row.speaker for row in rows})),
        samples={row.id: manifest[original_id(row.id)].audio_hash for row in rows},
        rows_digest=rows_digest(rows),
    )


def rows_digest(rows: Iterable[Entry]) -> str:
    return digest_json([asdict(row) for row in rows])


def config_digest(config: SplitConfig, labels: LabelMapping) -> str:
    """SHA-256 of the settings that determine the rows. `labels.missing` is not one of them."""
    return digest_json({"split": config.model_dump(mode="json"), "labels": labels.mapping.model_dump(mode="json")})


def made_from(certificate: Certificate, config: SplitConfig, labels: LabelMapping) -> bool:
    """Whether a stored split was made from these configs. If not, the extract step has to run again."""
    return certificate.config_digest == config_digest(config, labels)


def make_statistic(what: str, fitted_on: str, ids: Iterable[str]) -> Statistic:
    ids = sorted(ids)
    return Statistic(what=what, fitted_on=fitted_on, n=len(ids), ids_digest=digest_json(ids))


def write_certificate(path: Path, certificate: Certificate) -> None:
    """Write the certificate and its digest atomically as JSON."""
    write_json(path, {**certificate.model_dump(mode="json"), "digest": certificate.digest})


def read_certificate(path: Path) -> Certificate:
    """Read a certificate and check its digest.

    Raises:
        ArtefactError: the file is not a certificate of this version.
        LeakageError: it was edited after it was written (checksum mismatch).
    """
    content = read_json(path)
    try:
        digest = content.pop("digest")
        certificate = Certificate.model_validate(content)
    except (AttributeError, KeyError, TypeError, ValidationError) as error:
        raise ArtefactError(f"{path} is not a leakage certificate ({str(error).splitlines()[0]}): run the extract step again") from None
    if digest != certificate.digest:
        raise LeakageError(f"{path} was edited after it was written (checksum mismatch); run the extract step again")
    return certificate
