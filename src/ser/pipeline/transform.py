"""transform: manifest.csv and data/raw -> the stores of each extractor: of all utterances, and of altered copies of the training clips."""

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ser.audio.augment import Augmenter
from ser.audio.decode import audio_hash, read_audio
from ser.audio.waveform import Stages, Waveform, fix_duration, normalise_peak, prepare
from ser.config import AugmentationsConfig, ExperimentConfig
from ser.corpora.manifest import Manifest, Utterance, copy_id, original_id, read_manifest
from ser.errors import AudioError, DataError
from ser.features.base import ClipError, Frames
from ser.features.family import FeatureFamily
from ser.features.registry import families_of
from ser.features.shards import Clip, read_sidecar, shard_name, sidecar_path, write_shard
from ser.features.store import StoreSpec, finish_store, inventory
from ser.pipeline import paths
from ser.pipeline.stores import augmented_spec, frame_bytes
from ser.splits.split import CERTIFICATE_FILE, read_split
from ser.system.cores import available_cores
from ser.system.files import exclusive_lock
from ser.system.memory import keep_memory
from ser.system.parallel import run_tasks
from ser.system.progress import AUDIO, track
from ser.system.tables import read_table

log = logging.getLogger(__name__)


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

    family: FeatureFamily
    folder: Path
    spec: StoreSpec
    stored: tuple[Clip, ...]
    shards: tuple[Sequence[Item], ...]
    """Each one task."""
    seconds: tuple[float, ...]
    """Of audio in each of `shards`, at most: silence is still to be trimmed."""
    estimated_bytes: int
    """Of `shards`, at most."""

    @property
    def to_compute(self) -> int:
        """Clips."""
        return sum(map(len, self.shards))


def transform(config: ExperimentConfig, repair: bool = False) -> list[Path]:
    """Compute the features that the stores lack; the folders of the finished stores.

    Args:
        repair: read the checksum of every shard first, and compute what is corrupted again.

    Raises:
        ConfigError: augmentation without the extra `augment`; a backbone without the layers asked for or for other audio;
            `ssl.device` is not here.
        DataError: no manifest yet, a clip changed since, no weights of the backbone, or a store cannot be written.
        ArtefactError: a damaged shard, without `repair`.
        LeakageError: the split's certificate does not hold.
        LockedError: another process writes to the processed folder.
    """
    paths.processed(config.project).mkdir(parents=True, exist_ok=True)
    keep_memory()
    try:
        with exclusive_lock(paths.lock_file(config.project)):
            for family in families_of(config.features.types):
                config = family.settle(config)
            plans = list(plan(config, repair))
            for store_plan in plans:  # whatever a later family lacks is said before minutes of work on an earlier one
                if store_plan.shards:
                    store_plan.family.fetch(config)
            for store_plan in plans:
                build(config, store_plan)
    except OSError as error:
        raise DataError(
            f"{paths.features_folder(config.project)}: {error.strerror or error}; what was stored before is untouched"
        ) from error
    return [store_plan.folder for store_plan in plans]


def plan(config: ExperimentConfig, repair: bool = False) -> Iterator[StorePlan]:
    """What `transform` would do, one plan for each store; writes nothing. Errors as of `transform`.

    The families that load torch come last: what a backbone lacks does not hide the others. torch is loaded only to learn what
    `ssl.precision: auto` is.
    """
    manifest = read_manifest(paths.manifest_file(config.project))
    if (paths.split_folder(config) / CERTIFICATE_FILE).exists():
        read_split(paths.split_folder(config), manifest)  # a broken certificate stops every step
    for family in families_of(config.features.types):
        wanted = [(family.spec(config), [Item(utterance) for utterance in manifest])]
        if config.augmentations.copies:
            wanted.append((augmented_spec(config, family.name), training_copies(config, manifest)))
        yield from [plan_store(config, family, spec, manifest, items, repair) for spec, items in wanted]


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


def plan_store(
    config: ExperimentConfig, family: FeatureFamily, spec: StoreSpec, manifest: Manifest, wanted: Sequence[Item], repair: bool
) -> StorePlan:
    """Keep what finished shards hold of clips that the manifest still has; what is wanted besides makes new shards.

    Kept are also copies that this split does not train on: another split that shares the store does.
    """
    folder = paths.features_folder(config.project) / spec.folder_name
    known = {(utterance.id, utterance.audio_hash) for utterance in manifest}
    clips = {(clip.id, clip.audio_hash): clip for shard in inventory(folder, repair) for clip in shard.clips}
    missing = [item for item in wanted if item.key not in clips]
    shards = tuple(cut(config, family, missing))
    seconds = tuple(sum(seconds_of(config, item) for item in shard) for shard in shards)
    return StorePlan(
        family=family,
        folder=folder,
        spec=spec,
        stored=tuple(clip for clip in clips.values() if (original_id(clip.id), clip.audio_hash) in known),
        shards=shards,
        seconds=seconds,
        estimated_bytes=round((len(missing) + sum(seconds) * spec.frame_rate) * frame_bytes(spec)),
    )


def seconds_of(config: ExperimentConfig, item: Item) -> float:
    """Of the audio that features are computed from, at most: silence is still to be trimmed, a copy may be slower or not."""
    longest = config.audio.duration or float("inf")
    if config.audio.pad and config.audio.duration:
        return longest
    return min(item.utterance.duration * (longest_copy(config.augmentations) if item.copy else 1.0), longest)


def longest_copy(config: AugmentationsConfig) -> float:
    """By how much a copy may be longer than its clip.

    >>> longest_copy(AugmentationsConfig(speed=(0.5, 1.5), stretch_rate=(0.8, 1.25)))
    2.5
    """
    slowest = [factors[0] for factors in (config.speed, config.stretch_rate) if factors]
    return math.prod(1 / min(factor, 1.0) for factor in slowest)


def cut(config: ExperimentConfig, family: FeatureFamily, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Shards: neighbours in the order given, or the longest clips first."""
    if family.longest_first:
        items = sorted(items, key=lambda item: (-seconds_of(config, item), item.id))
    return chunks(items, family.shard_clips(config))


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Neighbours, `size` at a time; the last may be fewer."""
    return (items[start : start + size] for start in range(0, len(items), size))


def build(config: ExperimentConfig, store_plan: StorePlan) -> None:
    """Compute the plan's shards over processes, then make them and what stood there before the content of the store."""
    family, folder, spec, shards = store_plan.family, store_plan.folder, store_plan.spec, store_plan.shards
    with family.threads():
        if shards:
            family.make(config)  # whatever it lacks shows before anything is written, and forked workers share it
        folder.mkdir(parents=True, exist_ok=True)
        log.info("%s: %d clips stored, %d to compute", folder, len(store_plan.stored), store_plan.to_compute)
        task = partial(compute_shard, config, family, folder, spec)
        results = run_tasks(task, shards, number_of_workers(config, family), name=shard_label)
        amounts, unit = (store_plan.seconds, AUDIO) if family.counts_audio else (tuple(map(len, shards)), "clips")
        with closing(results), track(f"transform {spec.name}", sum(amounts), unit) as advance:
            for index, _ in results:
                advance(amounts[index])
    names = [shard_name(spec.fingerprint, [item.key for item in shard]) for shard in shards]
    fresh = [clip for name in names for clip in read_sidecar(sidecar_path(folder, name)).clips]
    finish_store(folder, spec, [*store_plan.stored, *fresh])


def number_of_workers(config: ExperimentConfig, family: FeatureFamily) -> int:
    return family.workers(config) or config.runtime.workers or available_cores()


def shard_label(shard: Sequence[Item]) -> str:
    return f"the shard of {shard[0].id} to {shard[-1].id}"


def compute_shard(config: ExperimentConfig, family: FeatureFamily, folder: Path, spec: StoreSpec, items: Sequence[Item]) -> None:
    """A worker's task."""
    keys, features = [item.key for item in items], shard_features(config, family, items)
    with family.threads():
        write_shard(folder, spec.fingerprint, keys, features, spec.dtype, spec.columns)


def shard_features(config: ExperimentConfig, family: FeatureFamily, items: Sequence[Item]) -> Iterator[Frames]:
    """(frames, sum of dims) of each item.

    Raises:
        DataError: a file is not what the extract step saw, or a number cannot be stored; the clip is named.
    """
    extractor = family.make(config)
    augmenter = Augmenter(config.augmentations, config.audio.sampling_rate) if items[0].copy else None
    for group in groups(config, family, items):
        try:
            yield from extractor.extract([waveform_of(config, item, augmenter) for item in group])
        except ClipError as error:
            raise DataError(f"{group[error.index].id}: {error}") from error


def groups(config: ExperimentConfig, family: FeatureFamily, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Clips whose waveforms and features a worker holds at once: neighbours, as many as the family's limit allows."""
    limit = family.group_limit(config)
    most_clips, most_seconds = limit.clips or math.inf, limit.seconds or math.inf
    group: list[Item] = []
    held = 0.0
    for item in items:
        seconds = seconds_of(config, item)
        if group and (len(group) >= most_clips or held + seconds > most_seconds):
            yield group
            group, held = [], 0.0
        group.append(item)
        held += seconds
    yield group


def waveform_of(config: ExperimentConfig, item: Item, augmenter: Augmenter | None) -> Waveform:
    """What features are computed from; errors as of `stages_of`."""
    stages = stages_of(config, item.utterance)
    if augmenter is None:
        return stages.prepared
    return normalise_peak(fix_duration(augmenter.alter(stages.fixed, item.id), config.audio))


def stages_of(config: ExperimentConfig, utterance: Utterance) -> Stages:
    """
    Raises:
        DataError: the file is not what the extract step saw.
    """
    path = Path(config.project.raw_dir) / utterance.path
    try:
        audio = read_audio(path)
    except AudioError as error:
        raise DataError(f"{path} has changed since the extract step ({error}): run extract again") from None
    if audio_hash(audio) != utterance.audio_hash:
        raise DataError(f"{path} has changed since the extract step: run extract again")
    return prepare(audio.samples, audio.sample_rate, config.audio)
