"""Train, val and test: drawn by speaker, given as lists of speakers or ids, or drawn at random to measure what leakage buys.

Drawing sorts by a seeded hash of the name instead of shuffling: the order of one corpus depends on no other corpus, on no order of
files and on no version of a random generator.
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path

from ser.config import LabelsConfig, SplitConfig
from ser.corpora.manifest import Manifest, Utterance
from ser.errors import ArtefactError, DataError
from ser.splits.certificate import SPLIT_NAMES, Certificate, Entries, Entry, certify, check, read_certificate, write_certificate
from ser.system.tables import read_table, write_table
from ser.wording import examples

log = logging.getLogger(__name__)

COLUMNS = tuple(field.name for field in fields(Entry))
CERTIFICATE_FILE = "leakage.json"

Genders = dict[str, list[str]]
"""gender -> speakers of one corpus, in drawing order."""


@dataclass(frozen=True)
class Split:
    """Rows of train, val and test, the classes that their labels index, and the certificate."""

    splits: Entries
    classes: tuple[str, ...]
    certificate: Certificate

    def ids(self, name: str) -> tuple[str, ...]:
        """Utterance ids of `train`, `val` or `test`."""
        return tuple(entry.id for entry in self.splits[name])


def make_split(manifest: Manifest, config: SplitConfig, labels: LabelsConfig, skipped_ids: Collection[str] = ()) -> Split:
    """Divide the utterances whose emotion is kept, and certify the result.

    Args:
        skipped_ids: ids that the census found and screened out. A published fold may list them: they are dropped with a warning that
            counts them. Any other unknown id is an error.

    Raises:
        DataError: nothing to split, an unknown corpus, speaker or id, an empty train or test, fewer than two classes, or a class
            without a clip in train.
        LeakageError: the result is not what `config.kind` declares.
    """
    classes = classes_of(labels)
    entries = take_part(manifest, config, labels, classes)
    homes = assign(entries, manifest, config, skipped_ids)
    splits = {name: tuple(entry for entry in entries if homes.get(entry.id, "train") == name) for name in SPLIT_NAMES}
    check_sizes(splits, config)
    check_classes(splits, classes)
    certificate = certify(splits, classes, config, labels, manifest)
    check(certificate, splits, manifest)
    return Split(splits, classes, certificate)


def classes_of(labels: LabelsConfig) -> tuple[str, ...]:
    """The kept emotions that are not merged into another, in the order of the vocabulary."""
    classes = tuple(str(emotion) for emotion in labels.keep if emotion not in labels.merge)
    if len(classes) < 2:
        raise DataError(f"labels.keep and labels.merge leave {len(classes)} class(es): a recogniser needs at least two")
    return classes


def take_part(manifest: Manifest, config: SplitConfig, labels: LabelsConfig, classes: tuple[str, ...]) -> list[Entry]:
    """The utterances of the chosen corpora with a kept emotion, in the order of the manifest."""
    present = {utterance.corpus for utterance in manifest}
    absent = [corpus for corpus in config.corpora or () if corpus not in present]
    if absent:
        raise DataError(f"split.corpora asks for {', '.join(absent)}; the manifest holds {', '.join(sorted(present)) or 'nothing'}")
    chosen = present if config.corpora is None else set(config.corpora)
    index = {emotion: label for label, emotion in enumerate(classes)}
    merge: Mapping[str, str] = {str(source): str(target) for source, target in labels.merge.items()}
    entries = []
    for utterance in manifest:
        emotion = merge.get(utterance.emotion, utterance.emotion)
        if utterance.corpus in chosen and emotion in index:
            entries.append(Entry(utterance.id, utterance.corpus, utterance.speaker, emotion, index[emotion]))
    if not entries:
        raise DataError(f"no utterance of the manifest has one of the emotions {', '.join(classes)}: nothing to split")
    return entries


def assign(entries: Sequence[Entry], manifest: Manifest, config: SplitConfig, skipped_ids: Collection[str]) -> dict[str, str]:
    """id -> `val` or `test` (or `train`, which every id that is not named gets)."""
    if config.rule == "explicit-ids":
        return explicit_ids(entries, manifest, config, skipped_ids)
    if config.rule == "random":
        return draw_utterances(entries, config)
    if config.rule == "explicit-speakers":
        speakers = explicit_speakers(entries, config)
    else:
        speakers = draw_speakers([manifest[entry.id] for entry in entries], config)
    return {entry.id: speakers.get(entry.speaker, "train") for entry in entries}


def draw_speakers(utterances: Iterable[Utterance], config: SplitConfig) -> dict[str, str]:
    """speaker -> split, drawn within each corpus and gender."""
    genders: dict[str, dict[str, str]] = defaultdict(dict)
    for utterance in utterances:
        genders[utterance.corpus].setdefault(utterance.speaker, utterance.gender)
    homes: dict[str, str] = {}
    for corpus, gender_of in genders.items():
        drawn = draw_corpus(gender_of, config)
        homes |= drawn
        missing = [name for name in SPLIT_NAMES if name not in drawn.values()]
        if missing:
            log.warning("%s has %d speaker(s): it gives none to %s", corpus, len(gender_of), " and ".join(missing))
    return homes


def draw_corpus(gender_of: Mapping[str, str], config: SplitConfig) -> dict[str, str]:
    """Speakers of one corpus: two give one to train and one to test, one trains; from three on every split gets at least one."""
    left: Genders = defaultdict(list)
    for speaker in sorted(gender_of, key=lambda name: drawing_key(config.seed, name)):
        left[gender_of[speaker]].append(speaker)
    homes = dict.fromkeys(gender_of, "train")
    totals = {gender: len(speakers) for gender, speakers in left.items()}
    if len(gender_of) >= 2:
        reserve = min(len(gender_of) - 1, 2)
        homes |= dict.fromkeys(take(left, totals, config.test_share, reserve), "test")
    if len(gender_of) >= 3:
        homes |= dict.fromkeys(take(left, totals, config.val_share, 1), "val")
    return homes


def take(left: Genders, totals: Mapping[str, int], share: float, reserve: int) -> list[str]:
    """Remove and return round(share) of each gender: at least one speaker in all, and so that at least `reserve` stay."""
    counts = {gender: min(round(share * totals[gender]), len(left[gender])) for gender in sorted(left)}
    if not any(counts.values()):
        counts[largest({gender: len(speakers) for gender, speakers in left.items()})] = 1
    while sum(map(len, left.values())) - sum(counts.values()) < reserve:
        counts[largest(counts)] -= 1
    taken = []
    for gender, count in counts.items():
        taken += left[gender][:count]
        del left[gender][:count]
    return taken


def largest(counts: Mapping[str, int]) -> str:
    """The gender with the highest count, the first by name among equals."""
    return max(sorted(counts), key=lambda gender: counts[gender])


def drawing_key(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()


def draw_utterances(entries: Iterable[Entry], config: SplitConfig) -> dict[str, str]:
    """id -> split, drawn within each corpus and label without regard to speakers."""
    strata: dict[tuple[str, int], list[str]] = defaultdict(list)
    for entry in entries:
        strata[entry.corpus, entry.label].append(entry.id)
    homes: dict[str, str] = {}
    for ids in strata.values():
        ids.sort(key=lambda utterance_id: drawing_key(config.seed, utterance_id))
        test = round(config.test_share * len(ids))
        val = test + round(config.val_share * len(ids))
        homes |= {**dict.fromkeys(ids[:test], "test"), **dict.fromkeys(ids[test:val], "val")}
    return homes


def explicit_speakers(entries: Iterable[Entry], config: SplitConfig) -> dict[str, str]:
    """speaker -> `val` or `test`, as listed."""
    known = {entry.speaker for entry in entries}
    refuse_unknown("speaker", [*config.val_speakers, *config.test_speakers], known)
    return listed(config.val_speakers, config.test_speakers)


def explicit_ids(entries: Iterable[Entry], manifest: Manifest, config: SplitConfig, skipped_ids: Collection[str]) -> dict[str, str]:
    """id -> `val` or `test`, as listed, without those that were screened out or whose emotion or corpus takes no part."""
    homes = listed(config.val_ids, config.test_ids)
    skipped = set(skipped_ids)
    screened = [i for i in homes if i not in manifest and i in skipped]
    refuse_unknown("id", [i for i in homes if i not in manifest and i not in skipped], {utterance.id for utterance in manifest})
    if screened:
        log.warning("%d listed id(s) were screened out and take no part: %s", len(screened), examples(screened))
    kept = {entry.id for entry in entries}
    others = [i for i in homes if i in manifest and i not in kept]
    if others:
        log.warning("%d listed id(s) have another emotion or corpus and take no part: %s", len(others), examples(others))
    return {i: home for i, home in homes.items() if i in kept}


def listed(val: Sequence[str], test: Sequence[str]) -> dict[str, str]:
    return {**dict.fromkeys(val, "val"), **dict.fromkeys(test, "test")}


def refuse_unknown(what: str, names: Iterable[str], known: Collection[str]) -> None:
    """
    Raises:
        DataError: some names are not known; the message names them and, for the first, the nearest that is.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        nearest = get_close_matches(unknown[0], sorted(known), n=1, cutoff=0)
        hint = f"; nearest to {unknown[0]} is {nearest[0]}" if nearest else ""
        raise DataError(f"the split lists {len(unknown)} unknown {what}(s): {examples(unknown)}{hint}")


def check_sizes(splits: Entries, config: SplitConfig) -> None:
    """Train and test are never empty; an empty val is worth a warning."""
    speakers = {entry.speaker for rows in splits.values() for entry in rows}
    for name in ("train", "test"):
        if not splits[name]:
            raise DataError(f"split {config.name!r} (rule {config.rule}) leaves {name} empty: {len(speakers)} speaker(s) take part")
    if not splits["val"]:
        log.warning("split %r leaves val empty: epochs and other choices cannot come from it", config.name)


def check_classes(splits: Entries, classes: tuple[str, ...]) -> None:
    """Every class has clips in train; where val or test lacks one, their scores say nothing about it."""
    for name in SPLIT_NAMES:
        present = {entry.label for entry in splits[name]}
        absent = [emotion for label, emotion in enumerate(classes) if label not in present]
        if name == "train" and absent:
            raise DataError(f"train has no clip of {', '.join(absent)}: take the class out of labels.keep, or add a corpus that has it")
        if absent and splits[name]:
            log.warning("%s has no clip of %s", name, ", ".join(absent))


def write_split(folder: Path, split: Split) -> None:
    """{train,val,test}.csv and leakage.json; the certificate, which makes the set count, is written last."""
    for name in SPLIT_NAMES:
        write_table(folder / f"{name}.csv", COLUMNS, (asdict(entry) for entry in split.splits[name]))
    write_certificate(folder / CERTIFICATE_FILE, split.certificate)


def read_split(folder: Path, manifest: Manifest) -> Split:
    """A stored split, checked against its certificate and the manifest.

    Raises:
        DataError: there is none.
        ArtefactError: a file is damaged.
        LeakageError: the certificate does not hold.
    """
    absent = [name for name in (*(f"{split}.csv" for split in SPLIT_NAMES), CERTIFICATE_FILE) if not (folder / name).exists()]
    if absent:
        raise DataError(f"{folder} lacks {', '.join(absent)}: run the extract step first")
    certificate = read_certificate(folder / CERTIFICATE_FILE)
    splits = {name: read_entries(folder / f"{name}.csv") for name in SPLIT_NAMES}
    check(certificate, splits, manifest)
    return Split(splits, certificate.classes, certificate)


def read_entries(path: Path) -> tuple[Entry, ...]:
    try:
        return tuple(Entry(r["id"], r["corpus"], r["speaker"], r["emotion"], int(r["label"])) for r in read_table(path, COLUMNS))
    except ValueError as error:
        raise ArtefactError(f"{path}: a label is no number ({error}): run the extract step again") from None
