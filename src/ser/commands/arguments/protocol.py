"""`ser protocol`."""

from typing import Annotated

import typer

from ser.commands.arguments.common import ConfigOption, Epochs, Settings, Verbosity, required_config, with_epochs
from ser.commands.arguments.completion import complete_protocols
from ser.commands.exit_codes import exit_codes
from ser.commands.help import Command, Group

protocol_app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="""Train and measure by named protocols: published folds, leave one out, the corpus x corpus matrix.

    Examples:
      ser protocol list
      ser protocol show savee/emobox""",
)


@protocol_app.command("list", cls=Command)
def protocol_list() -> None:
    """List the protocols, one on each line.

    Examples:
      ser protocol list
    """
    with exit_codes():
        from ser.commands.protocol_show import print_list
        from ser.system.console import set_up_logging

        set_up_logging(0)
        print_list()


@protocol_app.command("show", cls=Command)
def protocol_show(
    name: Annotated[str, typer.Argument(metavar="PROTOCOL", help="Name from `ser protocol list`.", autocompletion=complete_protocols)],
) -> None:
    """Show the content of a protocol: corpora, classes, folds with speakers and counts, checksum, source.

    Examples:
      ser protocol show savee/emobox
    """
    with exit_codes():
        from ser.commands.protocol_show import print_protocol
        from ser.system.console import set_up_logging

        set_up_logging(0)
        print_protocol(name)


@protocol_app.command("run", cls=Command)
def protocol_run(  # noqa: PLR0913, PLR0917 - the contract of the command line
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="PROTOCOL",
            help="Name from `ser protocol list` [default: protocol.name of the config].",
            show_default=False,
            autocompletion=complete_protocols,
        ),
    ] = None,
    config: ConfigOption = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="SEEDS", help="Seeds of training, such as 1,2,3 [default: protocol.seeds].", show_default=False),
    ] = None,
    folds: Annotated[
        str | None,
        typer.Option(metavar="FOLDS", help="Train only these folds, such as 1,2; the table covers all finished folds.", show_default=False),
    ] = None,
    epochs: Epochs = None,
    leak_delta: Annotated[bool, typer.Option("--leak-delta", help="Also train on random splits, to measure leakage.")] = False,
    incomplete: Annotated[bool, typer.Option("--incomplete", help="Continue if speakers or clips of the corpora are missing.")] = False,
    settings: Settings = None,
    verbose: Verbosity = 0,
) -> None:
    """Train and measure every fold with every seed. A second call continues where the first one stopped.

    Examples:
      ser protocol run savee/emobox --config demo.yaml
    """
    with exit_codes():
        from ser.config_file import load_config
        from ser.pipeline.protocol import run_protocol
        from ser.system.console import set_up_logging

        set_up_logging(verbose)
        changes = [*with_epochs(settings, epochs), *([f"protocol.seeds=[{seeds}]"] if seeds is not None else [])]
        chosen = None if folds is None else [fold.strip() for fold in folds.split(",")]
        run_protocol(load_config(required_config(config), changes), name, folds=chosen, leak_delta=leak_delta, incomplete=incomplete)
