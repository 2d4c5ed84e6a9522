"""Where in a recording a model listened: the attention of all its windows as one curve over time.

The attention of a clip is a step function over its prepared waveform, which begins somewhere in the clip, which begins somewhere in the
recording. Here it is laid over a grid of cells that begins with the recording; each cell gets the mean of what lies over it. Where windows
overlap, a cell gets their mean, weighted by how near it lies to the window's centre (`ser.inference.windows`); windows that cut it
off as silence do not count.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_RATE = 20.0
"""Hz: cells of 50 ms, about a phone."""
MAX_CELLS = 50_000
"""Of a curve: beyond 40 minutes the cells grow, and hours need no more memory."""
LEAST_COVERED = 1e-6
"""Seconds of a cell: less is rounding."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Attention:
    """A curve over a whole recording. Cell k reaches from k / rate to (k + 1) / rate seconds; the last may end behind the recording."""

    rate: float
    """Hz"""
    weights: tuple[float, ...]
    """1 is as much as the mean over all cells that a window covers; 0 is also what no window covers."""


class Curve:
    """Collects the attention of windows."""

    def __init__(self, seconds: float, step_rate: float) -> None:
        """
        Args:
            seconds: of the recording.
            step_rate: hertz, of the model's attention; cells are no shorter than its steps.
        """
        self.rate = min(MAX_RATE, step_rate, MAX_CELLS / seconds)
        cells = max(1, math.ceil(round(seconds * self.rate, 6)))
        self.attended, self.covered = np.zeros(cells), np.zeros(cells)

    def add(self, weights: NDArray[np.floating], step_rate: float, start: float, window: tuple[float, float]) -> None:
        """The attention of one window, of which step k reaches from k / step_rate to (k + 1) / step_rate seconds behind its start.

        Args:
            weights: (steps,), summing to 1.
            step_rate: hertz.
            start: seconds from the start of the recording to the first step; what lies outside of the window is left out.
            window: where it begins and ends, in seconds of the recording.
        """
        first, last = int(window[0] * self.rate), min(len(self.covered), math.ceil(window[1] * self.rate))
        edges = np.clip(np.arange(first, last + 1) / self.rate, *window)
        steps = start + np.arange(len(weights) + 1) / step_rate
        before = np.concatenate([[0], np.cumsum(weights, dtype=np.float64)]) * (steps[-1] - start)  # the integral; a mean step counts 1
        near = 1 - np.abs(edges[:-1] + edges[1:] - sum(window)) / (window[1] - window[0])
        self.attended[first:last] += near * np.diff(np.interp(edges, steps, before))
        self.covered[first:last] += near * np.diff(np.clip(edges, start, steps[-1]))

    def attention(self) -> Attention:
        covered = self.covered > LEAST_COVERED
        curve = np.zeros(len(covered))
        curve[covered] = self.attended[covered] / self.covered[covered]
        mean = curve[covered].mean() if covered.any() else 0.0
        return Attention(self.rate, tuple((curve / mean if mean > 0 else curve).tolist()))
