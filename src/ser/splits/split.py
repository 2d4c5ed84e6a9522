"""Splits into train, val and test: drawn by speaker, listed explicitly, or drawn at random to measure the effect of leakage."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from ser.config import LabelsConfig, SplitConfig
from ser.corpora.manifest import Manifest
from ser.errors import ArtefactError, DataError
from ser.splits.certificate import SPLIT_NAMES, Certificate, Entries, Entry, certify, read_certificate, write_certificate
from ser.splits.checks import check
from ser.splits.draw import draw_speakers, draw_utterances
from ser.splits.explicit import explicit_ids, explicit_speakers
from ser.system.tables import read_table, write_table
from ser.wording import examples, join_words

log = logging.getLogger(__name__)

COLUMNS = tuple(field.name for field in fields(Entry))
"""Columns of train.csv, val.csv and test.csv."""
CERTIFICATE_FILE = "leakage.json"
"""Name of the certificate's file beside the tables."""


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
        DataError: nothing to split, an unknown corpus, speaker or id, an empty train or test, fewer than two classes, a class without a
            clip in train, or one without any clip where `labels.missing` is `error`.
        LeakageError: the result is not what `config.kind` declares.
    """
    divided = divide(manifest, config, labels, skipped_ids)
    for warning in divided.warnings:
        log.warning("%s", warning)
    certificate = certify(divided.splits, divided.classes, config, labels, manifest)
    check(certificate, divided.splits, manifest)
    return Split(divided.splits, divided.classes, certificate)


@dataclass(frozen=True)
class Divided:
    """A split before it is certified."""

    splits: Entries
    classes: tuple[str, ...]
    warnings: tuple[str, ...]
    """What a reader of its scores should know."""


def divide(manifest: Manifest, config: SplitConfig, labels: LabelsConfig, skipped_ids: Collection[str] = ()) -> Divided:
    """The division alone. It needs the names of the clips, not their audio, so that it can be tried before anything is decoded.

    Raises:
        DataError: as of `make_split`.
    """
    warnings: list[str] = []
    classes, entries = present_classes(take_part(manifest, config, labels, classes_of(labels)), labels, warnings)
    homes = assign(entries, manifest, config, skipped_ids, warnings)
    splits = {name: tuple(entry for entry in entries if homes.get(entry.id, "train") == name) for name in SPLIT_NAMES}
    check_sizes(splits, config, warnings)
    check_classes(splits, classes, warnings)
    return Divided(splits, classes, tuple(warnings))


def present_classes(entries: list[Entry], labels: LabelsConfig, warnings: list[str]) -> tuple[tuple[str, ...], list[Entry]]:
    """The classes that have clips, and the entries with labels that index these.

    Raises:
        DataError: a class has none and `labels.missing` is `error`, or fewer than two have any.
    """
    wanted, found = classes_of(labels), {entry.emotion for entry in entries}
    missing = [emotion for emotion in wanted if emotion not in found]
    if not missing:
        return wanted, entries
    lack = f"no clip of {join_words(missing)} in {join_words(sorted({entry.corpus for entry in entries}))}"
    if labels.missing == "error":
        raise DataError(f"{lack}: take the class out of labels.keep, add a corpus that has it, or set labels.missing to drop")
    classes = tuple(emotion for emotion in wanted if emotion in found)
    if len(classes) < 2:
        raise DataError(f"{lack}: only {classes[0]} is left, and a recogniser needs at least two classes; add a corpus")
    warnings.append(f"{lack}: the model is trained on the other {len(classes)} classes")
    return classes, [replace(entry, label=classes.index(entry.emotion)) for entry in entries]


def classes_of(labels: LabelsConfig) -> tuple[str, ...]:
    """The kept emotions that are not merged into another, in the order of the vocabulary."""
    classes = tuple(str(emotion) for emotion in labels.keep if emotion not in labels.merge)
    if len(classes) < 2:
        raise DataError(f"labels.keep and labels.merge leave {len(classes)} class(es): a classifier needs at least two")
    return classes


def take_part(manifest: Manifest, config: SplitConfig, labels: LabelsConfig, classes: tuple[str, ...]) -> list[Entry]:
    """The utterances of the chosen corpora with a kept emotion, in the order of the manifest."""
    present = {utterance.corpus for utterance in manifest}
    absent = [corpus for corpus in config.corpora or () if corpus not in present]
    if absent:
        raise DataError(f"split.corpora has {', '.join(absent)}, but the manifest has only {', '.join(sorted(present)) or 'nothing'}")
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


def assign(
    entries: Sequence[Entry], manifest: Manifest, config: SplitConfig, skipped_ids: Collection[str], warnings: list[str]
) -> dict[str, str]:
    """{id: `train`, `val` or `test`}; ids that are not in the mapping belong to train."""
    if config.rule == "explicit-ids":
        return explicit_ids(entries, manifest, config, skipped_ids, warnings)
    if config.rule == "random":
        return draw_utterances(entries, config)
    if config.rule == "explicit-speakers":
        speakers = explicit_speakers(entries, config)
    else:
        speakers = draw_speakers([manifest[entry.id] for entry in entries], config, warnings)
    return {entry.id: speakers.get(entry.speaker, "train") for entry in entries}


def check_sizes(splits: Entries, config: SplitConfig, warnings: list[str]) -> None:
    """Train and test are never empty; an empty val is worth a warning."""
    speakers = sorted({entry.speaker for rows in splits.values() for entry in rows})
    for name in ("train", "test"):
        if not splits[name]:
            raise DataError(f"split {config.name!r} (rule {config.rule}) leaves {name} empty: {way_out(splits, config, speakers)}")
    if not splits["val"]:
        warnings.append(f"split {config.name!r} leaves val empty: epochs and other choices cannot come from it")


def way_out(splits: Entries, config: SplitConfig, speakers: Sequence[str]) -> str:
    """Why train or test is empty, and what to do."""
    if config.rule == "random":
        return f"{sum(map(len, splits.values()))} clips are too few; add recordings"
    if config.rule == "speakers":
        return (
            f"no corpus here has two speakers ({examples(speakers)}), and none may be on both sides; add speakers, or divide the clips "
            "without regard to speakers (--set split.rule=random --set split.kind=sample-disjoint; its score holds for known voices only)"
        )
    return f"{len(speakers)} speaker(s) take part; change the lists of the split"


def check_classes(splits: Entries, classes: tuple[str, ...], warnings: list[str]) -> None:
    """Every class has clips in train; where val or test lacks one, their scores say nothing about it."""
    for name in SPLIT_NAMES:
        present = {entry.label for entry in splits[name]}
        absent = [emotion for label, emotion in enumerate(classes) if label not in present]
        if name == "train" and absent:
            raise DataError(
                f"train has no clip of {', '.join(absent)}, but val or test has: take the class out of labels.keep, add a corpus that has "
                "it, or divide otherwise (split.seed)"
            )
        if absent and splits[name]:
            warnings.append(f"{name} has no clip of {', '.join(absent)}")


def write_split(folder: Path, split: Split) -> None:
    """Write {train,val,test}.csv and leakage.json. The certificate is written last; a split without it is incomplete."""
    for name in SPLIT_NAMES:
        write_table(folder / f"{name}.csv", COLUMNS, (asdict(entry) for entry in split.splits[name]))
    write_certificate(folder / CERTIFICATE_FILE, split.certificate)


def read_split(folder: Path, manifest: Manifest) -> Split:
    """Read a stored split and check it against its certificate and the manifest.

    Raises:
        DataError: there is no stored split.
        ArtefactError: a file is corrupted.
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
        raise ArtefactError(f"{path}: a label is not a number ({error}): run the extract step again") from None
