"""One feature over time, as an image."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ser.evaluation.metrics import FloatArray
from ser.report.figures.rows import Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

DEVIATIONS = (-2.5, 2.5)
"""Limits of the colours of normalised features."""
MANY = 8
"""The highest number of labels of an axis in normal size; more are written in `SMALL`."""
SMALL = 7.5
"""Points."""


@dataclass(frozen=True)
class Panel:
    title: str
    values: FloatArray
    """(frames, rows)"""
    frame_rate: float
    """Hz"""
    first: float
    """Seconds from the start of the waveform to the left edge of the first frame."""
    rows: Rows
    unit: str
    """Label of the colour scale."""
    limits: tuple[float, float] | None = None
    """Limits of the colour scale; None: derived from the values."""
    height: float = 1.2
    """Inches."""

    @property
    def last(self) -> float:
        """Seconds to the right edge of the last frame."""
        return self.first + len(self.values) / self.frame_rate


def draw_panel(axes: "Axes", panel: Panel) -> "AxesImage":
    low, high = panel.limits or robust_limits(panel.values)
    image = axes.imshow(
        np.asarray(panel.values, np.float32).T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        vmin=low,
        vmax=high,
        extent=(panel.first, panel.last, panel.rows.low, panel.rows.high),
    )
    axes.set_title(panel.title)
    axes.set_ylabel(panel.rows.label)
    names = [text for _, text in panel.rows.ticks]
    axes.set_yticks([at for at, _ in panel.rows.ticks], names, fontsize=SMALL if len(names) > MANY else "medium")
    axes.set_ylim(panel.rows.low, panel.rows.high)
    return image


def robust_limits(values: FloatArray) -> tuple[float, float]:
    """The range of the middle 94 % of the values, which excludes the lowest MFCC of 40, far larger than the others. Widened if all are
    equal.

    >>> robust_limits(np.zeros((3, 2)))
    (-0.5, 0.5)
    """
    low, high = (float(value) for value in np.percentile(np.asarray(values, np.float64), (3, 97)))
    return (low, high) if high > low else (low - 0.5, high + 0.5)
