"""The load step: check that the store holds the features of the certified split, fit the normaliser on train, and print the split."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser.config import ExperimentConfig
from ser.corpora.manifest import Manifest, copy_id, original_id, read_manifest
from ser.corpora.registry import how_to_get_votes
from ser.corpora.votes import Votes, read_votes
from ser.errors import ArtefactError, DataError
from ser.features.normaliser import Normaliser, Normalisers, fit_normalisers
from ser.features.source import FeatureSource, Stores
from ser.features.store import FeatureStore
from ser.pipeline import paths
from ser.pipeline.stores import store_folders
from ser.splits.certificate import SPLIT_NAMES, Entry, Statistic, made_from, make_statistic, write_certificate
from ser.splits.checks import record_statistic
from ser.splits.split import CERTIFICATE_FILE, Split, classes_of, read_split
from ser.system.console import print_table, say
from ser.system.files import digest_json, exclusive_lock, read_json, remove_leftovers, write_json
from ser.training.batches import SpeechDataset
from ser.training.targets import vote_targets
from ser.wording import examples, join_words


@dataclass(frozen=True)
class Loaded:
    """The checked input of training."""

    split: Split
    source: FeatureSource
    normalisers: Normalisers
    votes: Votes = field(default_factory=dict)
    """Votes on clips of corpora whose table of votes was beside the audio."""

    def dataset(self, config: ExperimentConfig, name: str) -> SpeechDataset | None:
        """The utterances of `train` (with its augmented copies), `val` or `test`; None for an empty split.

        Raises:
            DataError: the targets are votes, and there are none on train.
        """
        entries, targets = self.split.splits[name], None
        if name == "train":
            entries = with_copies(entries, config.augmentations.copies)
            targets = self.targets(entries) if config.train.targets == "votes" else None
        return SpeechDataset(self.source, entries, config.model.features, self.normalisers, targets) if entries else None

    def targets(self, entries: Sequence[Entry]) -> NDArray[np.float32]:
        if not any(original_id(entry.id) in self.votes for entry in entries):
            raise DataError(f"train.targets requires votes, and no training clip has any: {how_to_get_votes()} and run the extract step")
        return vote_targets(entries, self.votes, self.split.classes, self.split.certificate.labels)


def load(config: ExperimentConfig) -> Loaded:
    """Check the results of earlier steps, fit the normalisers on train, record them in the certificate, and print the split.

    Raises:
        DataError: a step has not run for this config, or utterances are missing from the store; the message names some.
        ArtefactError: the store is corrupted.
        LeakageError: the certificate does not hold.
    """
    with exclusive_lock(paths.lock_file(config.project)):
        remove_leftovers(paths.split_folder(config))
        split, source = open_all(config)
        source.verify()
        ids = training_ids(config, split)
        normalisers = fit_normalisers(source, ids)
        certificate = record_statistic(split.certificate, statistic_name(source), "train", ids)
        loaded = Loaded(replace(split, certificate=certificate), source, normalisers)
        # The certificate is written last: it confirms the file, and one that an earlier load fitted on other audio may still be there.
        write_normalisers(paths.normaliser_file(config, normaliser_key(source)), loaded)
        write_certificate(paths.split_folder(config) / CERTIFICATE_FILE, certificate)
    print_split(split)
    clips = sum(len(entries) for entries in split.splits.values())
    say(f"{clips} utterances in the store, checksums verified; normaliser fitted on {len(ids)} of train; {split.certificate.kind}")
    return loaded


def read_loaded(config: ExperimentConfig) -> Loaded:
    """The result of the load step, for a later step; the certificate and the store's checksums are checked again.

    Raises:
        DataError: the load step has not run for this config.
        ArtefactError: the store is corrupted, even by a single bit.
        LeakageError: the certificate does not hold.
    """
    split, source = open_all(config)
    source.verify()
    return Loaded(split, source, read_normalisers(config, source, split), read_votes(paths.votes_file(config.project)))


def open_all(config: ExperimentConfig) -> tuple[Split, FeatureSource]:
    """The split and the stores of the model's features, checked against manifest, certificate and config."""
    manifest = read_manifest(paths.manifest_file(config.project))
    split = read_split(paths.split_folder(config), manifest)
    if not made_from(split.certificate, config.split, config.labels):
        folder = paths.split_folder(config)
        raise DataError(f"{folder} was made from another split or labels config: run the extract step, or change split.name")
    refuse_dropped(split, config)
    folders = store_folders(config, config.model.features)
    source = FeatureSource({name: Stores([FeatureStore.open(folder) for folder in group]) for name, group in folders.items()})
    refuse_missing(config, split, manifest, source)
    return split, source


def refuse_dropped(split: Split, config: ExperimentConfig) -> None:
    """Check the classes that an earlier extract left out under another `labels.missing`: its rows are the same, so the certificate is
    valid.

    Raises:
        DataError: classes are missing, and `labels.missing` is `error`.
    """
    dropped = [emotion for emotion in classes_of(config.labels) if emotion not in split.classes]
    if dropped and config.labels.missing == "error":
        raise DataError(
            f"the split {split.certificate.name!r} has no clip of {join_words(dropped)}: take the class out of labels.keep, add a corpus "
            "that has it and run the extract step, or set labels.missing to drop"
        )


def refuse_missing(config: ExperimentConfig, split: Split, manifest: Manifest, source: FeatureSource) -> None:
    """
    Raises:
        DataError: utterances of the split are missing from the store, or were computed from other audio.
    """
    ids = [*training_ids(config, split), *(entry.id for name in ("val", "test") for entry in split.splits[name])]
    missing = source.missing({i: manifest[original_id(i)].audio_hash for i in ids})
    if missing:
        raise DataError(f"{len(missing)} of {len(ids)} utterances are missing from the store: {examples(missing)}; run the transform step")


def training_ids(config: ExperimentConfig, split: Split) -> list[str]:
    """The source of the training clips with their augmented copies."""
    return [entry.id for entry in with_copies(split.splits["train"], config.augmentations.copies)]


def with_copies(entries: Iterable[Entry], copies: int) -> tuple[Entry, ...]:
    """Every training entry, followed by its augmented copies `<id>~1`..."""
    return tuple(replace(entry, id=copy_id(entry.id, number)) if number else entry for entry in entries for number in range(copies + 1))


def normaliser_key(source: FeatureSource) -> str:
    """A key that distinguishes the features that are normalised on one split."""
    return digest_json(source.fingerprints)[:12]


def statistic_name(source: FeatureSource) -> str:
    """The key of the normaliser in the certificate."""
    return f"normaliser-{normaliser_key(source)}"


def write_normalisers(path: Path, loaded: Loaded) -> None:
    """Read the normalisers beside the split that they were fitted on, and check them against its certificate."""
    name = statistic_name(loaded.source)
    statistic = next(statistic for statistic in loaded.split.certificate.statistics if statistic.what == name)
    content = {
        "stores": loaded.source.fingerprints,
        "statistic": statistic.model_dump(mode="json"),
        "normalisers": {
            name: {"mean": normaliser.mean.tolist(), "deviation": normaliser.deviation.tolist()}
            for name, normaliser in loaded.normalisers.items()
        },
    }
    write_json(path, {**content, "digest": digest_json(content)})


def read_normalisers(config: ExperimentConfig, source: FeatureSource, split: Split) -> dict[str, Normaliser]:
    """
    Raises:
        DataError: no normaliser was fitted on this train split and these features.
        ArtefactError: the file is corrupted.
    """
    path = paths.normaliser_file(config, normaliser_key(source))
    if not path.exists():
        raise DataError(f"{path} does not exist: run the load step first")
    content = read_json(path)
    if not isinstance(content, dict) or content.pop("digest", None) != digest_json(content):
        raise ArtefactError(f"{path} is corrupted (checksum mismatch); run the load step again")
    try:
        stores, statistic = content["stores"], Statistic.model_validate(content["statistic"])
        normalisers = {
            name: Normaliser(np.array(fitted["mean"], np.float32), np.array(fitted["deviation"], np.float32))
            for name, fitted in content["normalisers"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{path} is corrupted ({error!r}): run the load step again") from None
    wanted = make_statistic(statistic_name(source), "train", training_ids(config, split))
    if stores != source.fingerprints or statistic != wanted or wanted not in split.certificate.statistics:
        raise DataError(f"{path} was fitted on other features or another split: run the load step again")
    return normalisers


def print_split(split: Split) -> None:
    """A table of the clips of each corpus, split and emotion, with the number of speakers."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    speakers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name in SPLIT_NAMES:
        for entry in split.splits[name]:
            for corpus in (entry.corpus, "all"):
                counts[corpus, name][entry.emotion] += 1
                speakers[corpus, name].add(entry.speaker)
    corpora = [*sorted({corpus for corpus, _ in counts} - {"all"}), "all"]
    rows = []
    for corpus in corpora:
        for name in SPLIT_NAMES:
            clips = counts[corpus, name]
            rows.append((f"{corpus} {name}", len(speakers[corpus, name]), clips.total(), *(clips[emotion] for emotion in split.classes)))
    print_table(f"split {split.certificate.name}: clips", ("", "speakers", "clips", *split.classes), rows)
