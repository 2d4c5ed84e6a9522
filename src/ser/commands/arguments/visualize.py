"""`ser visualize`."""

from typing import Annotated

import typer

from ser.commands.arguments.common import ConfigOption, Settings, Verbosity, required_config
from ser.commands.arguments.completion import complete_runs, complete_splits
from ser.commands.exit_codes import exit_codes


def visualize(  # noqa: PLR0913, PLR0917 - the contract of the command line
    config: ConfigOption = None,
    split: Annotated[str, typer.Option(metavar="SPLIT", help="train, val or test.", autocompletion=complete_splits)] = "test",
    row_idx: Annotated[int, typer.Option(metavar="N", min=0, help="Row of the split, counted from 0 [default: 0].")] = 0,
    utterance_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Id of an utterance of any split, instead of a row.", show_default=False)
    ] = None,
    show_ssl_dims: Annotated[int, typer.Option(metavar="N", min=1, help="Dimensions of the backbone's frames in the heat map.")] = 64,
    show_prenorm: Annotated[bool, typer.Option("--show-prenorm", help="Show the features before normalisation as well.")] = False,
    preview_aug: Annotated[int, typer.Option(metavar="N", min=0, help="Number of altered copies to show.")] = 0,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="Folder of a run, whose attention and gates are shown.", show_default=False, autocompletion=complete_runs
        ),
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Write the figures below reports/vis.")] = False,
    show: Annotated[bool, typer.Option(help="Open a window.")] = True,
    settings: Settings = None,
    verbose: Verbosity = 0,
) -> None:
    """Draw one utterance: the stages of its waveform, and its stored features.

    Examples:
      ser visualize --config demo.yaml --save
      ser visualize --config demo.yaml --run runs/NAME --save
    """
    with exit_codes():
        from ser.commands.visualize import visualize as show_utterance
        from ser.config_file import load_config
        from ser.system.console import set_up_logging

        set_up_logging(verbose)
        show_utterance(
            load_config(required_config(config), settings or []),
            split=split,
            row_idx=row_idx,
            utterance_id=utterance_id,
            ssl_dims=show_ssl_dims,
            prenorm=show_prenorm,
            previews=preview_aug,
            run=run,
            save=save,
            show=show,
        )
