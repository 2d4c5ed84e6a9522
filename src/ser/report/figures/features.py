"""The features of an utterance on one time axis, and the outputs of a model for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ser.evaluation.metrics import FloatArray
from ser.report.figures.panel import Panel, draw_panel
from ser.report.paper import titled
from ser.report.style import BLUE, GREY, VERMILION, WIDTH, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

ATTENTION_HEIGHT = 0.75
"""Inches."""
BESIDE = 1.15
"""Relative width of a figure with two columns: its text is smaller on a page, but still legible."""


@dataclass(frozen=True)
class ModelView:
    """The outputs of a model for an utterance."""

    attention: Mapping[str, FloatArray]
    """{name of the head or expert: (steps,) weights that sum to 1}"""
    attention_rate: Mapping[str, float]
    """{name: steps a second}"""
    gates: Mapping[str, float]
    """{expert: weight}, empty for a model without experts; they sum to 1."""
    probabilities: Mapping[str, float]
    """{class: probability}"""
    truth: str


@styled
def features_figure(title: str, columns: Sequence[Sequence[Panel]], seconds: float, view: ModelView | None = None) -> "Figure":
    """Draw features one above the other on one time axis.

    Args:
        columns: the panels of each column, from top to bottom: the same features in each.
        seconds: duration of the waveform that the features were computed from.
        view: outputs of a model, drawn as a row for the attention of each head or expert, and gates and probabilities below.
    """
    attention = len(view.attention) if view else 0
    heights = [*(panel.height for panel in columns[0]), *([ATTENTION_HEIGHT] * attention)]
    parts = [sum(heights) + 0.3] + ([0.6 + 0.17 * max(len(view.probabilities), len(view.gates))] if view else [])
    figure = titled(sum(parts) + 0.3, title, WIDTH * (1 if len(columns) == 1 else BESIDE))
    subfigures = figure.subfigures(len(parts), squeeze=False, height_ratios=parts)[:, 0]
    grid = subfigures[0].subplots(len(heights), len(columns), squeeze=False, sharex=True, height_ratios=heights)
    for places, panels in zip(grid.T, columns, strict=True):
        draw_column(subfigures[0], places, panels, view)
    for axes in grid[:, 1:].flat:
        axes.set_ylabel("")
        axes.tick_params(labelleft=False)
    every = [panel for panels in columns for panel in panels]
    grid[0, 0].set_xlim(min(0.0, *(panel.first for panel in every)), max(seconds, *(panel.last for panel in every)))
    subfigures[0].supxlabel("seconds from the start of the prepared waveform", fontsize="medium")
    if view:
        draw_answer(subfigures[1], view)
    return figure


def draw_column(parent: "SubFigure", places: npt.NDArray[np.object_], panels: Sequence[Panel], view: ModelView | None) -> None:
    """Features, and below them the attention of the model, all on one scale."""
    for axes, panel in zip(places, panels, strict=False):
        image = draw_panel(axes, panel)
        parent.colorbar(image, ax=axes, label=panel.unit, extend="both", aspect=12, pad=0.02)
    if view is None:
        return
    highest = max([1.0, *(float(weights.max()) * len(weights) for weights in view.attention.values())])
    for axes, (name, weights) in zip(places[len(panels) :], view.attention.items(), strict=True):
        draw_attention(axes, name, weights, view.attention_rate[name])
        axes.set_ylim(0, 1.1 * highest)


def draw_attention(axes: "Axes", name: str, weights: FloatArray, rate: float) -> None:
    """Attention as a step function, in multiples of an even weight."""
    heights = np.asarray(weights, np.float64) * len(weights)
    bounds = np.arange(len(weights) + 1) / rate
    axes.stairs(heights, bounds, fill=True, color=BLUE, alpha=0.35)
    axes.stairs(heights, bounds, color=BLUE, linewidth=1)
    axes.axhline(1, color=GREY, linestyle="--", linewidth=0.8)
    axes.set_title(f"attention, {name}")
    axes.set_ylabel("1 = even")


def draw_answer(parent: "SubFigure", view: ModelView) -> None:
    """Gates, if the model has any, and probabilities, with the truth marked."""
    places = parent.subplots(1, 2 if view.gates else 1, squeeze=False, width_ratios=[1, 1.6] if view.gates else [1])[0]
    if view.gates:
        draw_bars(places[0], "weight of each expert (%)", view.gates, marked=None)
    draw_bars(places[-1], "probability of each class (%)", view.probabilities, marked=view.truth)


def draw_bars(axes: "Axes", title: str, values: Mapping[str, float], marked: str | None) -> None:
    names = list(values)
    colours = [VERMILION if name == marked else BLUE for name in names]
    bars = axes.barh(range(len(names)), [100 * values[name] for name in names], color=colours, height=0.7)
    axes.bar_label(bars, [f"{100 * values[name]:.0f}" for name in names], padding=3)
    axes.set_yticks(range(len(names)), [f"{name} (truth)" if name == marked else name for name in names])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 112)  # space for the number after a bar of 100
    axes.set_xticks([0, 50, 100])
    axes.set_title(title)
