"""A figure of one utterance: its waveform, its log-mel and the model's attention."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ser.evaluation.metrics import FloatArray
from ser.features.spectral import hz_to_mel
from ser.report.figures.axes import legend_above
from ser.report.style import GREY, HEAT, INK, SERIES, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEL_TICKS = (250, 500, 1000, 2000, 4000, 8000)
"""Hz"""


@dataclass(frozen=True)
class Traces:
    """The data of one utterance's figure."""

    waveform: FloatArray
    """(samples,)"""
    sample_rate: int
    """Hz"""
    log_mel: FloatArray
    """(frames, n_mels), dB"""
    frame_rate: float
    """Hz"""
    mel_range: tuple[float, float]
    """Lowest and highest frequency of the mel rows in hertz."""
    attention: Mapping[str, FloatArray]
    """{name: (steps,)} weights that sum to 1; empty if the model is not available."""
    attention_rate: Mapping[str, float]
    """{name: steps a second}"""


@styled
def utterance_figure(traces: Traces) -> "Figure":
    """Waveform, log-mel and attention over one time axis in seconds."""
    seconds = len(traces.waveform) / traces.sample_rate
    panels = 3 if traces.attention else 2
    figure = new_figure(1.45 + 1.05 * panels)
    every = figure.subplots(panels, sharex=True, height_ratios=(1, 2, 1.2)[:panels])
    draw_waveform(every[0], traces)
    draw_log_mel(figure, every[1], traces)
    if traces.attention:
        draw_attention(every[2], traces)
    every[-1].set_xlabel("time (s)")
    every[-1].set_xlim(0, seconds)
    return figure


def draw_waveform(axes: "Axes", traces: Traces, columns: int = 600) -> None:
    """Draw the range between the lowest and highest sample in each of at most `columns` stretches, as much as a screen can show."""
    edges = np.unique(np.linspace(0, len(traces.waveform), columns + 1).astype(int))
    starts = edges[:-1]
    low, high = (np.asarray(extreme.reduceat(traces.waveform, starts)) for extreme in (np.minimum, np.maximum))
    time = (starts + np.diff(edges) / 2) / traces.sample_rate
    axes.fill_between(time, low, high, color=INK, linewidth=0.4)
    axes.set_ylim(-1.05, 1.05)
    axes.set_yticks([-1, 0, 1])
    axes.set_ylabel("amplitude\n(peak = 1)")


def draw_log_mel(figure: "Figure", axes: "Axes", traces: Traces) -> None:
    """Draw the log-mel: rows are evenly spaced in mel, with ticks in kHz; a frame is drawn around its centre."""
    half = 0.5 / traces.frame_rate
    edges = hz_to_mel(traces.mel_range)
    top = float(traces.log_mel.max())
    image = axes.imshow(
        traces.log_mel.T,
        origin="lower",
        aspect="auto",
        cmap=HEAT,
        interpolation="none",  # an embedded bitmap, which is small and sharp
        extent=(-half, len(traces.log_mel) / traces.frame_rate - half, float(edges[0]), float(edges[1])),
        vmin=max(float(traces.log_mel.min()), top - 80),
        vmax=top,
    )
    ticks = [hertz for hertz in MEL_TICKS if traces.mel_range[0] <= hertz <= traces.mel_range[1]]
    axes.set_yticks(hz_to_mel(ticks), [f"{hertz / 1000:g}" for hertz in ticks])
    axes.set_ylabel("frequency\n(kHz, mel scale)")
    figure.colorbar(image, ax=axes, label="dB", fraction=0.03, pad=0.01)


def draw_attention(axes: "Axes", traces: Traces) -> None:
    """Draw attention in multiples of an even weight, so that features with different numbers of steps share an axis: 1 is an even
    weight."""
    for (name, weights), colour in zip(traces.attention.items(), SERIES, strict=False):
        edges = np.arange(len(weights) + 1) / traces.attention_rate[name]
        axes.stairs(weights * len(weights), edges, baseline=None, color=colour, linewidth=1.5, label=name)
    axes.axhline(1, color=GREY, linewidth=0.8, linestyle="--")
    axes.set_ylim(0, None)
    axes.set_ylabel("attention\n(1 = even)")
    if len(traces.attention) > 1:
        legend_above(axes, columns=len(traces.attention))
