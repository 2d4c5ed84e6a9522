"""transform: manifest.csv and data/raw -> the feature store, and a second one for altered copies of the training clips."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from os import cpu_count
from pathlib import Path

import numpy as np

from ser import paths
from ser.audio import Waveform, fix_duration, normalise_peak, prepare
from ser.augment import CODE_VERSION as AUGMENT_VERSION
from ser.augment import Augmenter, library_version
from ser.config import ExperimentConfig
from ser.decode import audio_hash, read_audio
from ser.errors import AudioError, DataError
from ser.features.base import Frames
from ser.features.spectral import CODE_VERSION, SpectralExtractor
from ser.files import exclusive_lock
from ser.manifest import Manifest, Utterance, copy_id, original_id, read_manifest
from ser.memory import keep_memory
from ser.parallel import run_tasks
from ser.progress import track
from ser.shards import Clip, read_sidecar, shard_name, sidecar_path, write_shard
from ser.splits import CERTIFICATE_FILE, read_split
from ser.store import StoreSpec, finish_store, inventory
from ser.tables import read_table

log = logging.getLogger(__name__)

GROUP_CLIPS = 8
"""Waveforms that a worker holds at once."""


@dataclass(frozen=True, slots=True)
class Item:
    """One clip to compute: an utterance, or its altered copy number `copy`."""

    utterance: Utterance
    copy: int = 0

    @property
    def id(self) -> str:
        return copy_id(self.utterance.id, self.copy) if self.copy else self.utterance.id

    @property
    def key(self) -> tuple[str, str]:
        return self.id, self.utterance.audio_hash


@dataclass(frozen=True, slots=True)
class StorePlan:
    """What stands in a store already, and what is to be computed."""

    folder: Path
    spec: StoreSpec
    stored: tuple[Clip, ...]
    shards: tuple[Sequence[Item], ...]
    """Each one task."""
    estimated_bytes: int
    """Of `shards`, at most: silence is still to be trimmed."""

    @property
    def to_compute(self) -> int:
        """Clips."""
        return sum(map(len, self.shards))


def transform(config: ExperimentConfig, repair: bool = False) -> list[Path]:
    """Compute the features that the stores lack; the folders of the finished stores.

    Args:
        repair: read the checksum of every shard first, and compute what is damaged again.

    Raises:
        ConfigError: augmentation without the extra `augment`.
        DataError: no manifest yet, a clip changed since, or the store cannot be written.
        ArtefactError: a damaged shard, without `repair`.
        LeakageError: the split's certificate does not hold.
        LockedError: another process writes to the processed folder.
    """
    paths.processed(config.project).mkdir(parents=True, exist_ok=True)
    keep_memory()
    try:
        with exclusive_lock(paths.lock_file(config.project)):
            for store_plan in plan(config, repair):
                build(config, store_plan)
    except OSError as error:
        raise DataError(
            f"{paths.features_folder(config.project)}: {error.strerror or error}; what was stored before is untouched"
        ) from error
    return store_folders(config)


def store_folder(config: ExperimentConfig) -> Path:
    """Of the features of all utterances."""
    return paths.features_folder(config.project) / spectral_spec(config).folder_name


def augmented_folder(config: ExperimentConfig) -> Path | None:
    """Of the altered copies of the training clips, where the config asks for them."""
    return paths.features_folder(config.project) / augmented_spec(config).folder_name if config.augmentations.copies else None


def store_folders(config: ExperimentConfig) -> list[Path]:
    return [folder for folder in (store_folder(config), augmented_folder(config)) if folder]


def spectral_spec(config: ExperimentConfig) -> StoreSpec:
    extractor = SpectralExtractor(config.audio, config.features)
    ingredients = {
        "code_version": CODE_VERSION,
        "audio": config.audio.model_dump(mode="json"),
        "features": config.features.model_dump(mode="json", exclude={"shard_clips", "dtype"}),
    }
    return StoreSpec(extractor.name, extractor.dims, extractor.frame_rate, config.features.dtype, ingredients)


def augmented_spec(config: ExperimentConfig) -> StoreSpec:
    spec = spectral_spec(config)
    settings = config.augmentations.model_dump(mode="json", exclude={"copies"})
    ingredients = {**spec.ingredients, "augment_version": AUGMENT_VERSION, "augmentations": settings, "audiomentations": library_version()}
    return StoreSpec("augmented", spec.dims, spec.frame_rate, spec.dtype, ingredients)


def plan(config: ExperimentConfig, repair: bool = False) -> list[StorePlan]:
    """What `transform` would do, one plan for each store; writes nothing. Errors as of `transform`."""
    manifest = read_manifest(paths.manifest_file(config.project))
    if (paths.split_folder(config) / CERTIFICATE_FILE).exists():
        read_split(paths.split_folder(config), manifest)  # a broken certificate stops every step
    plans = [plan_store(config, spectral_spec(config), manifest, [Item(utterance) for utterance in manifest], repair)]
    if config.augmentations.copies:
        plans.append(plan_store(config, augmented_spec(config), manifest, training_copies(config, manifest), repair))
    return plans


def training_copies(config: ExperimentConfig, manifest: Manifest) -> list[Item]:
    """
    Raises:
        DataError: there is no split yet, or it names an utterance that the manifest lacks.
    """
    table = paths.split_folder(config) / "train.csv"
    if not table.exists():
        raise DataError(f"{table} does not exist: run the extract step first")
    ids = [row["id"] for row in read_table(table, ("id",))]
    unknown = next((utterance_id for utterance_id in ids if utterance_id not in manifest), None)
    if unknown:
        raise DataError(f"{table} names {unknown}, which the manifest lacks: run the extract step again")
    return [Item(manifest[utterance_id], copy) for utterance_id in sorted(ids) for copy in range(1, config.augmentations.copies + 1)]


def plan_store(config: ExperimentConfig, spec: StoreSpec, manifest: Manifest, wanted: Sequence[Item], repair: bool) -> StorePlan:
    """Keep what finished shards hold of clips that the manifest still has; what is wanted besides, in order, makes new shards.

    Kept are also copies that this split does not train on: another split that shares the store does.
    """
    folder = paths.features_folder(config.project) / spec.folder_name
    known = {(utterance.id, utterance.audio_hash) for utterance in manifest}
    clips = {(clip.id, clip.audio_hash): clip for shard in inventory(folder, repair) for clip in shard.clips}
    missing = [item for item in wanted if item.key not in clips]
    longest = config.audio.duration or float("inf")
    frames = sum(1 + min(item.utterance.duration, longest) * spec.frame_rate for item in missing)
    return StorePlan(
        folder=folder,
        spec=spec,
        stored=tuple(clip for clip in clips.values() if (original_id(clip.id), clip.audio_hash) in known),
        shards=tuple(chunks(missing, config.features.shard_clips)),
        estimated_bytes=round(frames * spec.columns * np.dtype(spec.dtype).itemsize),
    )


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Neighbours, `size` at a time; the last may be fewer."""
    return (items[start : start + size] for start in range(0, len(items), size))


def build(config: ExperimentConfig, store_plan: StorePlan) -> None:
    """Compute the plan's shards over processes, then make them and what stood there before the content of the store."""
    folder, spec = store_plan.folder, store_plan.spec
    folder.mkdir(parents=True, exist_ok=True)
    log.info("%s: %d clips stored, %d to compute", folder, len(store_plan.stored), store_plan.to_compute)
    task = partial(compute_shard, config, folder, spec)
    workers = config.runtime.workers or cpu_count() or 1
    with (
        closing(run_tasks(task, store_plan.shards, workers, name=describe)) as results,
        track(f"transform {spec.name}", store_plan.to_compute, "clips") as advance,
    ):
        for _, clips in results:
            advance(clips)
    names = [shard_name(spec.fingerprint, [item.key for item in shard]) for shard in store_plan.shards]
    fresh = [clip for name in names for clip in read_sidecar(sidecar_path(folder, name)).clips]
    finish_store(folder, spec, [*store_plan.stored, *fresh])


def describe(shard: Sequence[Item]) -> str:
    return f"the shard of {shard[0].id} to {shard[-1].id}"


def compute_shard(config: ExperimentConfig, folder: Path, spec: StoreSpec, items: Sequence[Item]) -> int:
    """A worker's task; the number of clips."""
    write_shard(folder, spec.fingerprint, [item.key for item in items], shard_features(config, items), spec.dtype, spec.columns)
    return len(items)


def shard_features(config: ExperimentConfig, items: Sequence[Item]) -> Iterator[Frames]:
    """(frames, sum of dims) of each item."""
    extractor = SpectralExtractor(config.audio, config.features)
    augmenter = Augmenter(config.augmentations, config.audio.sampling_rate) if items[0].copy else None
    for group in chunks(items, GROUP_CLIPS):
        yield from extractor.extract([waveform_of(config, item, augmenter) for item in group])


def waveform_of(config: ExperimentConfig, item: Item, augmenter: Augmenter | None) -> Waveform:
    """
    Raises:
        DataError: the file is not what the extract step saw.
    """
    path = Path(config.project.raw_dir) / item.utterance.path
    try:
        audio = read_audio(path)
    except AudioError as error:
        raise DataError(f"{path} has changed since the extract step ({error}): run extract again") from None
    if audio_hash(audio) != item.utterance.audio_hash:
        raise DataError(f"{path} has changed since the extract step: run extract again")
    stages = prepare(audio.samples, audio.sample_rate, config.audio)
    if augmenter is None:
        return stages.prepared
    return normalise_peak(fix_duration(augmenter.alter(stages.fixed, item.utterance.id, item.copy), config.audio))
