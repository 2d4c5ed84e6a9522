"""Progress of long work: a bar on a terminal or in a notebook, plain lines in a log."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ser.system.console import ALIVE
from ser.system.notebook_bar import in_notebook, notebook_bar

log = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 10.0
ALIVE_EVERY_SECONDS = 60.0
"""How often a line is shown without -v."""
AUDIO = "s of audio"
"""Unit of work whose speed is shown as a multiple of real time."""
ROUNDING = 1e-6
"""Tolerance between a sum of seconds and their total."""

Advance = Callable[[float], None]


@contextmanager
def track(description: str, total: float, unit: str) -> Iterator[Advance]:
    """Show progress during the block; yield a function that advances it by a number of units. The speed is shown as well."""
    if total and in_notebook():
        with notebook_bar(description, total, lambda done, seconds: show_state(done, total, seconds, unit)) as advance:
            yield advance
        return
    console = Console(stderr=True)
    # rich takes FORCE_COLOR, which notebooks set for their cells, for a terminal; a bar there would leave its control codes in the text.
    is_drawn = console.is_terminal and not console.is_dumb_terminal and console.file.isatty()
    with bar(console, description, total, unit) if is_drawn else lines(description, total, unit) as advance:
        yield advance


@contextmanager
def bar(console: Console, description: str, total: float, unit: str) -> Iterator[Advance]:
    # rich cannot estimate the time left if there are fewer than two updates in 30 s, as with a backbone, so it is computed here.
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
    start = time.monotonic()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(description, total=total, pace="")

        def advance(count: float) -> None:
            done = progress.tasks[0].completed + count
            seconds = time.monotonic() - start
            progress.update(task, advance=count, pace=show_speed(done, seconds, unit) + show_left(done, total, seconds))

        yield advance


@contextmanager
def lines(description: str, total: float, unit: str) -> Iterator[Advance]:
    start = last_logged = last_alive = time.monotonic()
    done = 0.0

    def advance(count: float) -> None:
        nonlocal last_logged, last_alive, done
        done += count
        now = time.monotonic()
        if now - last_logged >= LOG_EVERY_SECONDS or total - done < ROUNDING:
            last_logged = now
            alive = now - last_alive >= ALIVE_EVERY_SECONDS
            last_alive = now if alive else last_alive
            log.log(ALIVE if alive else logging.INFO, "%s: %s", description, show_state(done, total, now - start, unit))

    yield advance


def show_state(done: float, total: float, seconds: float, unit: str) -> str:
    """
    >>> show_state(40, 100, 8.0, "clips")
    '40 of 100, 5 clips/s'
    >>> show_state(1000, 4000, 60.0, AUDIO)
    '1000 of 4000 s of audio, 16.7 x real time, 0:03:00 left'
    """
    text = f"{done:.0f} of {total:.0f}{f' {AUDIO}' if unit == AUDIO else ''}, {show_speed(done, seconds, unit)}"
    return text + (show_left(done, total, seconds) if unit == AUDIO else "")


def show_left(done: float, total: float, seconds: float) -> str:
    """Time left at the mean speed so far; empty before the first unit and at the end.

    >>> show_left(1000, 4000, 60.0), show_left(4000, 4000, 240.0)
    (', 0:03:00 left', '')
    """
    if done <= 0 or total - done < ROUNDING:
        return ""
    return f", {timedelta(seconds=round((total - done) / done * seconds))} left"


def show_speed(done: float, seconds: float, unit: str) -> str:
    """
    >>> show_speed(40, 8.0, "clips"), show_speed(40, 8.0, AUDIO)
    ('5 clips/s', '5.0 x real time')
    """
    speed = done / max(seconds, 1e-9)
    return f"{speed:.1f} x real time" if unit == AUDIO else f"{speed:.0f} {unit}/s"
