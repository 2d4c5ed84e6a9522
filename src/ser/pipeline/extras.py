"""The extras that a config asks for: said before the first step, not after minutes of it."""

from collections.abc import Collection
from importlib.util import find_spec

from ser.config import SSL, ExperimentConfig
from ser.errors import ConfigError
from ser.training.tracking import check_installed


def check_extras(config: ExperimentConfig, steps: Collection[str]) -> None:
    """
    Raises:
        ConfigError: these steps need an extra that is not installed.
    """
    if "transform" in steps:
        if config.augmentations.copies and config.augmentations.needs_library:
            require("audiomentations", "augment", "--set augmentations.copies=0")
        if SSL in config.features.types:
            require("transformers", "ssl", "leave ssl out of features.types and model.features")
    if "train" in steps:
        check_installed(config.tracking)


def require(module: str, extra: str, way_out: str) -> None:
    """
    Raises:
        ConfigError: the module is not installed.
    """
    if find_spec(module) is None:
        raise ConfigError(f"this config needs {module}: pip install 'ser[{extra}]', or {way_out}")
