"""Check the extras that a config needs before the first step, not after minutes of it."""

from collections.abc import Collection

from ser.config import ExperimentConfig
from ser.system.optional import require
from ser.training.tracking import check_installed


def check_extras(config: ExperimentConfig, steps: Collection[str]) -> None:
    """
    Raises:
        ConfigError: these steps need an extra that is not installed.
    """
    if "transform" in steps and config.augmentations.copies and config.augmentations.needs_library:
        require("this config", ["audiomentations"], "augment", "--set augmentations.copies=0")
    if "train" in steps:
        check_installed(config.tracking)
