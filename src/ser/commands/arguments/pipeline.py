"""`ser --config X --steps ...`, `ser run`, and each step as a command of its own: one implementation with the same options."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from ser import __version__
from ser.commands.arguments.common import ConfigOption, Epochs, Settings, Verbosity, parse_steps, required_config, with_epochs
from ser.commands.arguments.completion import complete_steps
from ser.commands.exit_codes import exit_codes
from ser.errors import ConfigError
from ser.pipeline.names import STEPS

RunName = Annotated[
    str | None, typer.Option(metavar="NAME", help="Name of the run's folder [default: time and model].", show_default=False)
]
Resume = Annotated[bool, typer.Option("--resume", help="Train: continue the run of this config, or the one of --run-name.")]
Repair = Annotated[bool, typer.Option("--repair", help="Transform: check the store and compute corrupted shards again.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, with counts, and change nothing.")]

TEXTS = {
    "doctor": """Check the environment, the config and the data, and change nothing.

    Examples:
      ser doctor --config spectral_crnn.yaml""",
    "run": """Run all four steps: extract, transform, load, train.

    Finished work is kept: a second call computes only what is missing. The run is written to runs/NAME.

    Examples:
      ser run --config spectral_crnn.yaml -v
      ser run --config spectral_crnn.yaml --set train.epochs=40
      ser run --config runs/NAME --run-name again""",
    "extract": """Index the audio: screen every file, write the manifest and the split.

    Examples:
      ser extract --config spectral_crnn.yaml -v""",
    "transform": """Compute the features and store them.

    Examples:
      ser transform --config spectral_crnn.yaml -v
      ser transform --config spectral_crnn.yaml --repair""",
    "load": """Check the stored features against the split, and fit the normaliser.

    Examples:
      ser load --config spectral_crnn.yaml""",
    "train": """Train a model and measure it on the test set.

    Examples:
      ser train --config spectral_crnn.yaml --epochs 40
      ser train --config spectral_crnn.yaml --resume""",
}
"""{command: its help}"""


@dataclass(frozen=True)
class PipelineOptions:
    """The options that all steps share."""

    config: str | None
    settings: Sequence[str] | None
    epochs: int | None
    run_name: str | None
    resume: bool
    repair: bool
    dry_run: bool
    verbose: int


def run_pipeline(steps: Sequence[str], options: PipelineOptions) -> None:
    """Run the named steps, or print what they would do.

    Raises:
        ConfigError: there is no config, or it or an option is not valid. Other errors: see the steps.
    """
    from ser.config_file import load_config

    if options.run_name is not None and (not options.run_name.strip(".") or "/" in options.run_name):
        raise ConfigError(f"--run-name {options.run_name!r} is not the name of a folder")
    config = load_config(required_config(options.config), with_epochs(options.settings, options.epochs))
    if options.dry_run:
        from ser.pipeline.plan import plan

        plan(config, steps)
    else:
        from ser.pipeline.steps import run_steps

        run_steps(config, steps, run_name=options.run_name, resume=options.resume, repair=options.repair)


def version_and_exit(wanted: bool) -> None:
    if wanted:
        print(f"ser {__version__}")
        raise typer.Exit


def pipeline(  # noqa: PLR0913, PLR0917 - the contract of the command line
    context: typer.Context,
    config: ConfigOption = None,
    steps: Annotated[
        str,
        typer.Option(
            metavar="STEPS",
            help="Steps to run, separated by commas: doctor, extract, transform, load, train [default: all but doctor].",
            show_default=False,
            autocompletion=complete_steps,
        ),
    ] = ",".join(STEPS),
    epochs: Epochs = None,
    run_name: RunName = None,
    settings: Settings = None,
    resume: Resume = False,
    repair: Repair = False,
    dry_run: DryRun = False,
    verbose: Verbosity = 0,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=version_and_exit, help="Print the version.", show_default=False)
    ] = False,
) -> None:
    """Speech emotion recognition: train a model on emotional speech, measure it on unseen speakers, and use it.

    Without a command, --config runs the steps of the pipeline.

    Examples:
      ser demo
      ser doctor --config spectral_crnn.yaml
      ser run --config spectral_crnn.yaml -v
      ser --config spectral_crnn.yaml --steps extract,load
      ser predict recording.wav
    """
    with exit_codes():
        if context.invoked_subcommand is not None:
            refuse_misplaced(context)
            return
        from ser.system.console import set_up_logging

        set_up_logging(verbose)
        run_pipeline(parse_steps(steps), PipelineOptions(config, settings, epochs, run_name, resume, repair, dry_run, verbose))


def refuse_misplaced(context: typer.Context) -> None:
    """
    Raises:
        ConfigError: an option of the pipeline was given before a command, which would ignore it.
    """
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            raise ConfigError(f"give {parameter.opts[0]} after the command: ser {context.invoked_subcommand} {parameter.opts[0]} ...")


def pipeline_command(name: str, steps: Sequence[str]) -> Callable[..., None]:
    """The command `name`, which runs these steps."""

    def command(  # noqa: PLR0913, PLR0917 - the contract of the command line
        config: ConfigOption = None,
        epochs: Epochs = None,
        run_name: RunName = None,
        settings: Settings = None,
        resume: Resume = False,
        repair: Repair = False,
        dry_run: DryRun = False,
        verbose: Verbosity = 0,
    ) -> None:
        with exit_codes():
            from ser.system.console import set_up_logging

            set_up_logging(verbose)
            run_pipeline(steps, PipelineOptions(config, settings, epochs, run_name, resume, repair, dry_run, verbose))

    command.__name__ = name
    command.__doc__ = TEXTS[name]
    return command


PIPELINE_COMMANDS = {name: pipeline_command(name, STEPS if name == "run" else (name,)) for name in TEXTS}
"""{name: command}"""
