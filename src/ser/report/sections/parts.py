"""Parts that several sections share: pictures, and rows of scores."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ser.evaluation.intervals import Estimate
from ser.evaluation.records import Estimates, Scores, size_cells
from ser.report.figures.dots import Dot
from ser.report.page import Item, Note, Picture
from ser.report.svg import inline_svg
from ser.wording import join_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {"uar": "UAR", "wa": "WA", "macro_f1": "macro-F1"}
SCORES = ("clips", "speakers", *NAMES.values())

Parts = Sequence[tuple[str, Estimates]]
"""Scores with a name: of everything, a corpus, a group..."""


def picture(figure: "Figure", name: str, label: str, caption: str = "", title: str = "") -> Picture:
    """
    Args:
        name: unique on the page.
        label: alternative text of the picture.
    """
    return Picture(inline_svg(figure, name, label), caption, title)


def percent_cells(scores: Estimates) -> list[str]:
    """Each metric in per cent with its interval."""
    return [estimate.in_percent() for estimate in scores.by_metric().values()]


def score_cells(scores: Estimates) -> list[str]:
    """Clips, speakers, and each metric in per cent with its interval."""
    return [*("" if size is None else str(size) for size in size_cells(scores)), *percent_cells(scores)]


def dot(label: str, estimate: Estimate, group: str = "") -> Dot:
    value, low, high = (None if share is None else 100 * share for share in (estimate.value, estimate.low, estimate.high))
    return Dot(label, value, low, high, group)


def distinct_parts(scores: Scores) -> Parts:
    """All clips, each corpus and the mean over corpora; a single corpus, for which the three are equal, alone."""
    parts = list(scores.parts())
    return parts if len(scores.per_corpus) > 1 else [part for part in parts if part[0] in scores.per_corpus]


def uar_list(parts: Iterable[tuple[str, Estimates]]) -> str:
    return "; ".join(f"{name} {part.uar.in_percent()} %" for name, part in parts)


def missing_intervals(parts: Mapping[str, Estimates]) -> list[Item]:
    """The reasons why some have no interval, in one line."""
    reasons = [f"{name} ({part.uar.reason})" for name, part in parts.items() if part.uar.reason]
    return [Note(f"No interval for {join_words(reasons)}.")] if reasons else []
