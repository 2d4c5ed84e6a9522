"""A clip and its altered copies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ser.audio.waveform import Waveform
from ser.report.figures.panel import Panel, draw_panel, robust_limits
from ser.report.figures.waveform import draw_waveform
from ser.report.paper import titled
from ser.report.style import styled
from ser.units import samples_to_seconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Copy:
    """A waveform with its log-mel: the clip itself, or an altered copy of it."""

    name: str
    samples: Waveform
    rate: int
    """Hz"""
    mel: Panel
    done: str = ""
    """A description of the alterations."""


@styled
def copies_figure(title: str, copies: Sequence[Copy]) -> "Figure":
    """The clip and its altered copies one above the other, waveform beside log-mel, with common scales of time and colour."""
    limits = robust_limits(copies[0].mel.values)
    longest = max(samples_to_seconds(len(copy.samples), copy.rate) for copy in copies)
    figure = titled(0.6 + 1.15 * len(copies), title)
    grid = figure.subplots(len(copies), 2, squeeze=False, sharex=True)
    for (left, right), copy in zip(grid, copies, strict=True):
        draw_waveform(left, copy.samples, copy.rate)
        length = f"{samples_to_seconds(len(copy.samples), copy.rate):.2f} s"
        left.set_title(", ".join(filter(None, (f"{copy.name}: {length}", copy.done))))  # over the whole row
        left.set_ylim(-1.1, 1.1)
        image = draw_panel(right, copy.mel)
        image.set_clim(*limits)
    for axes in grid[-1]:
        axes.set_xlim(0, longest)
        axes.set_xlabel("seconds")
    figure.supylabel("amplitude (peak: 1)", fontsize="medium")
    figure.colorbar(image, ax=grid[:, 1], label=copies[0].mel.unit, extend="both", aspect=10 * len(copies), pad=0.02)
    return figure
