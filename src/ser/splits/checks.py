"""Checks of a split against its leakage certificate: rows, manifest, statistics, augmented copies and the declared kind."""

from collections.abc import Iterable, Mapping
from itertools import combinations

from ser.corpora.manifest import Manifest, original_id
from ser.errors import LeakageError
from ser.splits.certificate import SPLIT_NAMES, Certificate, Entries, Entry, SplitFacts, Statistic, make_statistic, rows_digest
from ser.wording import examples

FITTED_ON_VAL = ("thresholds", "temperature", "epochs", "hyper-parameters")
"""Statistics that may be fitted on val. All others must be fitted on train; none may be fitted on test."""


def check(certificate: Certificate, entries: Entries, manifest: Manifest) -> None:
    """Check a split against its certificate and its manifest.

    Raises:
        LeakageError: the tables were edited, the manifest has changed, a statistic was fitted on a split where it must not be, a copy is
            in another split than its original, or two splits share clips, samples or speakers against the declared kind.
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
    """Check that the table has the certified rows."""
    changed = {row.id for row in rows} ^ set(facts.samples)
    if changed:
        raise LeakageError(f"{name}.csv differs from its certificate in {examples(changed)}: run the extract step again")
    if rows_digest(rows) != facts.rows_digest:
        raise LeakageError(f"{name}.csv was edited after it was certified: run the extract step again")


def check_against_manifest(facts: SplitFacts, name: str, manifest: Manifest) -> None:
    """Check that every clip is still in the manifest, with the certified samples and speakers."""
    absent = [i for i in facts.samples if original_id(i) not in manifest]
    if absent:
        raise LeakageError(f"{name} has {examples(absent)}, which the manifest no longer has: run the extract step again")
    altered = [i for i, audio_hash in facts.samples.items() if manifest[original_id(i)].audio_hash != audio_hash]
    if altered:
        raise LeakageError(f"the samples of {examples(altered)} ({name}) have changed since the split was made: run the extract step again")
    if tuple(sorted({manifest[original_id(i)].speaker for i in facts.samples})) != facts.speakers:
        raise LeakageError(f"the speakers of {name} are not those of its certificate: run the extract step again")


def check_statistic(statistic: Statistic) -> None:
    """Check that a statistic was fitted on train, or on val if it is one of `FITTED_ON_VAL`."""
    if statistic.fitted_on == "train" or (statistic.fitted_on == "val" and statistic.what in FITTED_ON_VAL):
        return
    raise LeakageError(f"{statistic.what} was fitted on {statistic.fitted_on}, which leaks: it must be fitted on train")


def check_ids(certificate: Certificate, name: str, ids: Iterable[str]) -> None:
    """Check that every id, or the original of an augmented copy, belongs to the split `name`.

    Raises:
        LeakageError: an id does not; the message names the split that it belongs to.
    """
    homes = {i: home for home, facts in certificate.splits.items() for i in facts.samples}
    for utterance_id in ids:
        home = homes.get(original_id(utterance_id))
        if home != name:
            raise LeakageError(f"{utterance_id} is used as {name}, but {f'belongs to {home}' if home else 'is not in the split'}")


def check_copies(entries: Entries) -> None:
    """Check that every augmented copy is in the same split as its original."""
    homes = {row.id: name for name in SPLIT_NAMES for row in entries[name]}
    for utterance_id, home in homes.items():
        original_home = homes.get(original_id(utterance_id))
        if original_home != home:
            raise LeakageError(f"the augmented copy {utterance_id} is in {home}, its original is in {original_home or 'no split'}")


def check_kind(kind: str, entries: Entries, manifest: Manifest) -> None:
    """Check that no two splits share a clip, nor samples or speakers as far as `kind` declares it, according to the manifest."""
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
    """Whether a score on this split is speaker-independent: the certificate declares it, and its speakers and samples are disjoint."""
    speakers = {name: set(facts.speakers) for name, facts in certificate.splits.items()}
    samples = {name: set(facts.samples.values()) for name, facts in certificate.splits.items()}
    return certificate.kind == "speaker-disjoint" and all(
        not (sets[first] & sets[second]) for sets in (speakers, samples) for first, second in combinations(SPLIT_NAMES, 2)
    )


def record_statistic(certificate: Certificate, what: str, fitted_on: str, ids: Iterable[str]) -> Certificate:
    """Return the certificate with one more statistic; one of the same name is replaced.

    Raises:
        LeakageError: this statistic must not be fitted on this split, or an id (or the original of a copy) is in another split.
    """
    ids = tuple(ids)
    statistic = make_statistic(what, fitted_on, ids)
    check_statistic(statistic)
    check_ids(certificate, fitted_on, ids)
    others = tuple(other for other in certificate.statistics if other.what != what)
    return certificate.model_copy(update={"statistics": (*others, statistic)})
