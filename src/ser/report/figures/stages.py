"""The stages of a waveform, from the file to the input of the features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ser.audio.waveform import TRIM_HOP_SECONDS, Stages, Waveform, trim_bounds
from ser.config import AudioConfig
from ser.report.figures.waveform import draw_waveform
from ser.report.paper import titled
from ser.report.style import GREY, PALE, VERMILION, styled
from ser.units import samples_to_seconds, seconds_to_samples

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class StageView:
    """One stage of a waveform, and its position in the file."""

    name: str
    samples: Waveform
    rate: int
    """Hz"""
    start: float
    """Seconds from the start of the file to the first sample; negative if silence was added before it."""
    note: str
    """A description of the stage and of its shaded parts."""
    gone: tuple[tuple[float, float], ...] = ()
    """Parts that the next stage removes, in seconds from the first sample."""

    @property
    def seconds(self) -> float:
        return samples_to_seconds(len(self.samples), self.rate)


def stage_views(stages: Stages, config: AudioConfig) -> list[StageView]:
    """The five stages, each at its position in the file."""
    rate, target = stages.raw_rate, config.sampling_rate
    before, trimmed, raw = trimmed_at(stages, config), samples_to_seconds(len(stages.trimmed), rate), len(stages.raw) / rate
    missing = (len(stages.resampled) - len(stages.fixed)) / 2
    cut, whole = int(missing) / target, samples_to_seconds(len(stages.resampled), target)
    fixed_end = cut + samples_to_seconds(len(stages.fixed), target)
    trims, cuts = edges(before, before + trimmed, raw), edges(cut, fixed_end, whole)
    resampling = ("same rate" if rate == target else f"from {rate} Hz", shaded("cut away", cuts))
    at = before + cut
    return [
        StageView("raw", stages.raw, rate, 0.0, shaded("trimmed away", trims), trims),
        StageView("trimmed", stages.trimmed, rate, before, trim_note(trims, config)),
        StageView("resampled", stages.resampled, target, before, "; ".join(filter(None, resampling)), cuts),
        StageView("fixed", stages.fixed, target, at, fixed_note(cut, cuts, config)),
        StageView("prepared", stages.prepared, target, at, "scaled to peak 1" if np.any(stages.prepared) else "silence is not scaled"),
    ]


def trimmed_at(stages: Stages, config: AudioConfig) -> float:
    """Seconds of the file before the trimmed waveform."""
    if len(stages.trimmed) == len(stages.raw):
        return 0.0
    start, _ = trim_bounds(stages.raw, seconds_to_samples(TRIM_HOP_SECONDS, stages.raw_rate), config.trim_top_db)
    return samples_to_seconds(start, stages.raw_rate)


def edges(start: float, end: float, whole: float) -> tuple[tuple[float, float], ...]:
    """The parts before `start` and after `end`, if not empty.

    >>> edges(0.5, 2.0, 2.0)
    ((0.0, 0.5),)
    """
    return tuple((low, high) for low, high in ((0.0, start), (end, whole)) if high - low > 1e-9)


def shaded(what: str, stretches: Sequence[tuple[float, float]]) -> str:
    """
    >>> shaded("cut away", [(0.0, 0.5), (1.5, 2.25)])
    'shaded: 1.25 s cut away'
    """
    return f"shaded: {sum(high - low for low, high in stretches):.2f} s {what}" if stretches else ""


def trim_note(trims: Sequence[tuple[float, float]], config: AudioConfig) -> str:
    if not config.trim_silence:
        return "silence is kept"
    return f"ends {config.trim_top_db:g} dB below the loudest frame" if trims else "nothing to trim"


def fixed_note(start: float, cuts: Sequence[tuple[float, float]], config: AudioConfig) -> str:
    if cuts:
        return f"the middle {config.duration:g} s"
    if start < 0:
        return f"padded to {config.duration:g} s"
    return "any length" if config.duration is None else f"not longer than {config.duration:g} s"


@styled
def waveforms_figure(title: str, views: Sequence[StageView]) -> "Figure":
    """Draw the stages one above the other, each with its own time axis, aligned to its position in the file."""
    low = min(view.start for view in views)
    high = max(view.start + view.seconds for view in views)
    figure = titled(0.6 + 1.1 * len(views), title)
    for axes, view in zip(figure.subplots(len(views), squeeze=False)[:, 0], views, strict=True):
        draw_stage(axes, view, (low - view.start, high - view.start))
    figure.supxlabel("seconds from the start of each stage; the dot is the peak", fontsize="medium")
    figure.supylabel("amplitude (full scale: 1)", fontsize="medium")
    return figure


def draw_stage(axes: "Axes", view: StageView, limits: tuple[float, float]) -> None:
    """
    Args:
        limits: range of the time axis, in seconds from the first sample, the same for all stages.
    """
    draw_waveform(axes, view.samples, view.rate)
    for start, end in view.gone:
        axes.axvspan(start, end, facecolor=PALE, edgecolor=GREY, hatch="///", linewidth=0, zorder=0)
    peak = int(np.argmax(np.abs(view.samples)))
    height = float(view.samples[peak])
    axes.plot(peak / view.rate, height, "o", color=VERMILION, markersize=4, clip_on=False)
    axes.set_ylim(*(side * (1.1 * abs(height) or 1.0) for side in (-1, 1)))
    axes.set_xlim(*limits)
    axes.set_xticks([tick for tick in axes.get_xticks() if -1e-9 <= tick <= view.seconds + 1e-9])
    axes.set_xlim(*limits)
    facts = (f"{view.name}:", f"{view.rate} Hz,", f"{view.seconds:.2f} s,", f"peak {abs(height):.2f}")
    axes.set_title(" ".join(facts) + (f" ({view.note})" if view.note else ""))
    axes.spines.bottom.set_bounds(0, view.seconds)
