"""The command line: all commands under one name. Heavy imports are inside the commands, so `ser --help` is fast."""

import os
import sys
from collections.abc import Callable
from io import TextIOWrapper

import typer

from ser.commands.arguments.config import config_app
from ser.commands.arguments.demo import demo
from ser.commands.arguments.export import export
from ser.commands.arguments.info import info
from ser.commands.arguments.pipeline import PIPELINE_COMMANDS, pipeline
from ser.commands.arguments.predict import predict
from ser.commands.arguments.protocol import protocol_app
from ser.commands.arguments.report import report
from ser.commands.arguments.serve import serve
from ser.commands.arguments.visualize import visualize
from ser.commands.exit_codes import exit_codes
from ser.commands.help import Command, Root

app = typer.Typer(
    name="ser",
    cls=Root,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS: dict[str, Callable[..., None]] = {
    **PIPELINE_COMMANDS,
    "demo": demo,
    "report": report,
    "visualize": visualize,
    "export": export,
    "predict": predict,
    "serve": serve,
    "info": info,
}

app.callback(invoke_without_command=True)(pipeline)
for name, command in COMMANDS.items():
    app.command(name, cls=Command)(command)
app.add_typer(protocol_app, name="protocol")
app.add_typer(config_app, name="config")


def main() -> None:
    """Entry point of the console script."""
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # standard streams may be closed, for example by cron or a service manager
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, TextIOWrapper):
        # the name of a folder may contain characters that a terminal without UTF-8 cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    with exit_codes():
        app(prog_name="ser")


if __name__ == "__main__":  # python -m ser.cli
    main()
