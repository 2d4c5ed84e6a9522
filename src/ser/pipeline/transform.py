"""The transform step: compute the stores of each extractor, of all utterances and of altered copies of the training clips."""

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
    """The clips that a store holds, and those that are to be computed."""

    family: FeatureFamily
    folder: Path
    spec: StoreSpec
    stored: tuple[Clip, ...]
    shards: tuple[Sequence[Item], ...]
    """Each shard is one task."""
    seconds: tuple[float, ...]
    """Seconds of audio in each of `shards`; an upper limit, because silence is not trimmed yet."""
    estimated_bytes: int
    """Bytes of `shards`; an upper limit."""

    @property
    def to_compute(self) -> int:
        """Clips."""
        return sum(map(len, self.shards))


def transform(config: ExperimentConfig, repair: bool = False) -> list[Path]:
    """Compute the features that are missing from the stores, and return the folders of the stores.

    Args:
        repair: check the checksum of every shard first, and compute corrupted shards again.

    Raises:
        ConfigError: augmentation needs the extra `augment`, which is not installed; the backbone does not have the layers or is for other
            audio; `ssl.device` is not available.
        DataError: there is no manifest, a clip has changed, the backbone's weights are missing, or a store cannot be written.
        ArtefactError: a shard is corrupted, and `repair` is not set.
        LeakageError: the split's certificate is not valid.
        LockedError: another process is writing to the processed folder.
    """
    paths.processed(config.project).mkdir(parents=True, exist_ok=True)
    keep_memory()
    try:
        with exclusive_lock(paths.lock_file(config.project)):
            for family in families_of(config.features.types):
                config = family.settle(config)
            plans = list(plan(config, repair))
            for store_plan in plans:  # an error of a later family is reported before minutes of work on an earlier one
                if store_plan.shards:
                    store_plan.family.fetch(config)
            for store_plan in plans:
                build(config, store_plan)
    except OSError as error:
        raise DataError(f"{paths.features_folder(config.project)}: {error.strerror or error}; earlier features are not affected") from error
    return [store_plan.folder for store_plan in plans]


def plan(config: ExperimentConfig, repair: bool = False) -> Iterator[StorePlan]:
    """Plan `transform`: one plan for each store, without writing anything. Raises the errors of `transform`.

    The families that load torch come last, so that an error of a backbone does not hide the others. torch is loaded only to resolve
    `ssl.precision: auto`.
    """
    manifest = read_manifest(paths.manifest_file(config.project))
    if (paths.split_folder(config) / CERTIFICATE_FILE).exists():
        read_split(paths.split_folder(config), manifest)  # an invalid certificate stops every step
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
    """Plan a store: keep the features of clips that the manifest still has, and put the missing ones into new shards.

    Copies that this split does not train on are kept, because another split that shares the store may.
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
    """An upper limit of the seconds of audio: silence is not trimmed yet, and a copy may be slower than its clip."""
    longest = config.audio.duration or float("inf")
    if config.audio.pad and config.audio.duration:
        return longest
    return min(item.utterance.duration * (longest_copy(config.augmentations) if item.copy else 1.0), longest)


def longest_copy(config: AugmentationsConfig) -> float:
    """The largest ratio of a copy's duration to that of its clip.

    >>> longest_copy(AugmentationsConfig(speed=(0.5, 1.5), stretch_rate=(0.8, 1.25)))
    2.5
    """
    slowest = [factors[0] for factors in (config.speed, config.stretch_rate) if factors]
    return math.prod(1 / min(factor, 1.0) for factor in slowest)


def cut(config: ExperimentConfig, family: FeatureFamily, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Cut items into shards: neighbours in the order given, or the longest clips first."""
    if family.longest_first:
        items = sorted(items, key=lambda item: (-seconds_of(config, item), item.id))
    return chunks(items, family.shard_clips(config))


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Groups of `size` neighbours; the last may be smaller."""
    return (items[start : start + size] for start in range(0, len(items), size))


def build(config: ExperimentConfig, store_plan: StorePlan) -> None:
    """Compute the plan's shards in processes, then write the index of the store with them and the kept shards."""
    family, folder, spec, shards = store_plan.family, store_plan.folder, store_plan.spec, store_plan.shards
    with family.threads():
        if shards:
            family.make(config)  # made first: its errors are reported before anything is written, and forked workers share it
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
    """Compute one shard; the task of a worker."""
    keys, features = [item.key for item in items], shard_features(config, family, items)
    with family.threads():
        write_shard(folder, spec.fingerprint, keys, features, spec.dtype, spec.columns)


def shard_features(config: ExperimentConfig, family: FeatureFamily, items: Sequence[Item]) -> Iterator[Frames]:
    """The features of each item, (frames, sum of dims).

    Raises:
        DataError: a file has changed since the extract step, or a value cannot be stored; the message names the clip.
    """
    extractor = family.make(config)
    augmenter = Augmenter(config.augmentations, config.audio.sampling_rate) if items[0].copy else None
    for group in groups(config, family, items):
        try:
            yield from extractor.extract([waveform_of(config, item, augmenter) for item in group])
        except ClipError as error:
            raise DataError(f"{group[error.index].id}: {error}") from error


def groups(config: ExperimentConfig, family: FeatureFamily, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Groups of neighbouring clips that a worker holds in memory at once, as large as the family's limit allows."""
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
    """The waveform that features are computed from. Raises the errors of `stages_of`."""
    stages = stages_of(config, item.utterance)
    if augmenter is None:
        return stages.prepared
    return normalise_peak(fix_duration(augmenter.alter(stages.fixed, item.id), config.audio))


def stages_of(config: ExperimentConfig, utterance: Utterance) -> Stages:
    """
    Raises:
        DataError: the file has changed since the extract step.
    """
    path = Path(config.project.raw_dir) / utterance.path
    try:
        audio = read_audio(path)
    except AudioError as error:
        raise DataError(f"{path} has changed since the extract step ({error}): run extract again") from None
    if audio_hash(audio) != utterance.audio_hash:
        raise DataError(f"{path} has changed since the extract step: run extract again")
    return prepare(audio.samples, audio.sample_rate, config.audio)
