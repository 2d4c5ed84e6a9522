"""Overlapping windows over a long recording, and one smoothed answer for each stretch of time.

A model was trained on clips of some seconds, so a long recording is inferred in windows of that length, one every `hop`. The recording is
divided into cells, one hop long. The answer for a cell is the mean over all windows that cover its centre, each weighted by how near that
is to the window's own centre (1 there, 0 at its ends): the triangular kernel of overlap-add. With a hop of half a window these are two
windows with equal weight, so a single outlier does not change an answer by itself.

All lengths are in samples.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def window_starts(length: int, window: int, hop: int) -> list[int]:
    """The starts of the windows: every hop, and the last so that it ends with the recording. One window if a recording is no longer than
    that.

    >>> window_starts(10, 4, 2), window_starts(11, 4, 2), window_starts(3, 4, 2)
    ([0, 2, 4, 6], [0, 2, 4, 6, 7], [0])
    """
    if length <= window:
        return [0]
    starts = list(range(0, length - window + 1, hop))
    return starts if starts[-1] == length - window else [*starts, length - window]


def cell_edges(length: int, hop: int) -> NDArray[np.int64]:
    """The edges of the cells; the last cell may be shorter than a hop.

    Shape:
        (cells + 1,)

    >>> cell_edges(10, 4).tolist()
    [0, 4, 8, 10]
    """
    return np.append(np.arange(0, length, hop, dtype=np.int64), length)


def smooth(probabilities: Floats, starts: Sequence[int], window: int, edges: NDArray[np.int64]) -> tuple[Floats, NDArray[np.bool_]]:
    """The probabilities of each cell, and whether a window covers its centre. The arguments hold only windows that were inferred.

    Shape:
        probabilities (windows, C), edges (cells + 1,) -> (cells, C), zero where there is no window; (cells,)

    >>> mean, heard = smooth(np.array([[1.0, 0.0], [0.0, 1.0]]), [0, 2], 4, cell_edges(8, 2))
    >>> mean.tolist(), heard.tolist()
    ([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.0, 0.0]], [True, True, True, False])
    """
    centres = (edges[:-1] + edges[1:]) / 2
    total, weight = np.zeros((len(centres), probabilities.shape[1])), np.zeros(len(centres))
    for row, start in zip(probabilities, starts, strict=True):
        first, last = np.searchsorted(centres, [start, start + window], side="right")
        near = 1 - np.abs(centres[first:last] - start - window / 2) / (window / 2)
        total[first:last] += near[:, None] * row
        weight[first:last] += near
    heard = weight > 0
    total[heard] /= weight[heard, None]
    return total, heard


def stretches(answers: Sequence[str | None]) -> list[tuple[int, int]]:
    """Neighbouring cells with the same answer, as (first, after the last); cells without one (None) are left out.

    >>> stretches(["sad", "sad", None, "sad", "happy"])
    [(0, 2), (3, 4), (4, 5)]
    """
    found, first = [], 0
    for answer, group in groupby(answers):
        last = first + len(list(group))
        found += [(first, last)] if answer is not None else []
        first = last
    return found
