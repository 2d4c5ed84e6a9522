"""The command line: thin commands over functions of the same name. Heavy imports stand inside them, so `ser --help` answers at once."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from types import FrameType
from typing import Annotated, NoReturn

import typer

from ser import __version__
from ser.errors import ConfigError, DataError, SerError

log = logging.getLogger(__name__)

STEPS = ("extract", "transform", "load", "train")
EXTRA_STEPS = ("doctor",)

app = typer.Typer(
    name="ser",
    help="From folders of emotional speech to a measured emotion recogniser.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Verbosity = Annotated[
    int, typer.Option("-v", "--verbose", count=True, show_default=False, help="Say what each step does; -vv also of each file.")
]


class Terminated(BaseException):
    """SIGTERM arrived. No `Exception`, so that nothing on the way down swallows it."""


def terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated


@contextmanager
def exit_codes() -> Iterator[None]:
    """What a command may end with, as one line and the exit code of the error tree."""
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except SerError as error:
        log.debug("where it came from", exc_info=True)
        fail(str(error), error.exit_code)
    except OSError as error:
        log.debug("where it came from", exc_info=True)
        fail(str(error), DataError.exit_code)
    except KeyboardInterrupt:
        fail("stopped by Ctrl-C; what was finished is kept", 128 + signal.SIGINT)
    except Terminated:
        fail("stopped by SIGTERM; what was finished is kept", 128 + signal.SIGTERM)


def fail(message: str, code: int) -> NoReturn:
    print(f"ser: {message}", file=sys.stderr)
    raise SystemExit(code) from None


def parse_steps(text: str) -> list[str]:
    """Names of steps, in the order of the pipeline however they were typed.

    >>> parse_steps("train,load")
    ['load', 'train']
    """
    from ser.config_file import suggestion

    known = (*EXTRA_STEPS, *STEPS)
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise ConfigError(f"--steps {text}: no step {name!r}{suggestion(name, known)}; steps: {', '.join((*STEPS, *EXTRA_STEPS))}")
    if not names:
        raise ConfigError(f"--steps is empty; steps: {', '.join((*STEPS, *EXTRA_STEPS))}")
    return [name for name in known if name in names]


def version_and_exit(wanted: bool) -> None:
    if wanted:
        print(f"ser {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def pipeline(  # noqa: PLR0913, PLR0917 - the contract of the command line
    context: typer.Context,
    config: Annotated[str | None, typer.Option(help="A path, a name in ./configs, or a name shipped with ser.", show_default=False)] = None,
    steps: Annotated[str, typer.Option(help="Any of extract, transform, load, train, doctor.")] = ",".join(STEPS),
    epochs: Annotated[int | None, typer.Option(help="Short for --set train.epochs=N.", show_default=False)] = None,
    run_name: Annotated[str | None, typer.Option(help="Name of the run's folder, instead of time and model.", show_default=False)] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key.sub=value on top of the config; repeatable.", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run of this config (or of --run-name).")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="In transform: check the store and compute damaged shards again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, with counts, and do nothing.")] = False,
    verbose: Verbosity = 0,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=version_and_exit, help="Print the version.", show_default=False)
    ] = False,
) -> None:
    """Run the pipeline: index and split the audio, compute features, check them, train and measure a model."""
    if context.invoked_subcommand is not None:
        return
    with exit_codes():
        from ser.config_file import load_config
        from ser.console import set_up_logging

        set_up_logging(verbose)

        if config is None:
            raise ConfigError("--config is missing: give a path or a name, like --config spectral_crnn.yaml")
        names = parse_steps(steps)
        if run_name is not None and (not run_name.strip(".") or "/" in run_name):
            raise ConfigError(f"--run-name {run_name!r} is not the name of a folder")
        loaded = load_config(config, [*(settings or []), *([f"train.epochs={epochs}"] if epochs is not None else [])])
        if dry_run:
            from ser.pipeline.plan import plan

            plan(loaded, names)
        else:
            from ser.pipeline import run_steps

            run_steps(loaded, names, run_name=run_name, resume=resume, repair=repair)


@app.command()
def demo(
    folder: Annotated[str, typer.Option(help="Where everything is written.")] = "demo",
    verbose: Verbosity = 1,
) -> None:
    """Run the whole pipeline on the sample of CREMA-D that comes with ser."""
    with exit_codes():
        from ser.console import set_up_logging
        from ser.pipeline.demo import demo as run_demo

        set_up_logging(verbose)

        run_demo(folder)


def main() -> None:
    """Entry point of the console script."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the program: cron, a service
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a folder's name that a terminal without UTF-8 cannot show
    with exit_codes():
        app()
