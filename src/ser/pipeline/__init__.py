"""The steps that a user can name, each a function of a config, and the pipeline that runs them in order."""

from collections.abc import Sequence
from importlib.util import find_spec

from ser.config import SSL, ExperimentConfig
from ser.errors import ConfigError
from ser.tracking import check_installed


def run_steps(
    config: ExperimentConfig, steps: Sequence[str], run_name: str | None = None, resume: bool = False, repair: bool = False
) -> None:
    """Run the named steps in the order given. Each imports its own libraries: extract and transform load no torch.

    Raises:
        ConfigError: the config asks for an extra that is not installed: said before the first step, not after minutes of it.
    """
    if "transform" in steps:
        if config.augmentations.copies and config.augmentations.needs_library:
            require("audiomentations", "augment", "--set augmentations.copies=0")
        if SSL in config.features.types:
            require("transformers", "ssl", "leave ssl out of features.types and model.features")
    if "train" in steps:
        check_installed(config.tracking)
    for step in steps:
        match step:
            case "doctor":
                from ser.pipeline.doctor import doctor

                doctor(config)
            case "extract":
                from ser.pipeline.extract import extract

                extract(config)
            case "transform":
                from ser.pipeline.transform import transform

                transform(config, repair=repair)
            case "load":
                from ser.pipeline.load import load

                load(config)
            case "train":
                from ser.pipeline.train import train

                train(config, run_name=run_name, resume=resume)
            case _:
                raise ValueError(f"no step {step!r}")


def require(module: str, extra: str, way_out: str) -> None:
    """
    Raises:
        ConfigError: the module is not installed.
    """
    if find_spec(module) is None:
        raise ConfigError(f"this config needs {module}: pip install 'ser[{extra}]', or {way_out}")
