"""Progress of long work: a bar on a terminal, plain lines in a log."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 10.0

Advance = Callable[[int], None]


@contextmanager
def track(description: str, total: int, unit: str) -> Iterator[Advance]:
    """Yield a function that moves the progress on by n units; units a second are shown beside it."""
    console = Console(stderr=True)
    with bar(console, description, total, unit) if console.is_terminal else lines(description, total, unit) as advance:
        yield advance


@contextmanager
def bar(console: Console, description: str, total: int, unit: str) -> Iterator[Advance]:
    speed = TextColumn("{task.fields[speed]}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), speed, TimeRemainingColumn())
    start = time.monotonic()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(description, total=total, speed="")

        def advance(count: int) -> None:
            done = progress.tasks[0].completed + count
            progress.update(task, advance=count, speed=f"{done / max(time.monotonic() - start, 1e-9):.0f} {unit}/s")

        yield advance


@contextmanager
def lines(description: str, total: int, unit: str) -> Iterator[Advance]:
    start = said = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal said, done
        done += count
        now = time.monotonic()
        if now - said >= LOG_EVERY_SECONDS or done == total:
            said = now
            log.info("%s: %d of %d, %.0f %s/s", description, done, total, done / max(now - start, 1e-9), unit)

    yield advance
