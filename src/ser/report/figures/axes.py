"""Axes that several figures share."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_SPAN = 20.0
"""Per cent points that an axis of scores covers at least."""


def widen(axes: "Axes", least: float = LEAST_SPAN) -> None:
    """Limits of an axis of scores: a narrow axis would exaggerate a small difference."""
    low, high = axes.get_xlim()
    if high - low < least:
        axes.set_xlim((low + high - least) / 2, (low + high + least) / 2)


def legend_above(axes: "Axes", columns: int = 1) -> None:
    """A place for the legend that covers no data."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, ncols=columns)
