"""The run folder: everything that one training leaves behind."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

from ser.config import ExperimentConfig
from ser.errors import ConfigError, DataError
from ser.files import read_json, write_json
from ser.tables import write_table

HISTORY_COLUMNS = ("epoch", "train_loss", "train_uar", "val_loss", "val_uar", "val_wa", "val_macro_f1", "learning_rate", "seconds")

MAY_DIFFER = ("project", "runtime")
"""Sections that do not change what is computed, so a run may be resumed under others. The seed is checked apart."""


@dataclass(frozen=True)
class Run:
    """Paths of one run."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "cfg.json"

    @property
    def best(self) -> Path:
        """Weights of the best epoch, and all that is needed to predict with them."""
        return self.folder / "best.pth"

    @property
    def last(self) -> Path:
        """State after the last whole epoch, and all that is needed to go on."""
        return self.folder / "last.pth"

    @property
    def history(self) -> Path:
        return self.folder / "history.csv"

    @property
    def metrics(self) -> Path:
        return self.folder / "test_metrics.json"

    @property
    def predictions(self) -> Path:
        return self.folder / "predictions.csv"

    @property
    def confusion(self) -> Path:
        return self.folder / "confusion_matrix.csv"

    @property
    def split(self) -> Path:
        """The run's own copy of its split and certificate."""
        return self.folder / "split"

    @property
    def lock(self) -> Path:
        return self.folder / ".lock"


def create_run(config: ExperimentConfig, name: str | None) -> Run:
    """A new folder `<timestamp>_<model>`, or `name`; two runs of one second get two folders.

    Raises:
        ConfigError: a run of that name exists.
    """
    root = Path(config.project.runs_dir)
    root.mkdir(parents=True, exist_ok=True)
    if name is not None:
        try:
            (root / name).mkdir()
        except FileExistsError:
            raise ConfigError(f"{root / name} exists: choose another --run-name, or --resume it") from None
        folder = root / name
    else:
        folder = claim_folder(root / f"{datetime.now():%Y%m%d-%H%M%S}_{config.model.name}")
    run = Run(folder)
    write_json(run.config, describe(config))
    return run


def claim_folder(wanted: Path) -> Path:
    """`wanted`, or the first of `wanted-2`, `wanted-3`... that nobody else has made: making a folder is atomic."""
    for number in count(1):
        folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("count() never ends")


def describe(config: ExperimentConfig) -> dict[str, Any]:
    """Content of cfg.json: the whole config, and what it ran on."""
    packages = {name: version(name) for name in ("ser", "torch", "numpy", "scipy", "soundfile", "soxr")}
    return {
        "config": config.model_dump(mode="json"),
        "environment": {"python": platform.python_version(), "system": platform.platform(terse=True), **packages},
    }


def find_run(config: ExperimentConfig, name: str | None) -> Run:
    """The run to resume: the one called `name`, or the latest one with this config.

    Raises:
        DataError: there is none.
        ConfigError: the run was made with another config; the keys that differ are named.
    """
    root = Path(config.project.runs_dir)
    if name is not None:
        run = Run(root / name)
        if not run.config.is_file():
            raise DataError(f"{run.folder} is no run: there is nothing to resume")
        differing = differences(config, run)
        if differing:
            raise ConfigError(f"{run.folder} was trained with another config; these differ: {', '.join(differing)}")
        return run
    runs = sorted((Run(path.parent) for path in root.glob("*/cfg.json")), key=lambda run: run.config.stat().st_mtime_ns)
    same = [run for run in runs if not differences(config, run)]
    if not same:
        raise DataError(f"no run below {root} has this config: there is nothing to resume")
    return same[-1]


def differences(config: ExperimentConfig, run: Run) -> list[str]:
    """Dotted keys in which a stored config differs, as far as they change the result."""
    stored, current = (flatten(values) for values in (read_json(run.config)["config"], config.model_dump(mode="json")))
    keys = sorted(stored.keys() | current.keys())
    compared = [key for key in keys if key.split(".")[0] not in MAY_DIFFER or key == "project.seed"]
    return [key for key in compared if stored.get(key) != current.get(key)]


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """
    >>> flatten({"a": {"b": 1}, "c": [2]})
    {'a.b': 1, 'c': [2]}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def write_history(run: Run, rows: Sequence[Mapping[str, Any]]) -> None:
    write_table(run.history, HISTORY_COLUMNS, rows)
