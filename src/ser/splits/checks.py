"""A split is measured against its leakage certificate: rows, manifest, statistics, copies, and what its kind declares."""

from collections.abc import Iterable, Mapping
from itertools import combinations

from ser.corpora.manifest import Manifest, original_id
from ser.errors import LeakageError
from ser.splits.certificate import SPLIT_NAMES, Certificate, Entries, Entry, SplitFacts, Statistic, make_statistic, rows_digest
from ser.wording import examples

FITTED_ON_VAL = ("thresholds", "temperature", "epochs", "hyper-parameters")
"""What may be fitted on val. Everything else is fitted on train; nothing is fitted on test."""


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
