"""One utterance in figures: the stages of its waveform, its features, altered copies, and what a model made of it. Arrays in, figures out.

Every time axis is in seconds, every colour bar has its unit. Needs the extra `viz`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ser.audio.waveform import TRIM_HOP_SECONDS, Stages, Waveform, trim_bounds
from ser.config import AudioConfig, MelConfig
from ser.features.spectral import hz_to_mel, mel_to_hz
from ser.report.style import BLUE, GREY, PALE, VERMILION, WIDTH, house_style, new_figure, styled
from ser.system.files import atomic_write
from ser.units import samples_to_seconds, seconds_to_samples

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage

Values = npt.NDArray[Any]
Tick = tuple[float, str]
"""Position and text."""

DPI = 192
"""Twice what 600 pixels need: sharp on a screen of high resolution."""
DEVIATIONS = (-2.5, 2.5)
"""Limits of the colours of normalised features."""
ATTENTION_HEIGHT = 0.75
"""Inches."""
BESIDE = 1.15
"""A figure of two columns is this much wider: its type is smaller on a page, but still to be read."""
BINS = 1200
"""A longer waveform is drawn as its lowest and highest sample in this many stretches: a pixel each."""
HERTZ = (64_000, 32_000, 16_000, 8000, 4000, 2000, 1000, 500, 250, 125)
"""Where the mel axis has ticks, as far as it reaches and has room."""
MANY, SMALL = 8, 7.5
"""More names than this on an axis are written in this size."""
PITCH_CLASSES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")


@dataclass(frozen=True)
class StageView:
    """One stage of a waveform, and where it stands in the file."""

    name: str
    samples: Waveform
    rate: int
    """Hz"""
    start: float
    """Seconds from the beginning of the file to the first sample; below 0 where silence was put in front of it."""
    note: str
    """What happened here, and what the shade is."""
    gone: tuple[tuple[float, float], ...] = ()
    """Stretches that the next stage does not have, in seconds from the first sample."""

    @property
    def seconds(self) -> float:
        return samples_to_seconds(len(self.samples), self.rate)


@dataclass(frozen=True)
class Rows:
    """The vertical axis of a panel: which number each row stands at."""

    label: str
    low: float
    """Lower edge of the first row."""
    high: float
    """Upper edge of the last row."""
    ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Panel:
    """One feature over time, as an image."""

    title: str
    values: Values
    """(frames, rows)"""
    frame_rate: float
    """Hz"""
    first: float
    """Seconds from the start of the waveform to the left edge of the first frame."""
    rows: Rows
    unit: str
    """Of the colours."""
    limits: tuple[float, float] | None = None
    """Of the colours; None takes them from the values."""
    height: float = 1.2
    """Inches."""

    @property
    def last(self) -> float:
        """Seconds to the right edge of the last frame."""
        return self.first + len(self.values) / self.frame_rate


@dataclass(frozen=True)
class Listening:
    """What a model made of an utterance."""

    attention: Mapping[str, Values]
    """{name of the head or expert: (steps,) weights that sum to 1}"""
    attention_rate: Mapping[str, float]
    """{name: steps a second}"""
    gates: Mapping[str, float]
    """{expert: weight}, empty for a model without experts; they sum to 1."""
    probabilities: Mapping[str, float]
    """{class: probability}"""
    truth: str


@dataclass(frozen=True)
class Copy:
    """A waveform with its log-mel: the clip itself, or an altered copy of it."""

    name: str
    samples: Waveform
    rate: int
    """Hz"""
    mel: Panel
    done: str = ""
    """What was altered."""


# -- what stands where ------------------------------------------------------------------


def stage_views(stages: Stages, config: AudioConfig) -> list[StageView]:
    """The five stages, each at its place in the file."""
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
        StageView("prepared", stages.prepared, target, at, "scaled to peak 1" if np.any(stages.prepared) else "silence stays as it is"),
    ]


def trimmed_at(stages: Stages, config: AudioConfig) -> float:
    """Seconds of the file in front of the trimmed waveform."""
    if len(stages.trimmed) == len(stages.raw):
        return 0.0
    start, _ = trim_bounds(stages.raw, seconds_to_samples(TRIM_HOP_SECONDS, stages.raw_rate), config.trim_top_db)
    return samples_to_seconds(start, stages.raw_rate)


def edges(start: float, end: float, whole: float) -> tuple[tuple[float, float], ...]:
    """What lies before `start` and behind `end`, if anything.

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


def mel_rows(config: MelConfig, sampling_rate: int, gap: float = 0.12) -> Rows:
    """Rows stand evenly on the mel scale, their ticks at round numbers of hertz.

    Args:
        gap: least distance between two ticks, as a share of the axis.
    """
    low, high = hz_to_mel([config.fmin, config.fmax or sampling_rate / 2])
    step = (high - low) / (config.n_mels + 1)
    first, last = low + step / 2, high - step / 2
    places: list[float] = []
    for place in hz_to_mel(HERTZ):
        if first <= place <= last and (not places or places[-1] - place > gap * (last - first)):
            places.append(place)
    if len(places) < 2:
        places = list(np.linspace(low + step, high - step, 3))
    return Rows("hertz", float(first), float(last), tuple((float(place), f"{mel_to_hz(place):.0f}") for place in places))


def mfcc_rows(number: int) -> Rows:
    """
    >>> [text for _, text in mfcc_rows(40).ticks]
    ['0', '10', '20', '30']
    """
    return numbered("coefficient", number)


def chroma_rows(number: int) -> Rows:
    """Names where rows are semitones, or parts of semitones."""
    if number % 12:
        return numbered("pitch class, C = 0", number)
    step = number // 12
    ticks = tuple((float(index * step), name) for index, name in enumerate(PITCH_CLASSES))
    return Rows("pitch class", -0.5, number - 0.5, ticks)


def numbered(label: str, number: int) -> Rows:
    """Rows from 0 on, with three to six ticks."""
    step = next(step for step in steps() if (number - 1) / step < 6)
    return Rows(label, -0.5, number - 0.5, tuple((float(row), str(row)) for row in range(0, number, step)))


def steps() -> Iterator[int]:
    """1, 2, 5, 10, 20, 50..."""
    size = 1
    while True:
        yield from (size, 2 * size, 5 * size)
        size *= 10


# -- figures ------------------------------------------------------------------------------


@styled
def waveforms_figure(title: str, views: Sequence[StageView]) -> "Figure":
    """The stages one above the other. Each has its own seconds, and stands where it was in the file."""
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
        limits: seconds from the first sample that all stages show alike.
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


def draw_waveform(axes: "Axes", samples: Waveform, rate: int) -> None:
    """Each sample, or where there are too many the range between the lowest and the highest of each stretch."""
    if len(samples) <= 2 * BINS:
        axes.plot(np.arange(len(samples)) / rate, samples, color=BLUE, linewidth=0.7)
        return
    bounds = np.linspace(0, len(samples), BINS + 1).astype(int)[:-1]
    low, high = np.minimum.reduceat(samples, bounds), np.maximum.reduceat(samples, bounds)
    axes.fill_between(bounds / rate, low, high, color=BLUE, linewidth=0.4)


@styled
def features_figure(title: str, columns: Sequence[Sequence[Panel]], seconds: float, listening: Listening | None = None) -> "Figure":
    """Features one above the other on one time axis.

    Args:
        columns: the panels of each column, from top to bottom: the same features in each.
        seconds: of the waveform that the features were computed from.
        listening: adds a row for the attention of each head or expert, and below them gates and probabilities.
    """
    attention = len(listening.attention) if listening else 0
    heights = [*(panel.height for panel in columns[0]), *([ATTENTION_HEIGHT] * attention)]
    parts = [sum(heights) + 0.3] + ([0.6 + 0.17 * max(len(listening.probabilities), len(listening.gates))] if listening else [])
    figure = titled(sum(parts) + 0.3, title, WIDTH * (1 if len(columns) == 1 else BESIDE))
    subfigures = figure.subfigures(len(parts), squeeze=False, height_ratios=parts)[:, 0]
    grid = subfigures[0].subplots(len(heights), len(columns), squeeze=False, sharex=True, height_ratios=heights)
    for places, panels in zip(grid.T, columns, strict=True):
        draw_column(subfigures[0], places, panels, listening)
    for axes in grid[:, 1:].flat:
        axes.set_ylabel("")
        axes.tick_params(labelleft=False)
    every = [panel for panels in columns for panel in panels]
    grid[0, 0].set_xlim(min(0.0, *(panel.first for panel in every)), max(seconds, *(panel.last for panel in every)))
    subfigures[0].supxlabel("seconds from the start of the prepared waveform", fontsize="medium")
    if listening:
        draw_answer(subfigures[1], listening)
    return figure


def draw_column(parent: "SubFigure", places: Values, panels: Sequence[Panel], listening: Listening | None) -> None:
    """Features, and below them what the model turned to; all attention on one scale."""
    for axes, panel in zip(places, panels, strict=False):
        image = draw_panel(axes, panel)
        parent.colorbar(image, ax=axes, label=panel.unit, extend="both", aspect=12, pad=0.02)
    if listening is None:
        return
    highest = max([1.0, *(float(weights.max()) * len(weights) for weights in listening.attention.values())])
    for axes, (name, weights) in zip(places[len(panels) :], listening.attention.items(), strict=True):
        draw_attention(axes, name, weights, listening.attention_rate[name])
        axes.set_ylim(0, 1.1 * highest)


def draw_panel(axes: "Axes", panel: Panel) -> "AxesImage":
    low, high = panel.limits or robust_limits(panel.values)
    image = axes.imshow(
        np.asarray(panel.values, np.float32).T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        vmin=low,
        vmax=high,
        extent=(panel.first, panel.last, panel.rows.low, panel.rows.high),
    )
    axes.set_title(panel.title)
    axes.set_ylabel(panel.rows.label)
    names = [text for _, text in panel.rows.ticks]
    axes.set_yticks([at for at, _ in panel.rows.ticks], names, fontsize=SMALL if len(names) > MANY else "medium")
    axes.set_ylim(panel.rows.low, panel.rows.high)
    return image


def robust_limits(values: Values) -> tuple[float, float]:
    """What 94 in 100 numbers lie between: without the lowest MFCC of 40, which dwarfs all others. A little around them where all are equal.

    >>> robust_limits(np.zeros((3, 2)))
    (-0.5, 0.5)
    """
    low, high = (float(value) for value in np.percentile(np.asarray(values, np.float64), (3, 97)))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def draw_attention(axes: "Axes", name: str, weights: Values, rate: float) -> None:
    """In multiples of the even weight, as steps."""
    heights = np.asarray(weights, np.float64) * len(weights)
    bounds = np.arange(len(weights) + 1) / rate
    axes.stairs(heights, bounds, fill=True, color=BLUE, alpha=0.35)
    axes.stairs(heights, bounds, color=BLUE, linewidth=1)
    axes.axhline(1, color=GREY, linestyle="--", linewidth=0.8)
    axes.set_title(f"attention, {name}")
    axes.set_ylabel("1 = even")


def draw_answer(parent: "SubFigure", listening: Listening) -> None:
    """Gates, where the model has any, and probabilities, the truth marked."""
    places = parent.subplots(1, 2 if listening.gates else 1, squeeze=False, width_ratios=[1, 1.6] if listening.gates else [1])[0]
    if listening.gates:
        draw_bars(places[0], "weight of each expert (%)", listening.gates, marked=None)
    draw_bars(places[-1], "probability of each class (%)", listening.probabilities, marked=listening.truth)


def draw_bars(axes: "Axes", title: str, values: Mapping[str, float], marked: str | None) -> None:
    names = list(values)
    colours = [VERMILION if name == marked else BLUE for name in names]
    bars = axes.barh(range(len(names)), [100 * values[name] for name in names], color=colours, height=0.7)
    axes.bar_label(bars, [f"{100 * values[name]:.0f}" for name in names], padding=3)
    axes.set_yticks(range(len(names)), [f"{name} (truth)" if name == marked else name for name in names])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 112)  # room for the number behind a bar of 100
    axes.set_xticks([0, 50, 100])
    axes.set_title(title)


@styled
def copies_figure(title: str, copies: Sequence[Copy]) -> "Figure":
    """The clip and its altered copies one above the other, waveform beside log-mel, all on one scale of time and of colour."""
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


# -- paper ------------------------------------------------------------------------------------


def titled(height: float, title: str, width: float = WIDTH) -> "Figure":
    """An empty figure of these inches."""
    figure = new_figure(height, width)
    figure.suptitle(printable(title), fontsize=10)
    return figure


def printable(text: str) -> str:
    """Signs that the font lacks, or that no font has, as escapes.

    >>> printable("a\\x00b\\udcff")
    'a\\\\x00b\\\\udcff'
    """
    lines = text.encode("ascii", "backslashreplace").decode().split("\n")
    return "\n".join("".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in line) for line in lines)


def save_figure(path: Path, figure: "Figure") -> None:
    """A PNG that says neither when nor by what it was made: equal figures are equal files."""
    with house_style(), atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})


def open_windows(figures: Sequence["Figure"]) -> bool:
    """Show the figures until their windows are closed; False where there is no display."""
    from matplotlib import pyplot
    from matplotlib.backends.registry import BackendFilter, backend_registry

    try:
        windows = backend_registry.list_builtin(BackendFilter.INTERACTIVE)  # type: ignore[no-untyped-call]
        if pyplot.get_backend().lower() not in windows:
            return False
        for figure in figures:
            pyplot.figure(figure)
        pyplot.show()
    except ImportError:  # the windows' library is there and its display is not
        return False
    return True
