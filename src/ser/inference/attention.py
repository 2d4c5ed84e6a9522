"""The attention of a model over a whole recording: the weights of all windows as one curve over time.

The attention weights of a clip are a step function over its prepared waveform, which starts somewhere in the clip, which starts somewhere
in the recording. They are resampled to a grid of cells that starts with the recording: each cell gets the mean of the weights over it.
Where windows overlap, a cell gets the mean of the windows, weighted by how near the cell is to the window's centre
(`ser.inference.windows`). Windows that trimmed a cell as silence are left out of its mean.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_RATE = 20.0
"""Cells a second, in hertz: 50 ms are about the length of a phone."""
MAX_CELLS = 50_000
"""The highest number of cells of a curve. In a recording longer than 40 minutes the cells are longer, so the memory stays constant."""
LEAST_COVERED = 1e-6
"""The shortest overlap of a step and a cell, in seconds; anything shorter is a rounding error."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Attention:
    """A curve over a whole recording. Cell k covers k / rate to (k + 1) / rate seconds; the last may end after the recording."""

    rate: float
    """Hz"""
    weights: tuple[float, ...]
    """(cells,) weights relative to their mean over all cells that a window covers, which is 1. Cells that no window covers are 0."""


class Curve:
    """Accumulates the attention of windows."""

    def __init__(self, seconds: float, step_rate: float) -> None:
        """
        Args:
            seconds: duration of the recording.
            step_rate: steps a second of the model's attention, in hertz; cells are at least as long as its steps.
        """
        self.rate = min(MAX_RATE, step_rate, MAX_CELLS / seconds)
        cells = max(1, math.ceil(round(seconds * self.rate, 6)))
        self.attended, self.covered = np.zeros(cells), np.zeros(cells)

    def add(self, weights: NDArray[np.floating], step_rate: float, start: float, window: tuple[float, float]) -> None:
        """Add the attention of one window. Its step k covers k / step_rate to (k + 1) / step_rate seconds after its start.

        Args:
            weights: (steps,), summing to 1.
            step_rate: steps a second, in hertz.
            start: seconds from the start of the recording to the first step; steps outside the window are left out.
            window: start and end of the window, in seconds of the recording.
        """
        first, last = int(window[0] * self.rate), min(len(self.covered), math.ceil(window[1] * self.rate))
        edges = np.clip(np.arange(first, last + 1) / self.rate, *window)
        steps = start + np.arange(len(weights) + 1) / step_rate
        before = np.concatenate([[0], np.cumsum(weights, dtype=np.float64)]) * (
            steps[-1] - start
        )  # the integral; a step of mean weight adds 1
        near = 1 - np.abs(edges[:-1] + edges[1:] - sum(window)) / (window[1] - window[0])
        self.attended[first:last] += near * np.diff(np.interp(edges, steps, before))
        self.covered[first:last] += near * np.diff(np.clip(edges, start, steps[-1]))

    def attention(self) -> Attention:
        covered = self.covered > LEAST_COVERED
        curve = np.zeros(len(covered))
        curve[covered] = self.attended[covered] / self.covered[covered]
        mean = curve[covered].mean() if covered.any() else 0.0
        return Attention(self.rate, tuple((curve / mean if mean > 0 else curve).tolist()))
