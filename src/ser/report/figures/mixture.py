"""The weights of experts, and of the hidden states of a backbone."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ser.evaluation.metrics import FloatArray
from ser.report.figures.axes import legend_above
from ser.report.style import BLUE, GREY, INK, SERIES, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@styled
def gate_shares(parts: Mapping[str, Mapping[str, Mapping[str, float]]]) -> "Figure":
    """Mean weight of each expert as stacked bars.

    Args:
        parts: {part of the figure: {bar: {expert: weight, 0 to 1}}}, such as by corpus and by emotion.
    """
    experts = list(next(iter(next(iter(parts.values())).values())))
    heights = [len(bars) for bars in parts.values()]
    figure = new_figure(0.9 + 0.3 * sum(heights) + 0.25 * len(parts))
    every = np.atleast_1d(figure.subplots(len(parts), sharex=True, height_ratios=heights))
    for axes, (title, bars) in zip(every, parts.items(), strict=True):
        left = np.zeros(len(bars))
        for expert, colour in zip(experts, SERIES, strict=False):
            widths = np.array([100 * bar[expert] for bar in bars.values()])
            axes.barh(list(bars), widths, left=left, color=colour, label=expert, height=0.75)
            write_shares(axes, left, widths, "white" if colour == BLUE else INK)
            left += widths
        axes.set_ylabel(title, rotation=0, ha="right", va="center", color=GREY)
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    every[-1].set_xlabel("mean weight in the mixture (%)")
    legend_above(every[0], columns=len(experts))
    return figure


def write_shares(axes: "Axes", left: FloatArray, widths: FloatArray, colour: str) -> None:
    """Write the numbers into the bars that are wide enough."""
    for place, (start, width) in enumerate(zip(left, widths, strict=True)):
        if width >= 6:
            axes.text(start + width / 2, place, f"{width:.0f}", ha="center", va="center", color=colour, size=8.5)


@styled
def state_weights(weights: Mapping[str, float]) -> "Figure":
    """The learned share of each hidden state of the backbone; the dashed line is an even share.

    Args:
        weights: {number of the state: 0 to 1}
    """
    figure = new_figure(2.4)
    axes = figure.subplots()
    axes.bar(list(weights), [100 * weight for weight in weights.values()], color=BLUE, width=0.7)
    axes.axhline(100 / len(weights), color=GREY, linewidth=0.9, linestyle="--")
    axes.set_xlabel("hidden state (0: input of the first layer)")
    axes.set_ylabel("weight (%)")
    axes.tick_params(axis="x", length=0)
    return figure
