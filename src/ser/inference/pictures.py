"""Draw a prediction: bars for the probabilities and a timeline, as HTML for notebooks or with matplotlib."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from ser.system.optional import import_optional, install_hint
from ser.wording import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Stretch = tuple[float, float, str]
"""Start and end in seconds, and the emotion."""

COLOURS = {
    "neutral": "#8a8f98",
    "calm": "#4fb3a5",
    "happy": "#e0a100",
    "sad": "#4a7fd6",
    "angry": "#d64545",
    "fear": "#9563c9",
    "disgust": "#6f9c3d",
    "surprise": "#e07b39",
}
"""A colour for each emotion, legible on white and on black."""
OTHER_COLOUR = "#7a7a7a"
"""The colour of `unknown`, and of a class that is not in the table."""
WIDTH = 440
"""Width of the drawing in pixels."""
LABELS = 90
"""Width of the column with the names of the classes, in pixels."""
VALUES = 60
"""Width of the column with the percentages, in pixels."""
ROW = 20
"""Distance from one bar to the next in pixels."""
MOST_STRETCHES = 500
"""The highest number of segments in the HTML of a timeline, which is saved in the notebook."""


def colour(emotion: str) -> str:
    return COLOURS.get(emotion, OTHER_COLOUR)


def as_html(title: str, probabilities: Mapping[str, float], stretches: Sequence[Stretch], seconds: float) -> str:
    """An inline SVG below a title, without script and style sheet. Text has the colour of the page, so it is legible on dark pages.

    Args:
        stretches: segments; shown as a timeline if there is more than one.
        seconds: duration of the timeline.
    """
    rows = sorted(probabilities.items(), key=lambda item: -item[1])
    shapes = [bar(number, name, share) for number, (name, share) in enumerate(rows)]
    height = ROW * len(rows)
    if len(stretches) > 1 and seconds > 0:
        shapes.append(timeline(stretches, seconds, height + 8))
        height += 2 * ROW + 8
    style = "font:13px sans-serif;fill:currentColor;max-width:100%"
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img" '
    return f'<div><strong>{escape(title)}</strong></div>{svg}aria-label="{escape(title)}" style="{style}">{"".join(shapes)}</svg>'


def bar(number: int, name: str, share: float) -> str:
    """One row with the name, a bar, and the percentage."""
    top, length = number * ROW, share * (WIDTH - LABELS - VALUES)
    return (
        f'<text x="{LABELS - 8}" y="{top + 14}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{LABELS}" y="{top + 3}" width="{length:.1f}" height="{ROW - 6}" rx="2" fill="{colour(name)}"/>'
        f'<text x="{LABELS + length + 6:.1f}" y="{top + 14}">{percent(share)} %</text>'
    )


def timeline(stretches: Sequence[Stretch], seconds: float, top: int) -> str:
    """The first `MOST_STRETCHES` segments on a time axis; a tooltip shows the emotion and times of each."""
    scale = (WIDTH - LABELS - VALUES) / seconds
    parts = [f'<text x="{LABELS - 8}" y="{top + 14}" text-anchor="end">timeline</text>']
    for start, end, emotion in stretches[:MOST_STRETCHES]:
        parts.append(
            f'<rect x="{LABELS + start * scale:.1f}" y="{top}" width="{max(0.5, (end - start) * scale):.1f}" height="{ROW}" '
            f'fill="{colour(emotion)}"><title>{escape(emotion)}, {start:.1f} to {end:.1f} s</title></rect>'
        )
    parts.append(f'<text x="{LABELS}" y="{top + ROW + 15}">0</text>')
    parts.append(f'<text x="{WIDTH - VALUES}" y="{top + ROW + 15}" text-anchor="end">{seconds:.1f} s</text>')
    return "".join(parts)


def as_figure(title: str, probabilities: Mapping[str, float], stretches: Sequence[Stretch], seconds: float) -> "Figure":
    """As `as_html`, drawn with matplotlib; the figure is not registered with pyplot.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    import_optional("matplotlib", f"plot() needs matplotlib: {install_hint('viz')}")
    from matplotlib.figure import Figure

    rows = sorted(probabilities.items(), key=lambda item: item[1])
    figure = Figure(figsize=(6, 0.35 * len(rows) + 2), layout="constrained")
    with_time = len(stretches) > 1
    axes = figure.subplots(2 if with_time else 1, 1, height_ratios=[len(rows), 1.5] if with_time else [1], squeeze=False)[:, 0]
    bars = axes[0].barh([name for name, _ in rows], [100 * share for _, share in rows], color=[colour(name) for name, _ in rows])
    axes[0].bar_label(bars, [f"{percent(share)} %" for _, share in rows], padding=3)
    axes[0].set(title=title, xlabel="probability, %", xlim=(0, 110))
    if with_time:
        spans = [(start, end - start) for start, end, _ in stretches]
        axes[1].broken_barh(spans, (0, 1), facecolors=[colour(emotion) for _, _, emotion in stretches])
        axes[1].set(xlim=(0, seconds), yticks=[], xlabel="time, s")
    return figure
