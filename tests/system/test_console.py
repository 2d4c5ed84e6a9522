"""What the steps print: tables that fit, numbers in per cent, and a dash or nothing where there is none."""

import logging
import os
import sys

import pytest

from ser.commands.compare import print_comparison
from ser.corpora.manifest import read_manifest
from ser.evaluation.comparison import Comparison
from ser.evaluation.intervals import Estimate, Interval, no_interval
from ser.evaluation.records import CorporaMean, GroupScores, Scores
from ser.pipeline.load import print_split
from ser.pipeline.train import print_scores
from ser.splits.split import read_split
from ser.system import console
from ser.system.console import ALIVE, QUIET, Output, out, print_table, say, set_up_logging
from workspace import Workspace, printed_rows


def metrics(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, Estimate]:
    estimate = Estimate(value, Interval(low, high, 3, None if low is not None else "3 speakers"))
    return dict.fromkeys(("uar", "wa", "macro_f1"), estimate)


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [(0.6124, 0.58, 0.641, "61.2 [58.0, 64.1]"), (0.5, None, None, "50.0"), (None, None, None, "-"), (0.0, 0.0, 1.0, "0.0 [0.0, 100.0]")],
)
def test_a_score_in_per_cent_with_its_interval(value: float | None, low: float | None, high: float | None, text: str) -> None:
    assert metrics(value, low, high)["uar"].in_percent() == text


def test_scores_overall_for_each_corpus_and_as_the_mean(capsys: pytest.CaptureFixture[str]) -> None:
    overall = Scores(
        **metrics(0.75, 0.7, 0.8),
        n=840,
        speakers=6,
        classes=(),
        per_class={},
        per_corpus={"savee": GroupScores(**metrics(0.25), n=120, speakers=1)},
        mean_over_corpora=CorporaMean(**metrics(None), corpora=()),
        per_gender={},
        per_speaker={},
    )
    print_scores(overall)
    rows = printed_rows(capsys.readouterr().out)
    assert rows[0] == ["all", "840", "6", *["75.0 [70.0, 80.0]"] * 3]
    assert rows[1] == ["savee", "120", "1", *["25.0"] * 3]
    assert rows[2] == ["mean over corpora", "", "", "-", "-", "-"]


def test_a_comparison_without_an_interval_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    compared = Comparison("uar", 0.5, 0.625, -0.125, no_interval(4, "4 speakers"), None, None, 480, 4)
    print_comparison([compared], "one", "two")
    assert printed_rows(capsys.readouterr().out) == [["UAR", "50.0", "62.5", "-12.5", "no verdict", "-"]]


def test_a_split_adds_up(prepared: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    split = read_split(prepared.split, read_manifest(prepared.processed / "manifest.csv"))
    print_split(split)
    rows = printed_rows(capsys.readouterr().out)
    counts = {row[0]: [int(cell) for cell in row[1:]] for row in rows}
    assert len(counts) == 15, "four corpora and their sum, each in three splits"
    for name, entries in split.splits.items():
        summed = [sum(column) for column in zip(*(counts[f"{c} {name}"] for c in ("crema", "ravdess", "savee", "tess")), strict=True)]
        assert counts[f"all {name}"] == summed
        assert summed[1] == len(entries) == sum(summed[2:])


def test_a_table_in_a_log_is_not_folded(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table("title", ("what", "detail"), [("a", "x" * 100), ("b", None)])
    assert "x" * 100 in capsys.readouterr().out


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("", console.LOG_WIDTH), ("wide", console.LOG_WIDTH)])
def test_the_width_can_be_told(columns: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert out().width == width


def test_a_line_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """No markup, no folding: paths may hold brackets and be long."""
    text = "runs/[bold]x[/bold] [/oops] :smile: " + "y" * 300
    say(text)
    assert capsys.readouterr().out == text + "\n"


def test_a_cell_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    cells = ["pip install 'ser-toolkit[augment]'", "data/[/oops]/:smile:"]
    print_table("title [/oops]", ("what", "detail"), [cells])
    assert printed_rows(capsys.readouterr().out) == [cells]


def test_an_output_that_nobody_reads_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        Output().print("nobody reads this")
        Output().print("nor this")


@pytest.mark.parametrize(
    ("verbosity", "level"), [(QUIET, logging.WARNING), (0, ALIVE), (1, logging.INFO), (2, logging.DEBUG), (9, logging.DEBUG)]
)
def test_verbosity_is_for_our_own_words_only(verbosity: int, level: int) -> None:
    root, own = logging.getLogger(), logging.getLogger("ser")
    handlers, levels = root.handlers[:], (root.level, own.level)
    try:
        set_up_logging(verbosity)
        assert own.level == level
        assert root.level == logging.WARNING
        assert len(root.handlers) == 1
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        own.setLevel(levels[1])
