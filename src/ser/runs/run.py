"""The run folder: everything that one training leaves behind."""

import json
import logging
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ser.config import ExperimentConfig
from ser.errors import ArtefactError, ConfigError, DataError
from ser.system.files import read_json, write_json
from ser.system.tables import write_table

log = logging.getLogger(__name__)

HISTORY_COLUMNS = ("epoch", "train_loss", "train_uar", "val_loss", "val_uar", "val_wa", "val_macro_f1", "learning_rate", "seconds")

PACKAGES = ("ser", "torch", "numpy", "scipy", "soundfile", "soxr")
OF_EXTRAS = ("audiomentations", "transformers")
"""Where they are installed, numbers may depend on these too."""

MAY_DIFFER = ("project", "protocol", "calibration", "tracking", "runtime")
"""Sections that do not change what is computed, so a run may be resumed under others. The seed is checked apart."""

SHOWN = 200
"""Characters of a value in a message."""


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
    def tensorboard(self) -> Path:
        """The numbers of history.csv once more, where tracking.tensorboard asks for them."""
        return self.folder / "tensorboard"

    @property
    def metrics(self) -> Path:
        return self.folder / "test_metrics.json"

    @property
    def predictions(self) -> Path:
        return self.folder / "predictions.csv"

    @property
    def calibration(self) -> Path:
        """Temperature and threshold, fitted on val, for whoever predicts with the weights."""
        return self.folder / "calibration.json"

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
        folder = root / name
        folder.mkdir(exist_ok=True)
        # A folder without a file is what a run leaves that was killed before its first one.
        if any(not path.name.startswith(".") for path in folder.iterdir()):
            raise ConfigError(f"{folder} exists: choose another --run-name, or --resume it")
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
    packages = {name: version(name) for name in PACKAGES}
    for name in OF_EXTRAS:
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {
        "config": config.model_dump(mode="json"),
        "environment": {"python": platform.python_version(), "system": platform.platform(terse=True), **packages},
    }


def find_run(config: ExperimentConfig, name: str | None) -> Run:
    """The run to resume: the one called `name`, or the latest one with this config.

    Raises:
        DataError: there is none.
        ConfigError: the run, or without a name every run, was made with another config; the keys that differ are named, with both values.
        ArtefactError: the run's cfg.json is damaged.
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
    return find_latest(config, root)


def find_latest(config: ExperimentConfig, root: Path) -> Run:
    """The latest run with this config; errors as of `find_run`."""
    paths = sorted(root.glob("*/cfg.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    if not paths:
        raise DataError(f"there is no run below {root}: there is nothing to resume")
    nearest = ""
    for run in (Run(path.parent) for path in paths):
        try:
            differing = differences(config, run)
        except ArtefactError as error:
            log.warning("%s", error)
            continue
        if not differing:
            return run
        nearest = nearest or f"; {run.folder}, the latest, differs in {', '.join(differing)}"
    raise ConfigError(f"no run below {root} has this config{nearest}: there is nothing to resume")


def differences(config: ExperimentConfig, run: Run) -> list[str]:
    """In what a stored config differs, as far as it changes the result: dotted keys with both values.

    Raises:
        ArtefactError: cfg.json is damaged, or not one of ours.
    """
    stored, current = (flatten(of.model_dump(mode="json")) for of in (stored_config(run), config))
    keys = sorted(stored.keys() | current.keys())
    compared = [key for key in keys if key.split(".")[0] not in MAY_DIFFER or key == "project.seed"]
    return [contrast(key, stored.get(key), current.get(key)) for key in compared if stored.get(key) != current.get(key)]


def stored_config(run: Run) -> ExperimentConfig:
    """The config that a run was made with. A key that it does not know, because it came with a later version, has its default.

    Raises:
        ArtefactError: cfg.json is damaged, or not one of ours.
    """
    content = read_json(run.config)
    if not isinstance(content, Mapping) or not isinstance(content.get("config"), Mapping):
        raise ArtefactError(f"{run.config} is no config of a run of this program")
    try:
        return ExperimentConfig.model_validate(content["config"])
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:SHOWN]
        raise ArtefactError(f"{run.config} holds a config that this version does not know ({what})") from None


def contrast(key: str, stored: Any, current: Any) -> str:
    """A key with its value in a run and now; of what cannot be told in a few words, as a tensor, the key alone.

    >>> contrast("model.features", ["mel", "mfcc"], ("mel",))
    'model.features (["mel", "mfcc"] in the run, ["mel"] now)'
    """
    try:
        then, now = (json.dumps(value, ensure_ascii=False) for value in (stored, current))
    except TypeError:
        return key
    return f"{key} ({then[:SHOWN]} in the run, {now[:SHOWN]} now)"


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
