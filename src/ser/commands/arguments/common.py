"""Options that several commands share, and the parsers of names of steps and folders."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from ser.commands.arguments.completion import complete_configs, complete_models, complete_runs
from ser.errors import ConfigError
from ser.pipeline.names import EXTRA_STEPS, STEPS

Verbosity = Annotated[
    int, typer.Option("-v", "--verbose", count=True, show_default=False, help="Log the progress of each step; -vv also each file.")
]
ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="CONFIG",
        help="Path of a YAML file, name of a file in ./configs or of a config shipped with ser, or folder of a run whose config is reused.",
        show_default=False,
        autocompletion=complete_configs,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set a value of the config, such as train.epochs=40; repeatable.", show_default=False),
]
Epochs = Annotated[int | None, typer.Option(metavar="N", help="Short for --set train.epochs=N.", show_default=False)]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        metavar="MODEL",
        help="Folder of a run, or a file written by `ser export` [default: $SER_MODEL, or the newest run below ./runs].",
        show_default=False,
        autocompletion=complete_models,
    ),
]
ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="Folder of a run, or a file written by `ser export`.", show_default=False, autocompletion=complete_models
    ),
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Folder of a finished run.", autocompletion=complete_runs)]
Backbone = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="Folder or hub name of the speech backbone, if it has moved since the run was trained.", show_default=False
    ),
]


def parse_steps(text: str) -> list[str]:
    """Parse names of steps; the result is in the order of the pipeline.

    >>> parse_steps("train,load")
    ['load', 'train']
    """
    from ser.config_file import suggestion

    known = (*EXTRA_STEPS, *STEPS)
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"--steps {text}: there is no step {name!r}{suggestion(name, known)}; steps: {', '.join(STEPS + EXTRA_STEPS)}"
            )
    if not names:
        raise ConfigError(f"--steps is empty; steps: {', '.join(STEPS + EXTRA_STEPS)}")
    return [name for name in known if name in names]


def required_config(config: str | None) -> str:
    """
    Raises:
        ConfigError: no config was given.
    """
    if config is None:
        raise ConfigError("--config is missing: give a path or a name, like --config spectral_crnn.yaml")
    return config


def with_epochs(settings: Sequence[str] | None, epochs: int | None) -> list[str]:
    """The settings of `--set`, then that of `--epochs`."""
    return [*(settings or []), *([f"train.epochs={epochs}"] if epochs is not None else [])]


def refuse_empty(options: Mapping[str, str | None]) -> None:
    """
    Raises:
        ConfigError: a value is empty, for example from a shell variable that is not set.
    """
    for name, value in options.items():
        if value == "":
            raise ConfigError(f"{name} is empty")
