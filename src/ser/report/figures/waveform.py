"""A waveform over time."""

from typing import TYPE_CHECKING

import numpy as np

from ser.audio.waveform import Waveform
from ser.report.style import BLUE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 1200
"""The number of stretches, one for each pixel, in which a longer waveform is drawn as its lowest and highest sample."""


def draw_waveform(axes: "Axes", samples: Waveform, rate: int) -> None:
    """Draw every sample, or, if there are too many, the range between the lowest and the highest of each stretch."""
    if len(samples) <= 2 * BINS:
        axes.plot(np.arange(len(samples)) / rate, samples, color=BLUE, linewidth=0.7)
        return
    bounds = np.linspace(0, len(samples), BINS + 1).astype(int)[:-1]
    low, high = np.minimum.reduceat(samples, bounds), np.maximum.reduceat(samples, bounds)
    axes.fill_between(bounds / rate, low, high, color=BLUE, linewidth=0.4)
