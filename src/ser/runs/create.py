"""Creation of a run folder with its cfg.json."""

import platform
from contextlib import suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path

from ser import __version__
from ser.config import ExperimentConfig
from ser.errors import ConfigError
from ser.runs.run import Run
from ser.system.files import write_json

PACKAGES = ("torch", "numpy", "scipy", "soundfile", "soxr", "transformers")
"""Packages whose versions affect the results, recorded in cfg.json."""


OPTIONAL_PACKAGES = ("audiomentations",)
"""Packages of extras, recorded where they are installed."""


def create_run(config: ExperimentConfig, name: str | None) -> Run:
    """Create the folder `name`, or `<timestamp>_<model>`, which is unique even for runs started in the same second.

    Raises:
        ConfigError: a run with this name exists.
    """
    root = Path(config.project.runs_dir)
    root.mkdir(parents=True, exist_ok=True)
    if name is not None:
        folder = root / name
        folder.mkdir(exist_ok=True)
        # A folder without files is left by a run that was killed before it wrote the first one.
        if any(not path.name.startswith(".") for path in folder.iterdir()):
            raise ConfigError(f"{folder} exists: choose another --run-name, or --resume it")
    else:
        folder = claim_folder(root / f"{datetime.now():%Y%m%d-%H%M%S}_{config.model.name}")
    run = Run(folder)
    write_json(run.config, config_content(config))
    return run


def claim_folder(wanted: Path) -> Path:
    """Create `wanted`, or the first of `wanted-2`, `wanted-3`... that does not exist; creating a folder is atomic."""
    for number in count(1):
        folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("count() never ends")


def config_content(config: ExperimentConfig) -> dict[str, object]:
    """Content of cfg.json: the whole config, and the versions of Python, the system and packages."""
    packages = {"ser": __version__, **{name: version(name) for name in PACKAGES}}
    for name in OPTIONAL_PACKAGES:
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {
        "config": config.model_dump(mode="json"),
        "environment": {"python": platform.python_version(), "system": platform.platform(terse=True), **packages},
    }
