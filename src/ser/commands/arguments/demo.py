"""`ser demo`."""

from typing import Annotated

import typer

from ser.commands.arguments.common import Epochs, Verbosity
from ser.commands.exit_codes import exit_codes


def demo(
    folder: Annotated[str, typer.Option(metavar="DIR", help="Folder for everything that is written.")] = "demo",
    epochs: Epochs = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print only the results.")] = False,
    verbose: Verbosity = 1,
) -> None:
    """Run the whole pipeline on the sample of CREMA-D that is shipped with ser.

    Examples:
      ser demo
      ser demo --epochs 2 --quiet
    """
    with exit_codes():
        from ser.commands.demo import demo as run_demo
        from ser.system.console import QUIET, set_up_logging

        set_up_logging(QUIET if quiet else verbose)
        run_demo(folder, epochs)
