"""What the steps print: tables on standard output, messages on standard error."""

import logging
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from ser.wording import score_parts, with_interval

if TYPE_CHECKING:  # for who prints something else they would be a slow import
    from ser.splits.split import Split

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
    told = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal()
    # as it is: a folder may be called [/x] or :smile:, and an extra is installed as ser[augment]
    return Output(width=None if told else LOG_WIDTH, markup=False, emoji=False, highlight=False)


def say(text: str) -> None:
    """One line of result."""
    out().print(text, soft_wrap=True)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]], text_columns: int = 1) -> None:
    """The first columns are text, the others are numbers."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number < text_columns else "right", overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    out().print(table)


def print_split(split: "Split") -> None:
    """Clips of each corpus, split and emotion, with the number of speakers."""
    from ser.splits.certificate import SPLIT_NAMES

    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    speakers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name in SPLIT_NAMES:
        for entry in split.splits[name]:
            for corpus in (entry.corpus, "all"):
                counts[corpus, name][entry.emotion] += 1
                speakers[corpus, name].add(entry.speaker)
    corpora = [*sorted({corpus for corpus, _ in counts} - {"all"}), "all"]
    rows = []
    for corpus in corpora:
        for name in SPLIT_NAMES:
            of = counts[corpus, name]
            rows.append((f"{corpus} {name}", len(speakers[corpus, name]), of.total(), *(of[emotion] for emotion in split.classes)))
    print_table(f"split {split.certificate.name}: clips", ("", "speakers", "clips", *split.classes), rows)


def print_scores(metrics: Mapping[str, Any]) -> None:
    """UAR, WA and macro-F1 in per cent, overall, for each corpus and as the mean over corpora."""
    rows = [
        (name, part.get("n"), part.get("speakers"), *(with_interval(part, metric) for metric in ("uar", "wa", "macro_f1")))
        for name, part in score_parts(metrics)
    ]
    print_table("test, % with 95 % interval over speakers (none under five)", ("", "clips", "speakers", "UAR", "WA", "macro-F1"), rows)
