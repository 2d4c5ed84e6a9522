"""The score of each speaker, by corpus."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ser.report.figures.axes import legend_above, widen
from ser.report.style import BLUE, GREY, INK, VERMILION, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GENDERS = {"female": (VERMILION, "o"), "male": (BLUE, "s"), "": (GREY, "D")}
"""Colour and marker, distinguishable without colour."""


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
        label: label of the axis, with its unit.
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
    """Draw one corpus, its points ascending, below `top`, and return half of its height, in steps between marks."""
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
    """Vertical steps that separate marks of nearly the same value, for ascending values.

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
    """Label the lowest and the highest point; `points` ascend."""
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
    legend_above(axes, columns=4)
