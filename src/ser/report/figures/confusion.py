"""A confusion matrix."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ser.evaluation.metrics import Counts
from ser.report.style import INK, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def confusion(matrix: Counts, classes: Sequence[str]) -> "Figure":
    """Row-normalised, in per cent, with the number of clips below; rows without a clip are left out.

    Args:
        matrix: (C, C) counts, truth in rows.
    """
    kept = np.flatnonzero(matrix.sum(axis=1))
    counts = matrix[kept]
    shares = 100 * counts / counts.sum(axis=1, keepdims=True)
    figure = new_figure(1.0 + 0.52 * len(kept))
    axes = figure.subplots()
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=100, edgecolors="white", linewidth=1)
    for (row, column), share in np.ndenumerate(shares):
        if counts[row, column]:
            colour = "white" if share > 70 else INK
            axes.text(column + 0.5, row + 0.4, f"{share:.0f}", ha="center", va="center", color=colour)
            axes.text(column + 0.5, row + 0.76, f"{counts[row, column]}", ha="center", va="center", color=colour, size=7)
    axes.set_xticks(np.arange(len(classes)) + 0.5, classes)
    axes.set_yticks(np.arange(len(kept)) + 0.5, [f"{classes[label]}  {counts[row].sum()}" for row, label in enumerate(kept.tolist())])
    axes.invert_yaxis()
    axes.set_xlabel("predicted (% of the true class, clips below)")
    axes.set_ylabel("true (clips)")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure
