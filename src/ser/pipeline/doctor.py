"""The doctor step: check that everything the other steps need is present, without changing anything in the project.

Checking a backbone of the hub that was not used before may download its two small settings files to the hub's own cache, but no weights.
"""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ser.config import ExperimentConfig
from ser.corpora.census import files_of
from ser.corpora.folders import unknown_folders
from ser.corpora.manifest import read_manifest
from ser.corpora.registry import CORPORA
from ser.errors import ConfigError, DataError, SerError
from ser.features.family import Finding
from ser.features.registry import families_of
from ser.pipeline import paths
from ser.pipeline.extract import foresee_split
from ser.pipeline.stores import frame_bytes
from ser.splits.split import read_split
from ser.system.console import print_table
from ser.system.cores import available_cores
from ser.system.optional import install_hint, is_installed

CORE = (
    "huggingface-hub", "numpy", "onnxruntime", "pydantic", "rich", "ruamel.yaml", "safetensors", "scipy", "soundfile", "soxr", "torch",
    "transformers", "typer",
)  # fmt: skip
"""The dependencies in pyproject.toml that do not belong to an extra."""
Asked = Callable[[ExperimentConfig], object]
"""A function that returns whether a config needs an extra."""
ALL_CLIPS = 12_154
"""Number of clips in the four corpora."""
CLIP_SECONDS = 2.4
"""Mean duration of a clip after silence is trimmed, in seconds."""
TRAIN_SHARE = 0.6
"""Approximate share of the training clips if there is no split yet; only training clips have copies."""


def doctor(config: ExperimentConfig) -> None:
    """Print the result of every check.

    Raises:
        DataError: something is missing that the pipeline cannot run without.
    """
    findings = [*environment(config), *hardware(config), *families(config), *disk(config), *corpora(config), *earlier_steps(config)]
    print_table("doctor", ("", "state", "detail"), findings, text_columns=3)
    missing = [what for what, state, _ in findings if state == "missing"]
    if missing:
        raise DataError(f"missing: {', '.join(missing)}")


def environment(config: ExperimentConfig) -> Iterator[Finding]:
    """Check Python and packages; an extra is missing only if the config needs it."""
    yield "python", "ok", platform.python_version()
    for name in CORE:
        try:
            yield name, "ok", version(name)
        except PackageNotFoundError:
            yield name, "missing", install_hint()
    for extra, (module, asked) in extras().items():
        if is_installed(module):
            yield f"extra {extra}", "ok", version(module)
        else:
            yield f"extra {extra}", "missing" if asked(config) else "note", f"{install_hint(extra)} if a config needs it"


def extras() -> dict[str, tuple[str, Asked]]:
    """{extra: (its module, whether a config needs it)}"""
    return {
        "augment": ("audiomentations", lambda config: config.augmentations.copies and config.augmentations.needs_library),
        "viz": ("matplotlib", lambda _config: False),
        "track": ("tensorboard", lambda config: config.tracking.tensorboard),
    }


def hardware(config: ExperimentConfig) -> Iterator[Finding]:
    """The hardware that torch will use."""
    import torch

    from ser.system.device import choose_device, use_bf16

    try:
        device = choose_device(config.train)
    except ConfigError as error:
        yield "device", "missing", str(error)
        return
    precision = "bf16" if use_bf16(config.train, device) else "fp32"
    yield "device", "ok", f"{device}, {available_cores()} cores, training in {precision}, torch {torch.__version__}"


def families(config: ExperimentConfig) -> Iterator[Finding]:
    """Check what each feature family needs besides packages: the files of a backbone."""
    for family in families_of(config.features.types):
        yield from family.findings(config)


def disk(config: ExperimentConfig) -> Iterator[Finding]:
    """Check the disk space for the features of all four corpora."""
    folder = paths.processed(config.project)
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    clips = ALL_CLIPS * (1 + config.augmentations.copies * train_share(config))
    need = clips * CLIP_SECONDS * bytes_per_second(config)
    state = "ok" if free > need else "note"
    yield "disk", state, f"{free / 1e9:.1f} GB free at {existing}; the features of all four corpora take about {need / 1e9:.1f} GB"
    if sys.platform == "linux" and not os.access(existing, os.W_OK):
        yield "disk", "missing", f"{existing} cannot be written to"


def train_share(config: ExperimentConfig) -> float:
    """The share of train in the split; `TRAIN_SHARE` without a valid split."""
    with suppress(SerError):
        splits = read_split(paths.split_folder(config), read_manifest(paths.manifest_file(config.project))).splits
        return len(splits["train"]) / max(sum(map(len, splits.values())), 1)
    return TRAIN_SHARE


def bytes_per_second(config: ExperimentConfig) -> float:
    """The bytes of all features of a second of audio, without those of a backbone that is missing."""
    total = 0.0
    for family in families_of(config.features.types):
        with suppress(SerError):
            spec = family.spec(config)
            total += spec.frame_rate * frame_bytes(spec)
    return total


def corpora(config: ExperimentConfig) -> Iterator[Finding]:
    """List the folders of audio and their numbers of files."""
    raw = Path(config.project.raw_dir)
    any_found = False
    for name in config.project.corpora:
        files = files_of(raw, name)
        any_found |= bool(files)
        detail = f"{len(files)} audio files; the whole corpus has {CORPORA[name].num_files}" if files else CORPORA[name].how_to_get
        yield f"corpus {name}", "ok" if files else "note", detail
    for folder in unknown_folders(raw):
        yield f"folder {folder.name}", "note", f"ignored: its name is not that of a corpus ({', '.join(CORPORA)})"
    if any_found:
        yield foreseen(config)
    else:
        yield "audio", "missing", f"no corpus below {raw}"


def foreseen(config: ExperimentConfig) -> Finding:
    """Check by the names of the files whether the corpora can be split as the config requires."""
    raw = Path(config.project.raw_dir)
    files = [file for name in config.project.corpora for file in files_of(raw, name)]
    try:
        divided = foresee_split(files, config)
    except DataError as error:
        return "split to come", "missing", str(error)
    sizes = ", ".join(f"{name} {len(entries)}" for name, entries in divided.splits.items())
    return "split to come", "note" if divided.warnings else "ok", "; ".join([f"{sizes} by the names of the files", *divided.warnings])


def earlier_steps(config: ExperimentConfig) -> Iterator[Finding]:
    """Check the results of the extract step and its certificate."""
    try:
        manifest = read_manifest(paths.manifest_file(config.project))
        yield "manifest", "ok", f"{len(manifest)} utterances"
        split = read_split(paths.split_folder(config), manifest)
        yield "split", "ok", f"{split.certificate.name}: {split.certificate.kind}, certificate holds"
    except SerError as error:
        yield "steps so far", "note", str(error)
