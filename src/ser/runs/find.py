"""Search for the run to resume, by name or by config."""

import logging
from pathlib import Path

from ser.config import ExperimentConfig
from ser.errors import ArtefactError, ConfigError, DataError
from ser.runs.compare import differences
from ser.runs.run import Run

log = logging.getLogger(__name__)


def find_run(config: ExperimentConfig, name: str | None) -> Run:
    """Find the run called `name`, or the latest one with this config.

    Raises:
        DataError: there is no such run.
        ConfigError: the run, or without a name every run, has another config; the message has the keys that differ, with both values.
        ArtefactError: the run's cfg.json is corrupted.
    """
    root = Path(config.project.runs_dir)
    if name is not None:
        run = Run(root / name)
        if not run.config.is_file():
            raise DataError(f"{run.folder} is not a run: there is nothing to resume")
        differing = differences(config, run)
        if differing:
            raise ConfigError(f"{run.folder} was trained with another config; these differ: {', '.join(differing)}")
        return run
    return find_latest(config, root)


def find_latest(config: ExperimentConfig, root: Path) -> Run:
    """Find the latest run with this config. Raises the errors of `find_run`."""
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
