"""Scores with their intervals, one below the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ser.report.figures.axes import widen
from ser.report.style import BLUE, GREY, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLATE = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}
"""Background of a number that is written on a line."""


@dataclass(frozen=True)
class Dot:
    """One row of a dot-and-interval plot, in per cent."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    group: str = ""
    """Rows of different groups are separated by a small gap."""


@styled
def dots(rows: Sequence[Dot], label: str, reference: float | None = None, reference_label: str = "") -> "Figure":
    """Values with their intervals, one below the other; an empty dot for a value without an interval.

    Args:
        label: label of the axis, with its unit.
        reference: position of a vertical line to compare with, such as chance.
    """
    groups = list(dict.fromkeys(row.group for row in rows))
    places = [index + 0.6 * groups.index(row.group) for index, row in enumerate(rows)]
    figure = new_figure(0.75 + 0.29 * (places[-1] + 1 if places else 1))
    axes = figure.subplots()
    for place, row in zip(places, rows, strict=True):
        draw_dot(axes, place, row)
    if reference is not None:
        axes.axvline(reference, color=GREY, linewidth=0.9, linestyle="--")
        axes.annotate(
            reference_label, (reference, 1), (3, 1), xycoords=("data", "axes fraction"), textcoords="offset points", color=GREY, size=8.5
        )
    axes.set_yticks(places, [row.label for row in rows])
    axes.set_ylim((places[-1] if places else 0) + 0.6, -0.6)
    widen(axes)
    axes.set_xlabel(label)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure


def draw_dot(axes: "Axes", place: float, row: Dot) -> None:
    if row.value is None:
        return
    if row.low is not None and row.high is not None:
        axes.plot([row.low, row.high], [place, place], color=BLUE, linewidth=2.2, solid_capstyle="butt")
    axes.plot(row.value, place, "o", color=BLUE, markersize=6.5, markerfacecolor="white" if row.low is None else BLUE)
    axes.annotate(
        f"{row.value:.1f}", (row.value, place), (0, 5), textcoords="offset points", ha="center", size=8, color=GREY, bbox=PLATE, zorder=1.5
    )
