"""`ser info`."""

from typing import Annotated

import typer

from ser.commands.arguments.common import ModelArgument
from ser.commands.exit_codes import exit_codes


def info(
    model: ModelArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show what a model is: family, classes, licence, corpora, scores with intervals, certificate, sizes.

    Examples:
      ser info runs/NAME
      ser info model.onnx --json
    """
    with exit_codes():
        from ser.commands.info import print_info

        print_info(model, as_json=as_json)
