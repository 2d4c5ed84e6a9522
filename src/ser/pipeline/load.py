"""The load step: does the store hold what the certified split needs? Fits the normaliser on train, and shows what stands where."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ser import paths
from ser.certificate import Entry, examples, made_from, record_statistic, write_certificate
from ser.config import ExperimentConfig
from ser.console import print_split, say
from ser.data import Normaliser, SpeechDataset, Stores
from ser.errors import ArtefactError, DataError
from ser.files import digest_json, exclusive_lock, read_json, remove_leftovers, write_json
from ser.manifest import Manifest, copy_id, original_id, read_manifest
from ser.pipeline.transform import store_folders
from ser.splits import CERTIFICATE_FILE, Split, read_split
from ser.store import FeatureStore


@dataclass(frozen=True)
class Loaded:
    """Everything that training needs, checked."""

    split: Split
    stores: Stores
    normaliser: Normaliser

    def dataset(self, config: ExperimentConfig, name: str) -> SpeechDataset | None:
        """The utterances of `train` (with its augmented copies), `val` or `test`; None for a split that holds none."""
        entries = self.split.splits[name]
        if name == "train":
            entries = with_copies(entries, config.augmentations.copies)
        return SpeechDataset(self.stores, entries, config.model.features, self.normaliser) if entries else None


def load(config: ExperimentConfig) -> Loaded:
    """Check everything that earlier steps left, fit the normaliser on train, note that in the certificate, and print the split.

    Raises:
        DataError: a step has not run for this config, or utterances are missing from the store; some are named.
        ArtefactError: the store is damaged.
        LeakageError: the certificate does not hold.
    """
    with exclusive_lock(paths.lock_file(config.project)):
        remove_leftovers(paths.split_folder(config))
        split, stores = open_all(config)
        stores.verify()
        train = with_copies(split.splits["train"], config.augmentations.copies)
        normaliser = Normaliser.fit(stores, (entry.id for entry in train))
        certificate = record_statistic(split.certificate, "normaliser", "train", (entry.id for entry in train))
        write_certificate(paths.split_folder(config) / CERTIFICATE_FILE, certificate)
        write_normaliser(paths.normaliser_file(config), stores, normaliser, certificate.statistics)
    print_split(split)
    clips = sum(len(entries) for entries in split.splits.values())
    say(f"{clips} utterances in the store, checksums verified; normaliser fitted on {len(train)} of train; {split.certificate.kind}")
    return Loaded(replace(split, certificate=certificate), stores, normaliser)


def read_loaded(config: ExperimentConfig) -> Loaded:
    """What the load step has left, for a later step; the certificate and the store's checksums are checked again.

    Raises:
        DataError: the load step has not run for this config.
        ArtefactError: the store is damaged, if only by one bit.
        LeakageError: the certificate does not hold.
    """
    split, stores = open_all(config)
    stores.verify()
    return Loaded(split, stores, read_normaliser(config, stores, split))


def open_all(config: ExperimentConfig) -> tuple[Split, Stores]:
    """Split and store, checked against manifest, certificate and config."""
    manifest = read_manifest(paths.manifest_file(config.project))
    split = read_split(paths.split_folder(config), manifest)
    if not made_from(split.certificate, config.split, config.labels):
        folder = paths.split_folder(config)
        raise DataError(f"{folder} was made from another split or labels config: run the extract step, or change split.name")
    stores = Stores([FeatureStore.open(folder) for folder in store_folders(config)])
    refuse_missing(split, manifest, stores, config.augmentations.copies)
    return split, stores


def refuse_missing(split: Split, manifest: Manifest, stores: Stores, copies: int) -> None:
    """
    Raises:
        DataError: the store lacks utterances of the split, or has them from other audio.
    """
    entries = [*with_copies(split.splits["train"], copies), *split.splits["val"], *split.splits["test"]]
    missing = [i for i in (entry.id for entry in entries) if i not in stores or stores.audio_hash(i) != manifest[original_id(i)].audio_hash]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(entries)} utterances are missing from the store: {examples(missing)}; run the transform step"
        )


def with_copies(entries: Iterable[Entry], copies: int) -> tuple[Entry, ...]:
    """Every training entry, and its augmented copies `<id>~1`... behind it."""
    return tuple(replace(entry, id=copy_id(entry.id, number)) if number else entry for entry in entries for number in range(copies + 1))


def write_normaliser(path: Path, stores: Stores, normaliser: Normaliser, statistics: Any) -> None:
    """It stands beside the split that it was fitted on."""
    content = {
        "stores": stores.fingerprints,
        "statistics": [statistic.model_dump(mode="json") for statistic in statistics],
        "mean": normaliser.mean.tolist(),
        "deviation": normaliser.deviation.tolist(),
    }
    write_json(path, {**content, "digest": digest_json(content)})


def read_normaliser(config: ExperimentConfig, stores: Stores, split: Split) -> Normaliser:
    """
    Raises:
        DataError: none was fitted on this train split and these features.
        ArtefactError: the file is damaged.
    """
    path = paths.normaliser_file(config)
    if not path.exists():
        raise DataError(f"{path} does not exist: run the load step first")
    content = read_json(path)
    if not isinstance(content, dict) or content.pop("digest", None) != digest_json(content):
        raise ArtefactError(f"{path} is damaged: its digest does not fit; run the load step again")
    try:
        fitted_on = content["stores"], content["statistics"]
        normaliser = Normaliser(np.array(content["mean"], np.float32), np.array(content["deviation"], np.float32))
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{path} is damaged ({error!r}): run the load step again") from None
    statistics = [statistic.model_dump(mode="json") for statistic in split.certificate.statistics]
    if fitted_on != (stores.fingerprints, statistics) or not statistics:
        raise DataError(f"{path} was fitted on other features or another split: run the load step again")
    return normaliser
