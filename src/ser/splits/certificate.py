"""The leakage certificate of a split: what it declares, what was measured, and where every statistic was fitted.

Plain data beside the tables of the split (`leakage.json`); later steps append to it, and every step checks it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError, field_validator

from ser.config import Config, LabelsConfig, SplitConfig
from ser.corpora.manifest import Manifest, original_id
from ser.errors import ArtefactError, LeakageError
from ser.system.files import digest_json, read_json, write_json
from ser.wording import examples

SPLIT_NAMES = ("train", "val", "test")

FITTED_ON_VAL = ("thresholds", "temperature", "epochs", "hyper-parameters")
"""What may be fitted on val. Everything else is fitted on train; nothing is fitted on test."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a split's table."""

    id: str
    corpus: str
    speaker: str
    emotion: str
    """After merging, of the common vocabulary."""
    label: int
    """Index into the classes."""


Entries = Mapping[str, tuple[Entry, ...]]
"""`train`, `val` and `test`, each with its rows."""


class SplitFacts(Config):
    """What stands in one of train, val and test."""

    n: int
    speakers: tuple[str, ...]
    samples: dict[str, str]
    """id -> hash of the decoded samples."""
    rows_digest: str
    """Of the rows of the table: an edited table no longer fits."""


class Statistic(Config):
    """Something that was fitted: a normaliser, a temperature."""

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
    labels: LabelsConfig
    config_digest: str
    """Of the split and labels configs that the split was made from."""
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
        """sha256 of everything above."""
        return digest_json(self.model_dump(mode="json"))

    @property
    def split_digest(self) -> str:
        """sha256 of everything but the statistics, which several configs on one split append to."""
        return digest_json(self.model_dump(mode="json", exclude={"statistics"}))


def certify(entries: Entries, classes: tuple[str, ...], config: SplitConfig, labels: LabelsConfig, manifest: Manifest) -> Certificate:
    """State the facts of a split. That they keep what the kind declares is the business of `check`."""
    return Certificate(
        name=config.name,
        rule=config.rule,
        seed=config.seed,
        kind=config.kind,
        classes=classes,
        labels=labels,
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


def config_digest(config: SplitConfig, labels: LabelsConfig) -> str:
    return digest_json({"split": config.model_dump(mode="json"), "labels": labels.model_dump(mode="json")})


def made_from(certificate: Certificate, config: SplitConfig, labels: LabelsConfig) -> bool:
    """Whether a stored split is the one that these configs ask for. If not, the extract step has to run again."""
    return certificate.config_digest == config_digest(config, labels)


def record_statistic(certificate: Certificate, what: str, fitted_on: str, ids: Iterable[str]) -> Certificate:
    """The certificate with one more statistic; one of the same name is replaced.

    Raises:
        LeakageError: this statistic must not be fitted on this split, or an id (or the original of a copy) stands elsewhere.
    """
    ids = tuple(ids)
    statistic = make_statistic(what, fitted_on, ids)
    check_statistic(statistic)
    check_ids(certificate, fitted_on, ids)
    others = tuple(other for other in certificate.statistics if other.what != what)
    return certificate.model_copy(update={"statistics": (*others, statistic)})


def make_statistic(what: str, fitted_on: str, ids: Iterable[str]) -> Statistic:
    ids = sorted(ids)
    return Statistic(what=what, fitted_on=fitted_on, n=len(ids), ids_digest=digest_json(ids))


def check_ids(certificate: Certificate, name: str, ids: Iterable[str]) -> None:
    """Every id, or the original of an augmented copy, belongs to the split `name`.

    Raises:
        LeakageError: one does not; the message says where it stands.
    """
    homes = {i: home for home, facts in certificate.splits.items() for i in facts.samples}
    for utterance_id in ids:
        home = homes.get(original_id(utterance_id))
        if home != name:
            raise LeakageError(f"{utterance_id} is used as {name}, but {f'stands in {home}' if home else 'is in no part of the split'}")


def check(certificate: Certificate, entries: Entries, manifest: Manifest) -> None:
    """Measure a split against its certificate and its manifest.

    Raises:
        LeakageError: the tables were edited, the manifest has changed, a statistic was fitted where it must not be, a copy left
            its original, or two splits share what the declared kind says they do not share.
    """
    for name in SPLIT_NAMES:
        facts = certificate.splits[name]
        check_rows(facts, name, entries[name])
        check_against_manifest(facts, name, manifest)
    for statistic in certificate.statistics:
        check_statistic(statistic)
    check_copies(entries)
    check_kind(certificate.kind, entries, manifest)


def check_rows(facts: SplitFacts, name: str, rows: tuple[Entry, ...]) -> None:
    """The table holds the rows that were certified."""
    changed = {row.id for row in rows} ^ set(facts.samples)
    if changed:
        raise LeakageError(f"{name}.csv differs from its certificate in {examples(changed)}: run the extract step again")
    if rows_digest(rows) != facts.rows_digest:
        raise LeakageError(f"{name}.csv was edited after it was certified: run the extract step again")


def check_against_manifest(facts: SplitFacts, name: str, manifest: Manifest) -> None:
    """Every clip is still there, with the samples and the speakers that were certified."""
    absent = [i for i in facts.samples if original_id(i) not in manifest]
    if absent:
        raise LeakageError(f"{name} holds {examples(absent)}, no longer in the manifest: run the extract step again")
    altered = [i for i, audio_hash in facts.samples.items() if manifest[original_id(i)].audio_hash != audio_hash]
    if altered:
        raise LeakageError(f"the samples of {examples(altered)} ({name}) have changed since the split was made: run the extract step again")
    if tuple(sorted({manifest[original_id(i)].speaker for i in facts.samples})) != facts.speakers:
        raise LeakageError(f"the speakers of {name} are not those of its certificate: run the extract step again")


def check_statistic(statistic: Statistic) -> None:
    """Fitted on train, or on val if it is one of `FITTED_ON_VAL`."""
    if statistic.fitted_on == "train" or (statistic.fitted_on == "val" and statistic.what in FITTED_ON_VAL):
        return
    raise LeakageError(f"{statistic.what} was fitted on {statistic.fitted_on}, which leaks: it must be fitted on train")


def check_copies(entries: Entries) -> None:
    """An augmented copy stands where its original stands."""
    homes = {row.id: name for name in SPLIT_NAMES for row in entries[name]}
    for utterance_id, home in homes.items():
        original_home = homes.get(original_id(utterance_id))
        if original_home != home:
            raise LeakageError(f"the augmented copy {utterance_id} is in {home}, its original is in {original_home or 'no split'}")


def check_kind(kind: str, entries: Entries, manifest: Manifest) -> None:
    """No two splits share a clip; nor, as far as `kind` promises it, samples or speakers. All is measured on the manifest."""
    clips = {name: [manifest[original_id(row.id)] for row in entries[name]] for name in SPLIT_NAMES}
    demand_disjoint("clips", {name: {clip.id for clip in rows} for name, rows in clips.items()}, kind)
    if kind != "none":
        demand_disjoint("samples", {name: {clip.audio_hash for clip in rows} for name, rows in clips.items()}, kind)
    if kind == "speaker-disjoint":
        demand_disjoint("speakers", {name: {clip.speaker for clip in rows} for name, rows in clips.items()}, kind)


def demand_disjoint(what: str, sets: Mapping[str, set[str]], kind: str) -> None:
    for first, second in combinations(SPLIT_NAMES, 2):
        shared = sets[first] & sets[second]
        if shared:
            raise LeakageError(f"{first} and {second} share {len(shared)} {what} ({examples(shared)}), declared {kind}")


def speaker_independent(certificate: Certificate) -> bool:
    """Whether a score on this split may be called speaker-independent: declared, and true of the speakers and samples it lists."""
    speakers = {name: set(facts.speakers) for name, facts in certificate.splits.items()}
    samples = {name: set(facts.samples.values()) for name, facts in certificate.splits.items()}
    return certificate.kind == "speaker-disjoint" and all(
        not (sets[first] & sets[second]) for sets in (speakers, samples) for first, second in combinations(SPLIT_NAMES, 2)
    )


def write_certificate(path: Path, certificate: Certificate) -> None:
    """Atomic JSON, with the digest beside the content."""
    write_json(path, {**certificate.model_dump(mode="json"), "digest": certificate.digest})


def read_certificate(path: Path) -> Certificate:
    """
    Raises:
        ArtefactError: the file is no certificate of this version.
        LeakageError: it was edited: the digest does not fit.
    """
    content: Any = read_json(path)
    try:
        digest = content.pop("digest")
        certificate = Certificate.model_validate(content)
    except (AttributeError, KeyError, TypeError, ValidationError) as error:
        raise ArtefactError(f"{path} is no leakage certificate ({str(error).splitlines()[0]}): run the extract step again") from None
    if digest != certificate.digest:
        raise LeakageError(f"{path} was edited: its digest does not fit; run the extract step again")
    return certificate
