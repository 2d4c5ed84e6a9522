"""Output of the steps: tables go to standard output, log messages to standard error."""

import logging
import os
import sys
import textwrap
from collections.abc import Sequence

from rich.console import Console

from ser.system.table_layout import table_lines

LOG_WIDTH = 140
"""Width in columns if standard output is not a terminal, so that tables in a log are not wrapped."""


QUIET = -1
"""Verbosity that shows warnings and results only."""
ALIVE = 25
"""Level of messages that show that long work goes on, such as one for each epoch: above INFO, below WARNING."""


class TerminalHandler(logging.Handler):
    """Log messages on a terminal: above a progress bar, wrapped between words, so that a URL stays whole."""

    def emit(self, record: logging.LogRecord) -> None:
        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        console.print(wrap_words(self.format(record), console.width), soft_wrap=True)


def set_up_logging(verbosity: int) -> None:
    """Configure logging. Warnings are always shown, and a sign of life of long work; verbosity 1 adds the progress of each step, 2 adds
    every file; `QUIET` shows warnings only.
    """
    level = {QUIET: logging.WARNING, 0: ALIVE, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    logging.addLevelName(ALIVE, "NOTE")
    handler: logging.Handler = TerminalHandler() if sys.stderr.isatty() else logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("ser").setLevel(level)


def wrap_words(text: str, width: int) -> str:
    """Lines that end between words; a word that is longer than a line stays whole.

    >>> wrap_words("see https://example.org/a-long-path", 12)
    'see\\nhttps://example.org/a-long-path'
    """
    return "\n".join(textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) for line in text.split("\n"))


class Output(Console):
    """Standard output. If the reader closes the pipe (`ser ... | head`), the program continues without printing."""

    def on_broken_pipe(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def out() -> Console:
    """Standard output, `LOG_WIDTH` columns wide if it is not a terminal and COLUMNS is not set."""
    width_is_known = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal()
    # No markup: a folder may be called [/x] or :smile:, and the name of an extra is written in brackets.
    return Output(width=None if width_is_known else LOG_WIDTH, markup=False, emoji=False, highlight=False)


def say(text: str) -> None:
    """Print one line of text, wrapped between words on a terminal."""
    console = out()
    console.print(wrap_words(text, console.width) if sys.stdout.isatty() else text, soft_wrap=True)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]], text_columns: int = 1) -> None:
    """Print a table and an empty line. The first `text_columns` columns are aligned left as text, the others right as numbers."""
    console = out()
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    lines = table_lines(header, cells, text_columns, console.width)
    console.print(title, soft_wrap=True, style="bold")
    console.print("\n".join(lines) + "\n", soft_wrap=True)


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Print names and their values, one pair on each line."""
    console = out()
    beside = max(len(name) for name, _ in pairs) + 2
    for name, value in pairs:
        text = textwrap.fill(
            value, max(console.width - beside, 20), subsequent_indent=" " * beside, break_long_words=False, break_on_hyphens=False
        )
        console.print(f"{name:<{beside}}{text}", soft_wrap=True)
