"""`ser report`."""

from typing import Annotated

import typer

from ser.commands.arguments.common import Settings, Verbosity
from ser.commands.arguments.completion import complete_runs
from ser.commands.exit_codes import exit_codes
from ser.errors import ConfigError


def report(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Folder of a finished run.", show_default=False, autocompletion=complete_runs)
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="RUN_A RUN_B", help="Print whether run A is better than run B, instead of a report.", show_default=False),
    ] = None,
    audio: Annotated[bool, typer.Option(help="Embed the sound of the examples in the page.")] = True,
    clips: Annotated[int, typer.Option(metavar="N", min=0, help="Number of test clips for the robustness test; 0 leaves it out.")] = 400,
    settings: Settings = None,
    verbose: Verbosity = 0,
) -> None:
    """Write report.html and MODEL_CARD.md into the folder of a run, or compare two runs.

    Examples:
      ser report runs/NAME
      ser report --compare runs/A runs/B
    """
    with exit_codes():
        from ser.system.console import set_up_logging

        set_up_logging(verbose)
        if (run is None) == (compare is None):
            raise ConfigError("give the folder of a run, or --compare with the folders of two")
        if compare is not None:
            from ser.commands.compare import compare_runs

            compare_runs(*compare)
        elif run is not None:
            from ser.pipeline.report import report as write_report

            write_report(run, audio=audio, clips=clips, settings=settings or [])
