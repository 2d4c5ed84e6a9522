"""Calibration: accuracy over confidence, and risk over coverage."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ser.evaluation.confidence import Reliability, RiskCoverage
from ser.report.figures.axes import legend_above
from ser.report.style import BLUE, GREY, ORANGE, VERMILION, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST_IN_BIN = 10
"""The number of clips that a bin needs for a meaningful accuracy."""
LEAST_COVERAGE = 0.02
"""The number of clips at which a risk-coverage curve starts: with fewer it shows noise."""


@styled
def reliability_diagram(before: Reliability, after: Reliability | None) -> "Figure":
    """Accuracy over confidence, before and after the temperature if there is one, and below it the number of clips at each confidence."""
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
    axes.axhline(100 * max_error, color=GREY, linewidth=0.9, linestyle="--", label=f"target: at most {100 * max_error:g} % wrong")
    if chosen is not None:
        cover, risk = 100 * chosen.coverage, 100 * chosen.risk
        label = f"answer from {100 * chosen.threshold:.0f} % confidence on: {cover:.0f} % answered, {risk:.1f} % of them wrong"
        axes.plot(cover, risk, "o", color=VERMILION, markersize=8, linestyle="none", label=label)
    legend_above(axes)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, None)
    axes.set_xlabel("answered (% of clips, the most confident first)")
    axes.set_ylabel("wrong among the answered (%)")
    axes.grid()
    return figure
