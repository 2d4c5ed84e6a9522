"""`ser serve`."""

from typing import Annotated

import typer

from ser.commands.arguments.common import Backbone, ModelArgument, Verbosity
from ser.commands.exit_codes import exit_codes


def serve(  # noqa: PLR0913, PLR0917 - the contract of the command line
    model: ModelArgument,
    host: Annotated[str, typer.Option(metavar="HOST", help="Address to listen on; there is no authentication.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="PORT", min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Number of worker processes [default: one for each core, at most 4].", show_default=False),
    ] = None,
    max_mb: Annotated[float, typer.Option(metavar="MIB", help="Largest upload in MiB.")] = 32.0,
    max_seconds: Annotated[float, typer.Option(metavar="SECONDS", help="Longest recording.")] = 600.0,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Limit for upload, waiting and prediction, each.")] = 30.0,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="Another host name that requests may use; repeatable.", show_default=False),
    ] = None,
    backbone: Backbone = None,
    verbose: Verbosity = 0,
) -> None:
    """Serve a model over HTTP: a page at /, POST /v1/predict for programs, and its documentation at /docs.

    Ctrl-C or SIGTERM answers the requests in flight, and leaves no process behind.

    Examples:
      ser serve runs/NAME
      ser serve model.onnx --port 9000
    """
    with exit_codes():
        from ser.commands.serve import serve as answer_requests
        from ser.system.console import set_up_logging

        set_up_logging(verbose)
        from ser.inference.options import PredictOptions

        options = PredictOptions(model, backbone=backbone)
        answer_requests(options, host, port, workers, max_mb, max_seconds, timeout, allow_host or ())
