"""--dry-run: what each step would do, with counts; nothing is written."""

from collections.abc import Sequence
from pathlib import Path

from ser import paths
from ser.census import find_files
from ser.config import ExperimentConfig
from ser.console import say
from ser.errors import SerError


def plan(config: ExperimentConfig, steps: Sequence[str]) -> None:
    """Print one line or more for each step. A step that waits for an earlier one says so."""
    plans = {"doctor": plan_doctor, "extract": plan_extract, "transform": plan_transform, "load": plan_load, "train": plan_train}
    for step in steps:
        try:
            lines = plans[step](config)
        except SerError as error:
            lines = [f"cannot tell yet: {error}"]
        for line in lines:
            say(f"{step:10}{line}")


def plan_doctor(_config: ExperimentConfig) -> list[str]:
    return ["look at environment, hardware, disk, audio and earlier steps"]


def plan_extract(config: ExperimentConfig) -> list[str]:
    files = find_files(Path(config.project.raw_dir), config.project.corpora)
    counts = {corpus: sum(file.corpus == corpus for file in files) for corpus in config.project.corpora}
    found = ", ".join(f"{corpus} {count}" for corpus, count in counts.items())
    return [f"decode and screen {len(files)} files ({found}), then split by rule {config.split.rule} into {paths.split_folder(config)}"]


def plan_transform(config: ExperimentConfig) -> list[str]:
    from ser.pipeline.transform import plan as plan_stores

    return [
        f"{store.folder}: {len(store.stored)} clips stored, {store.to_compute} to compute in {len(store.shards)} shards, "
        f"at most {store.estimated_bytes / 1e9:.2f} GB"
        for store in plan_stores(config)
    ]


def plan_load(config: ExperimentConfig) -> list[str]:
    from ser.pipeline.load import open_all

    split, source = open_all(config)
    counts = ", ".join(f"{name} {len(entries)}" for name, entries in split.splits.items())
    size = sum(path.stat().st_size for store in source.stores for path in store.folder.glob("*.npy"))
    return [f"verify {size / 1e9:.2f} GB of features; {counts} utterances, none missing; fit the normaliser on train"]


def plan_train(config: ExperimentConfig) -> list[str]:
    from ser.models import build_model
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
