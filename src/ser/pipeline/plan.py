"""--dry-run: print what each step would do, with counts, without writing anything in the project.

Checking a backbone of the hub that was not used before may download its two small settings files to the hub's own cache, but no weights.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np

from ser.config import ExperimentConfig
from ser.corpora.census import find_files
from ser.errors import SerError
from ser.features.family import FeatureFamily
from ser.pipeline import paths
from ser.pipeline.extract import foresee_split
from ser.system.console import say

TRIAL_SECONDS = 1.0
"""Seconds for which an extractor runs, to measure its speed."""
TRIAL_CLIP_SECONDS = 2.5
"""Duration of the clip it runs on, about the mean of the four corpora."""


def plan(config: ExperimentConfig, steps: Sequence[str]) -> None:
    """Print one or more lines for each step; a step that depends on an earlier one says so."""
    plans = {"doctor": plan_doctor, "extract": plan_extract, "transform": plan_transform, "load": plan_load, "train": plan_train}
    for step in steps:
        try:
            for line in plans[step](config):
                say(f"{step:10}{line}")
        except SerError as error:
            say(f"{step:10}not known yet: {error}")


def plan_doctor(_config: ExperimentConfig) -> list[str]:
    return ["check environment, hardware, disk, audio and earlier steps"]


def plan_extract(config: ExperimentConfig) -> list[str]:
    files = find_files(Path(config.project.raw_dir), config.project.corpora)
    counts = {corpus: sum(file.corpus == corpus for file in files) for corpus in config.project.corpora}
    found = ", ".join(f"{corpus} {count}" for corpus, count in counts.items())
    divided = foresee_split(files, config)
    sizes = ", ".join(f"{name} {len(entries)}" for name, entries in divided.splits.items())
    work = f"decode and screen {len(files)} files ({found}), then split by rule {config.split.rule} into {paths.split_folder(config)}"
    return ["; ".join([work, f"by the names of the files {sizes}", *divided.warnings])]


def plan_transform(config: ExperimentConfig) -> Iterator[str]:
    """A line for each store. For a backbone that is present also the time: it is loaded, and runs for about a second."""
    from ser.pipeline.transform import number_of_workers
    from ser.pipeline.transform import plan as plan_stores

    speeds: dict[str, float] = {}  # {family: seconds of audio that one worker processes in a second}
    for store in plan_stores(config):
        family = store.family
        line = f"{store.folder}: {len(store.stored)} clips stored, {store.to_compute} to compute in {len(store.shards)} shards, "
        line += f"at most {store.estimated_bytes / 1e9:.2f} GB"
        missing = family.missing_files(config) if store.shards else ""
        if missing:
            line += f"; {missing}"
        elif family.counts_audio and store.shards:
            workers = min(number_of_workers(config, family), len(store.shards))
            speeds[family.name] = speeds.get(family.name) or measure_speed(config, family)
            speed = workers * speeds[family.name]
            line += f" and about {timedelta(seconds=round(sum(store.seconds) / speed))} ({speed:.0f} x real time, workers {workers})"
        yield line


def measure_speed(config: ExperimentConfig, family: FeatureFamily) -> float:
    """Seconds of audio that one process computes in a second. Raises the errors of `FeatureFamily.make`."""
    clip = np.random.default_rng(0).standard_normal(round(TRIAL_CLIP_SECONDS * config.audio.sampling_rate)).astype(np.float32)
    with family.threads():
        extractor = family.make(config)
        extractor.extract([clip])  # the first call prepares what later ones use
        start, clips = time.perf_counter(), 0
        while time.perf_counter() - start < TRIAL_SECONDS:
            extractor.extract([clip])
            clips += 1
        return clips * TRIAL_CLIP_SECONDS / (time.perf_counter() - start)


def plan_load(config: ExperimentConfig) -> list[str]:
    from ser.pipeline.load import open_all

    split, source = open_all(config)
    counts = ", ".join(f"{name} {len(entries)}" for name, entries in split.splits.items())
    size = sum(path.stat().st_size for store in source.stores for path in store.folder.glob("*.npy"))
    return [f"verify {size / 1e9:.2f} GB of features; {counts} utterances, none missing; fit the normaliser on train"]


def plan_train(config: ExperimentConfig) -> list[str]:
    from ser.models.registry import build_model
    from ser.pipeline.load import open_all

    split, source = open_all(config)
    model = build_model(config.model, source.shapes, len(split.classes))
    size = sum(parameter.numel() for parameter in model.parameters())
    clips = len(split.splits["train"])
    return [
        f"{config.model.name} on {', '.join(config.model.features)}: {size} parameters, {len(split.classes)} classes, "
        f"{clips} clips an epoch in batches of {config.train.batch_size}, at most {config.train.epochs} epochs; "
        f"then one reading of {len(split.splits['test'])} test clips"
    ]
