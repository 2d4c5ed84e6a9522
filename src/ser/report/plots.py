"""Figures as pure functions: numbers in, a matplotlib `Figure` out. No pyplot, so nothing is left behind from one figure to the next.

Every axis says what it shows and in which unit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ser.evaluation.calibration import Reliability, RiskCoverage
from ser.features.spectral import hz_to_mel
from ser.report.style import BLUE, GREY, HEAT, INK, ORANGE, SERIES, VERMILION, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.floating[Any]]

GENDERS = {"female": (VERMILION, "o"), "male": (BLUE, "s"), "": (GREY, "D")}
"""Colour and marker: told apart without colour too."""
FEWEST_IN_BIN = 10
"""Clips below which the accuracy of a bin says nothing."""
LEAST_COVERAGE = 0.02
"""Where a risk-coverage curve begins: of fewer clips it tells noise."""
PLATE = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}
"""Behind a number that stands on a line."""
LEAST_SPAN = 20.0
"""Per cent points that an axis of scores covers."""
MEL_TICKS = (250, 500, 1000, 2000, 4000, 8000)
"""Hz"""


# -- training -----------------------------------------------------------------------------


@styled
def learning_curves(history: Sequence[Mapping[str, float | None]], best_epoch: int) -> "Figure":
    """Loss and UAR of train and val over the epochs, the best one marked.

    Args:
        history: rows with epoch, train_loss, train_uar, val_loss, val_uar; None where there is no val.
    """
    figure = new_figure(4.4)
    upper, lower = figure.subplots(2, sharex=True)
    for axes, what, factor, label in ((upper, "loss", 1, "loss (nats)"), (lower, "uar", 100, "UAR (%)")):
        for split, colour, line in (("train", ORANGE, "--"), ("val", BLUE, "-")):
            points = [(row["epoch"], value * factor) for row in history if (value := row[f"{split}_{what}"]) is not None]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, linestyle=line, marker=".", markersize=4, label=split)
        axes.axvline(best_epoch, color=INK, linewidth=0.8, linestyle=":")
        axes.set_ylabel(label)
        axes.grid(axis="y")
    upper.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)
    upper.set_title(f"best epoch: {best_epoch} of {len(history)}")
    lower.set_xlabel("epoch")
    lower.xaxis.get_major_locator().set_params(integer=True)
    return figure


# -- scores -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dot:
    """One row of a dot-and-interval plot, in per cent."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    group: str = ""
    """A row of another group than the one before stands a little apart."""


@styled
def dots(rows: Sequence[Dot], label: str, reference: float | None = None, reference_label: str = "") -> "Figure":
    """Values with their intervals, one below the other; where there is no interval, an empty dot.

    Args:
        label: of the axis, with its unit.
        reference: a vertical line to compare with, such as chance.
    """
    groups = list(dict.fromkeys(row.group for row in rows))
    places = [index + 0.6 * groups.index(row.group) for index, row in enumerate(rows)]
    figure = new_figure(0.75 + 0.29 * (places[-1] + 1 if places else 1))
    axes = figure.subplots()
    for place, row in zip(places, rows, strict=True):
        draw_dot(axes, place, row)
    if reference is not None:
        axes.axvline(reference, color=GREY, linewidth=0.9, linestyle="--")
        axes.annotate(
            reference_label, (reference, 1), (3, 1), xycoords=("data", "axes fraction"), textcoords="offset points", color=GREY, size=8.5
        )
    axes.set_yticks(places, [row.label for row in rows])
    axes.set_ylim((places[-1] if places else 0) + 0.6, -0.6)
    widen(axes)
    axes.set_xlabel(label)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure


def widen(axes: "Axes", least: float = LEAST_SPAN) -> None:
    """A narrow axis would make much of a small difference."""
    low, high = axes.get_xlim()
    if high - low < least:
        axes.set_xlim((low + high - least) / 2, (low + high + least) / 2)


def draw_dot(axes: "Axes", place: float, row: Dot) -> None:
    if row.value is None:
        return
    if row.low is not None and row.high is not None:
        axes.plot([row.low, row.high], [place, place], color=BLUE, linewidth=2.2, solid_capstyle="butt")
    axes.plot(row.value, place, "o", color=BLUE, markersize=6.5, markerfacecolor="white" if row.low is None else BLUE)
    axes.annotate(
        f"{row.value:.1f}", (row.value, place), (0, 5), textcoords="offset points", ha="center", size=8, color=GREY, bbox=PLATE, zorder=1.5
    )


@styled
def confusion(matrix: NDArray[np.integer[Any]], classes: Sequence[str]) -> "Figure":
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


@dataclass(frozen=True)
class SpeakerPoint:
    """One speaker's score, in per cent."""

    corpus: str
    speaker: str
    gender: str
    """`female`, `male` or empty."""
    value: float
    n: int
    """Clips."""


@styled
def speaker_strip(points: Sequence[SpeakerPoint], label: str) -> "Figure":
    """One mark for each speaker, by corpus, and a bar at the mean of the corpus's speakers.

    Args:
        label: of the axis, with its unit.
    """
    by_corpus = {corpus: [point for point in points if point.corpus == corpus] for corpus in sorted({point.corpus for point in points})}
    figure = new_figure(1.1)
    axes = figure.subplots()
    places, place = [], 0.0
    for own in by_corpus.values():
        half = draw_speakers(axes, sorted(own, key=lambda point: point.value), place)
        places.append(place + half)
        place += 2 * half
    axes.set_yticks(places, [f"{corpus}\n{count([point.n for point in own])}" for corpus, own in by_corpus.items()])
    axes.set_ylim(place, 0)
    axes.set_xlabel(label)
    axes.margins(x=0.13)
    widen(axes)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    legend_of_genders(axes, {point.gender for point in points})
    figure.set_figheight(0.9 + 0.16 * place)
    return figure


def draw_speakers(axes: "Axes", points: Sequence[SpeakerPoint], top: float) -> float:
    """One corpus, its points ascending, below `top`; returns half the height that it took, in steps between marks."""
    heights = spread([point.value for point in points])
    half = max(2.2, max(map(abs, heights)) + 1.2)
    for point, height in zip(points, heights, strict=True):
        colour, marker = GENDERS.get(point.gender, GENDERS[""])
        axes.plot(point.value, top + half + height, marker, color=colour, markersize=5.5, alpha=0.85, markeredgewidth=0)
    if len(points) > 1:
        mean = float(np.mean([point.value for point in points]))
        axes.plot([mean, mean], [top + 0.5, top + 2 * half - 0.5], color=INK, linewidth=1.2)
    name_ends(axes, points, [top + half + height for height in heights])
    return half


def spread(values: Sequence[float], near: float = 1.6) -> list[int]:
    """Steps up or down that keep marks of nearly the same value apart, for ascending values.

    >>> spread([10, 10.5, 11, 40])
    [0, -1, 1, 0]
    """
    steps: list[int] = []
    for index, value in enumerate(values):
        taken = {steps[other] for other in range(index) if value - values[other] < near}
        choices = (sign * level for level in range(len(values) + 1) for sign in (-1, 1))
        steps.append(next(choice for choice in choices if choice not in taken))
    return steps


def count(clips: Sequence[int]) -> str:
    """
    >>> count([60, 60]), count([1400]), count([78, 82, 80])
    ('2 speakers, 60 clips each', '1 speaker, 1400 clips', '3 speakers, 78-82 clips each')
    """
    if len(clips) == 1:
        return f"1 speaker, {clips[0]} clips"
    low, high = min(clips), max(clips)
    return f"{len(clips)} speakers, {low if low == high else f'{low}-{high}'} clips each"


def name_ends(axes: "Axes", points: Sequence[SpeakerPoint], heights: Sequence[float]) -> None:
    """The names of the lowest and the highest; `points` ascend."""
    ends = [(points[0], heights[0], "right", -6)]
    if len(points) > 1:
        ends.append((points[-1], heights[-1], "left", 6))
    for point, height, side, offset in ends:
        name = point.speaker.partition("/")[2] or point.speaker
        axes.annotate(name, (point.value, height), (offset, 0), textcoords="offset points", ha=side, va="center", size=8, color=GREY)


def legend_of_genders(axes: "Axes", genders: set[str]) -> None:
    for gender, (colour, marker) in GENDERS.items():
        if gender in genders:
            axes.plot([], [], marker, color=colour, markersize=5.5, label=gender or "not known")
    axes.plot([], [], color=INK, linewidth=1.2, label="mean over speakers")
    above(axes, ncols=4)


def above(axes: "Axes", **settings: Any) -> None:
    """A legend over the axes, where it hides nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, **settings)


# -- calibration --------------------------------------------------------------------------


@styled
def reliability_diagram(before: Reliability, after: Reliability | None) -> "Figure":
    """Accuracy over confidence, before and after the temperature if there is one, and below it how many clips each confidence has."""
    figure = new_figure(5.2)
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 100], [0, 100], color=GREY, linewidth=0.9, linestyle="--", label="confidence = accuracy")
    series = [(before, ORANGE, "s", "the network's own" if after is None else "before")]
    series += [(after, BLUE, "o", "after")] if after is not None else []
    for bins, colour, marker, label in series:
        filled = bins.count >= FEWEST_IN_BIN
        upper.plot(100 * bins.confidence[filled], 100 * bins.accuracy[filled], color=colour, marker=marker, markersize=5, label=label)
        lower.stairs(bins.count, 100 * bins.edges, color=colour, linewidth=1.6, label=label)
    upper.set_ylabel("accuracy (%)")
    upper.set_ylim(0, 102)
    upper.set_xlim(0, 100)
    upper.legend(loc="upper left")
    lower.set_ylabel("clips")
    lower.set_xlabel("confidence (%)")
    for axes in (upper, lower):
        axes.grid()
    return figure


@dataclass(frozen=True)
class CurvePoint:
    """A chosen threshold on a risk-coverage curve; shares."""

    coverage: float
    risk: float
    threshold: float


@styled
def risk_coverage_curve(curve: RiskCoverage, chosen: CurvePoint | None, max_error: float) -> "Figure":
    """Share of wrong answers among those given, against the share of clips that get an answer; the threshold of the run marked."""
    figure = new_figure(3.4)
    axes = figure.subplots()
    shown = curve.coverage >= LEAST_COVERAGE
    axes.plot(100 * curve.coverage[shown], 100 * curve.risk[shown], color=BLUE)
    axes.axhline(100 * max_error, color=GREY, linewidth=0.9, linestyle="--", label=f"wanted: at most {100 * max_error:g} % wrong")
    if chosen is not None:
        cover, risk = 100 * chosen.coverage, 100 * chosen.risk
        said = f"answer from {100 * chosen.threshold:.0f} % confidence on: {cover:.0f} % answered, {risk:.1f} % of them wrong"
        axes.plot(cover, risk, "o", color=VERMILION, markersize=8, linestyle="none", label=said)
    above(axes)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, None)
    axes.set_xlabel("answered (% of clips, the most confident first)")
    axes.set_ylabel("wrong among the answered (%)")
    axes.grid()
    return figure


# -- inside the model ---------------------------------------------------------------------


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
    above(every[0], ncols=len(experts))
    return figure


def write_shares(axes: "Axes", left: Floats, widths: Floats, colour: str) -> None:
    """Into the bars that have room."""
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


# -- one utterance ------------------------------------------------------------------------


@dataclass(frozen=True)
class Traces:
    """What there is to draw of one utterance."""

    waveform: Floats
    """(samples,)"""
    sample_rate: int
    """Hz"""
    log_mel: Floats
    """(frames, n_mels), dB"""
    frame_rate: float
    """Hz"""
    mel_range: tuple[float, float]
    """Hz: lowest and highest frequency of the mel rows."""
    attention: Mapping[str, Floats]
    """{name: (steps,)}: weights that add up to 1; empty where the model could not be asked."""
    attention_rate: Mapping[str, float]
    """{name: Hz}"""


@styled
def utterance(heard: Traces) -> "Figure":
    """Waveform, log-mel and attention over one time axis in seconds."""
    seconds = len(heard.waveform) / heard.sample_rate
    panels = 3 if heard.attention else 2
    figure = new_figure(1.45 + 1.05 * panels)
    every = figure.subplots(panels, sharex=True, height_ratios=(1, 2, 1.2)[:panels])
    draw_waveform(every[0], heard)
    draw_log_mel(figure, every[1], heard)
    if heard.attention:
        draw_attention(every[2], heard)
    every[-1].set_xlabel("time (s)")
    every[-1].set_xlim(0, seconds)
    return figure


def draw_waveform(axes: "Axes", heard: Traces, columns: int = 600) -> None:
    """As the range between the lowest and highest sample in each of at most `columns` stretches: what a screen can show of it."""
    edges = np.unique(np.linspace(0, len(heard.waveform), columns + 1).astype(int))
    starts = edges[:-1]
    low, high = (np.asarray(of.reduceat(heard.waveform, starts)) for of in (np.minimum, np.maximum))
    time = (starts + np.diff(edges) / 2) / heard.sample_rate
    axes.fill_between(time, low, high, color=INK, linewidth=0.4)
    axes.set_ylim(-1.05, 1.05)
    axes.set_yticks([-1, 0, 1])
    axes.set_ylabel("amplitude\n(peak = 1)")


def draw_log_mel(figure: "Figure", axes: "Axes", heard: Traces) -> None:
    """Rows are evenly spaced in mel; the ticks say which frequency they stand for. A frame stands around its centre."""
    half = 0.5 / heard.frame_rate
    edges = hz_to_mel(heard.mel_range)
    top = float(heard.log_mel.max())
    image = axes.imshow(
        heard.log_mel.T,
        origin="lower",
        aspect="auto",
        cmap=HEAT,
        interpolation="none",  # the pixels themselves, not a picture of them: small and sharp
        extent=(-half, len(heard.log_mel) / heard.frame_rate - half, float(edges[0]), float(edges[1])),
        vmin=max(float(heard.log_mel.min()), top - 80),
        vmax=top,
    )
    ticks = [hertz for hertz in MEL_TICKS if heard.mel_range[0] <= hertz <= heard.mel_range[1]]
    axes.set_yticks(hz_to_mel(ticks), [f"{hertz / 1000:g}" for hertz in ticks])
    axes.set_ylabel("frequency\n(kHz, mel scale)")
    figure.colorbar(image, ax=axes, label="dB", fraction=0.03, pad=0.01)


def draw_attention(axes: "Axes", heard: Traces) -> None:
    """Times the even weight, so that features with different numbers of steps share an axis: 1 is as much as any other step."""
    for (name, weights), colour in zip(heard.attention.items(), SERIES, strict=False):
        edges = np.arange(len(weights) + 1) / heard.attention_rate[name]
        axes.stairs(weights * len(weights), edges, baseline=None, color=colour, linewidth=1.5, label=name)
    axes.axhline(1, color=GREY, linewidth=0.8, linestyle="--")
    axes.set_ylim(0, None)
    axes.set_ylabel("attention\n(1 = even)")
    if len(heard.attention) > 1:
        above(axes, ncols=len(heard.attention))
