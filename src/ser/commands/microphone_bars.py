"""The live display of `ser predict --mic` on a terminal: a bar for each emotion, the level, and the answer."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ser.inference.live import NO_SPEECH, LiveAnswer
from ser.inference.predictor import Predictor
from ser.system.console import out

if TYPE_CHECKING:  # not imported for lines
    from rich.console import Console, ConsoleOptions, Group, RenderResult

LATE_HOPS = 4
"""The number of missed answers at which a warning is shown: the first answers of a model are always slow."""
LATE = "the model takes longer than a hop, so some sound is skipped: use a longer --hop, or an exported model"
QUIET = -60.0
"""The lower end of the level meter in dBFS; its upper end is full scale."""

Show = Callable[[LiveAnswer], None]


@contextmanager
def bars(predictor: Predictor) -> Iterator[Show]:
    """A bar for each emotion, redrawn with every answer."""
    from rich.live import Live

    missed = 0
    with Live(frame(None, predictor, missed), console=out(), auto_refresh=False) as live:

        def show(answer: LiveAnswer) -> None:
            nonlocal missed
            missed += answer.moment.missed
            live.update(frame(answer, predictor, missed), refresh=True)

        yield show


def frame(answer: LiveAnswer | None, predictor: Predictor, missed: int) -> "Group":
    """The display: bars, the level, and the answer."""
    from rich.console import Group
    from rich.table import Table

    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(justify="right", no_wrap=True)
    probabilities = (answer.probabilities if answer else None) or {}
    for name in predictor.classes:
        best = bool(probabilities) and answer is not None and answer.emotion == name
        share = probabilities.get(name, 0.0)
        percent = f"{100 * share:.0f} %" if probabilities else "-"
        table.add_row(name, Bar(share, "bold green" if best else "cyan"), percent, style="bold" if best else "")
    table.add_row(*level_row(answer))
    late = (f"({LATE})",) if missed >= LATE_HOPS else ()
    return Group(table, *late, *status(answer, predictor.window))


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar that fills `share`, 0 to 1, of a line."""

    share: float
    style: str

    def __rich_console__(self, _console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        eighths = round(8 * self.share * options.max_width)
        text = "#" * round(eighths / 8) if options.ascii_only else "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8]
        yield Text(text[: options.max_width], self.style)


def level_row(answer: LiveAnswer | None) -> "tuple[str, Bar, str]":
    """The level meter; red if samples reach full scale."""
    level = answer.level if answer else -np.inf
    clipped = answer is not None and "clipped" in answer.warnings
    share = min(1.0, max(0.0, 1 - level / QUIET))
    return "level", Bar(share, "red" if clipped else "yellow"), f"{level:.0f} dB" if np.isfinite(level) else "-"


REASONS = {"silent": "silence", "too-short": "too little sound", NO_SPEECH: "no speech"}


def status(answer: LiveAnswer | None, window: float) -> tuple[str, str]:
    """The lines below the bars."""
    if answer is None:
        return f"{clock(0)}  listening", "Ctrl-C ends"
    remarks = " (clipped: too loud)" if "clipped" in answer.warnings else ""
    what = answer.emotion or f"no answer: {REASONS.get(answer.reason or '', answer.reason)}"
    heard = min(window, answer.moment.seconds)
    return f"{clock(answer.moment.seconds)}  {what}{remarks}", f"of the last {heard:.1f} s; Ctrl-C ends"


def clock(seconds: float) -> str:
    """
    >>> clock(3725.9)
    '1:02:05'
    """
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def summary(counts: Counter[str | None]) -> str:
    """
    >>> summary(Counter({"sad": 3, None: 1}))
    'of 4 answers: sad 75 %, no answer 25 %'
    """
    total = counts.total()
    if not total:
        return "no answers"
    shares = ", ".join(f"{name or 'no answer'} {100 * count / total:.0f} %" for name, count in counts.most_common())
    return f"of {total} answers: {shares}"
