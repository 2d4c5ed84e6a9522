"""`ser config`."""

from typing import Annotated

import typer

from ser.commands.arguments.common import Epochs, Settings, with_epochs
from ser.commands.arguments.completion import complete_configs
from ser.commands.exit_codes import exit_codes
from ser.commands.help import Command, Group

config_app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="""Show a config with all its defaults, or the schema of configs.

    Examples:
      ser config show spectral_crnn.yaml
      ser config schema > ser.schema.json""",
)


@config_app.command("show", cls=Command)
def config_show(
    config: Annotated[
        str,
        typer.Argument(metavar="CONFIG", help="Path or name of a config, or folder of a run.", autocompletion=complete_configs),
    ],
    settings: Settings = None,
    epochs: Epochs = None,
) -> None:
    """Print a config as YAML, with all defaults. A comment names the file or option that set a value.

    The output is a config itself.

    Examples:
      ser config show spectral_crnn.yaml
      ser config show runs/NAME --epochs 40 > mine.yaml
    """
    with exit_codes():
        from ser.commands.config import show_config

        show_config(config, with_epochs(settings, epochs))


@config_app.command("schema", cls=Command)
def config_schema() -> None:
    """Print the JSON Schema of configs, which editors use to complete and check them.

    With yaml-language-server (VS Code, Neovim, Emacs) the first line of a config names the schema:
    # yaml-language-server: $schema=ser.schema.json

    Examples:
      ser config schema > ser.schema.json
    """
    with exit_codes():
        from ser.commands.config import print_schema

        print_schema()
