"""What the steps print: tables on standard output, messages on standard error."""

import logging
import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

LOG_WIDTH = 140
"""Columns where standard output is no terminal: a table in a log is not folded."""


def set_up_logging(verbosity: int) -> None:
    """Warnings and step results always; 1 adds what each step does, 2 adds every file."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)]
    console = Console(stderr=True)
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"))
    if console.is_terminal:
        handler = RichHandler(console=console, show_path=False, markup=False, rich_tracebacks=False)
        handler.setFormatter(logging.Formatter("%(message)s", datefmt="[%X]"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("ser").setLevel(level)


class Output(Console):
    """Standard output. Where nobody reads on (`ser ... | head`) the work goes on in silence."""

    def on_broken_pipe(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def out() -> Console:
    """Standard output; wide where it is a file and COLUMNS does not say how wide."""
    width_is_known = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal()
    # as it is: a folder may be called [/x] or :smile:, and an extra is installed as ser[augment]
    return Output(width=None if width_is_known else LOG_WIDTH, markup=False, emoji=False, highlight=False)


def say(text: str) -> None:
    """One line of result."""
    out().print(text, soft_wrap=True)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]], text_columns: int = 1) -> None:
    """The first columns are text, the others are numbers."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number < text_columns else "right", overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    out().print(table)
