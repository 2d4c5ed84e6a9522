"""`ser export`."""

from typing import Annotated

import typer

from ser.commands.arguments.common import Backbone, Verbosity
from ser.commands.arguments.completion import complete_models
from ser.commands.exit_codes import exit_codes
from ser.errors import ConfigError


def export(  # noqa: PLR0913, PLR0917 - the contract of the command line
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Folder of a finished run; with --web also an exported file.", autocompletion=complete_models),
    ],
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="File to write [default: model.onnx in the folder of the run].", show_default=False),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Round the weights to 8 bits: less than half the size.")] = False,
    backbone: Backbone = None,
    head_only: Annotated[bool, typer.Option("--head-only", help="Leave the backbone out: the file takes its frames instead.")] = False,
    web: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder for a web page that runs the model in the browser.", show_default=False)
    ] = None,
    runtime: Annotated[
        str | None, typer.Option(metavar="PATH", help="Folder or tarball of onnxruntime-web, for --web without npm.", show_default=False)
    ] = None,
    verbose: Verbosity = 0,
) -> None:
    """Write the model of a run as one .onnx file, from waveform to calibrated probabilities.

    The file is written only if its output matches that of the run.

    Examples:
      ser export runs/NAME
      ser export runs/NAME --web page
    """
    with exit_codes():
        from ser.commands.export import export as write_export
        from ser.system.console import set_up_logging

        set_up_logging(verbose)
        if runtime is not None and web is None:
            raise ConfigError("--runtime is for --web")
        if web is None:
            write_export(run, out, int8=int8, backbone=backbone, head_only=head_only)
            return
        if head_only:
            raise ConfigError("--head-only: a page needs the whole model")
        from ser.commands.web import export_page

        export_page(run, web, out=out, int8=int8, backbone=backbone, runtime=runtime)
