"""Figures: what their axes say, what they show of their numbers, and that they leave nothing behind."""

import ast
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from places import PACKAGE
from ser.evaluation.confidence import Reliability, RiskCoverage
from ser.report.figures.calibration import CurvePoint, reliability_diagram, risk_coverage_curve
from ser.report.figures.confusion import confusion
from ser.report.figures.dots import Dot, dots
from ser.report.figures.learning import learning_curves
from ser.report.figures.mixture import gate_shares, state_weights
from ser.report.figures.speakers import SpeakerPoint, speaker_strip, spread
from ser.report.figures.traces import Traces, utterance_figure
from ser.report.style import BLUE, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

pytest.importorskip("matplotlib", reason="the extra viz draws")

CLASSES = ("neutral", "happy", "sad")
COUNTS = np.array([[8, 1, 1], [0, 0, 0], [2, 3, 5]])
BINS = Reliability(np.linspace(0, 1, 4), np.array([np.nan, 0.5, 0.9]), np.array([np.nan, 0.4, 0.8]), np.array([0, 20, 30]))
CURVE = RiskCoverage(np.linspace(0.01, 1, 100), np.linspace(0, 0.4, 100), np.linspace(1, 0.2, 100))
HISTORY = [
    {"epoch": epoch, "train_loss": 1 / epoch, "train_uar": 0.2 * epoch, "val_loss": 1.1 / epoch, "val_uar": 0.1 * epoch}
    for epoch in (1, 2, 3)
]
NO_VAL = [{**row, "val_loss": None, "val_uar": None} for row in HISTORY]
SPEAKERS = [
    SpeakerPoint("crema", "crema/1001", "male", 40.0, 80),
    SpeakerPoint("crema", "crema/1002", "female", 60.0, 82),
    SpeakerPoint("tess", "tess/OAF", "", 50.0, 1400),
]
GATES = {"": {"all": {"ssl": 0.7, "mel": 0.3}}, "corpus": {"crema": {"ssl": 0.6, "mel": 0.4}, "tess": {"ssl": 0.8, "mel": 0.2}}}

FOLDER = PACKAGE / "report" / "figures"


def heard(**changes: Any) -> Traces:
    """Half a second, with attention of 8 steps at 16 Hz."""
    values: dict[str, Any] = {
        "waveform": np.sin(np.arange(8000) / 5).astype(np.float32),
        "sample_rate": 16_000,
        "log_mel": np.linspace(-100, 20, 32 * 24).reshape(32, 24),
        "frame_rate": 62.5,
        "mel_range": (0.0, 8000.0),
        "attention": {"sequence": np.full(8, 1 / 8)},
        "attention_rate": {"sequence": 16.0},
    }
    return Traces(**values | changes)


FIGURES: dict[str, tuple[Any, set[str]]] = {
    "learning curves": (lambda: learning_curves(HISTORY, 3), {"loss (nats)", "UAR (%)", "epoch"}),
    "learning curves without val": (lambda: learning_curves(NO_VAL, 3), {"loss (nats)", "UAR (%)", "epoch"}),
    "dots": (lambda: dots([Dot("all", 50, 40, 60), Dot("few", 30), Dot("none", None)], "UAR (%)", 12.5, "chance"), {"UAR (%)"}),
    "confusion": (lambda: confusion(COUNTS, CLASSES), {"true (clips)", "predicted (% of the true class, clips below)"}),
    "speakers": (lambda: speaker_strip(SPEAKERS, "UAR (%)"), {"UAR (%)"}),
    "reliability": (lambda: reliability_diagram(BINS, BINS), {"accuracy (%)", "confidence (%)", "clips"}),
    "reliability, before alone": (lambda: reliability_diagram(BINS, None), {"accuracy (%)", "confidence (%)", "clips"}),
    "risk and coverage": (
        lambda: risk_coverage_curve(CURVE, CurvePoint(0.5, 0.2, 0.7), 0.2),
        {"answered (% of clips, the most confident first)", "wrong among the answered (%)"},
    ),
    "gates": (lambda: gate_shares(GATES), {"mean weight in the mixture (%)"}),
    "hidden states": (lambda: state_weights({"0": 0.4, "9": 0.6}), {"hidden state (0: input of the first layer)", "weight (%)"}),
    "utterance": (
        lambda: utterance_figure(heard()),
        {"time (s)", "amplitude\n(peak = 1)", "frequency\n(kHz, mel scale)", "dB", "attention\n(1 = even)"},
    ),
}


def labels(figure: "Figure") -> set[str]:
    return {text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel()) if text}


def ticks(axes: "Axes") -> list[str]:
    return [text.get_text() for text in axes.get_yticklabels()]


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_says_what_it_shows_and_in_which_unit(name: str) -> None:
    draw, expected = FIGURES[name]
    figure = draw()
    assert expected <= labels(figure)
    assert figure.get_figwidth() == pytest.approx(6.25), "600 px"
    figure.draw_without_rendering()


@pytest.mark.parametrize("name", [*(path.name for path in sorted(FOLDER.glob("*.py"))), "../style.py", "../svg.py"])
def test_pyplot_is_never_imported(name: str) -> None:
    tree = ast.parse((FOLDER / name).read_text())
    names = [
        alias.name if isinstance(node, ast.Import) else f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    ]
    assert not [found for found in names if "pyplot" in found or "pylab" in found]


def test_drawing_loads_no_pyplot() -> None:
    if "matplotlib.pyplot" in sys.modules:
        pytest.skip("something else in this process has loaded it")
    confusion(COUNTS, CLASSES)
    assert "matplotlib.pyplot" not in sys.modules


def test_a_confusion_matrix_is_normalised_by_row_and_leaves_out_classes_without_clips() -> None:
    (axes,) = confusion(COUNTS, CLASSES).axes
    (mesh,) = axes.collections
    np.testing.assert_allclose(np.asarray(mesh.get_array()).reshape(2, 3), [[80, 10, 10], [20, 30, 50]])
    assert ticks(axes) == ["neutral  10", "sad  10"]
    assert [text.get_text() for text in axes.get_xticklabels()] == list(CLASSES)


def test_numbers_are_white_on_dark_blue_alone() -> None:
    (axes,) = confusion(np.array([[71, 29], [32, 68]]), ("sad", "happy")).axes
    colours = {text.get_text(): text.get_color() for text in axes.texts}
    assert {number for number, colour in colours.items() if colour == "white"} == {"71"}
    assert {text.get_alpha() for text in axes.texts} == {None}
    first = gate_shares({"": {"all": dict.fromkeys(("ssl", "mel", "mfcc", "chroma"), 0.25)}}).axes[0]
    assert [text.get_color() for text in first.texts] == ["white", INK, INK, INK]


def test_a_dot_without_interval_is_empty_and_a_missing_value_is_no_dot() -> None:
    figure = dots([Dot("all", 50, 40, 60), Dot("few", 30), Dot("none", None)], "UAR (%)")
    (axes,) = figure.axes
    faces = [line.get_markerfacecolor() for line in axes.lines if line.get_marker() == "o"]
    assert faces == [BLUE, "white"]
    assert ticks(axes) == ["all", "few", "none"]


@pytest.mark.parametrize(("values", "span"), [((50.0, 51.0), 20), ((20.0, 90.0), 70)])
def test_a_small_difference_is_not_drawn_as_a_large_one(values: tuple[float, float], span: float) -> None:
    (axes,) = dots([Dot("a", values[0]), Dot("b", values[1])], "UAR (%)").axes
    low, high = axes.get_xlim()
    assert high - low >= span
    assert low < values[0] < values[1] < high


def test_the_speakers_of_a_corpus_are_counted_and_the_ends_are_named() -> None:
    (axes,) = speaker_strip(SPEAKERS, "UAR (%)").axes
    assert ticks(axes) == ["crema\n2 speakers, 80-82 clips each", "tess\n1 speaker, 1400 clips"]
    assert {text.get_text() for text in axes.texts} == {"1001", "1002", "OAF"}
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["female", "male", "not known", "mean over speakers"]


def test_marks_of_nearly_equal_value_stand_at_different_heights() -> None:
    values = sorted(np.random.default_rng(0).uniform(40, 50, 60).tolist())
    steps = spread(values)
    for index, value in enumerate(values):
        close = [other for other in range(index) if value - values[other] < 1.6]
        assert steps[index] not in {steps[other] for other in close}


def test_bins_with_few_clips_are_left_out_of_the_diagram() -> None:
    upper = reliability_diagram(BINS, None).axes[0]
    assert np.asarray(upper.lines[1].get_xdata()).tolist() == [50.0, 90.0]


def test_attention_is_drawn_as_a_multiple_of_an_even_weight_over_time_in_seconds() -> None:
    weights = np.array([0.5, 0.25, 0.125, 0.125])
    figure = utterance_figure(heard(attention={"mel": weights, "ssl": weights}, attention_rate={"mel": 8.0, "ssl": 16.0}))
    axes = next(axes for axes in figure.axes if axes.get_ylabel().startswith("attention"))
    (mel, ssl) = (patch.get_data() for patch in axes.patches if hasattr(patch, "get_data"))
    assert np.asarray(mel.values).tolist() == [2.0, 1.0, 0.5, 0.5]
    assert np.asarray(mel.edges).tolist() == [0.0, 0.125, 0.25, 0.375, 0.5]
    assert np.asarray(ssl.edges)[-1] == 0.25
    assert axes.get_xlim() == (0, 0.5)


def test_without_attention_there_is_no_empty_panel() -> None:
    assert not any(axes.get_ylabel().startswith("attention") for axes in utterance_figure(heard(attention={})).axes)


@pytest.mark.parametrize("samples", [1, 599, 8001])
def test_a_waveform_of_any_length_is_drawn(samples: int) -> None:
    utterance_figure(heard(waveform=np.zeros(samples, np.float32))).draw_without_rendering()


def test_more_experts_than_usual_are_told_apart() -> None:
    experts = ("ssl", "mel", "mfcc", "chroma")
    axes = gate_shares({"": {"all": dict.fromkeys(experts, 0.25)}}).axes[0]
    assert len({bar.get_facecolor() for bar in axes.patches if hasattr(bar, "get_facecolor")}) == 4
