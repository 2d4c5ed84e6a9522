"""The report of scikit-learn agrees with the project's own numbers, and nothing depends on its presence."""

import logging
import sys
from pathlib import Path

import numpy as np
import pytest

from ser.evaluation.classification_report import write_classification_report
from ser.evaluation.predictions import Predictions

CLASSES = ("neutral", "happy", "sad")


@pytest.fixture
def test_split() -> Predictions:
    """Recall 2/3 of neutral, 1 of happy; no clip of sad."""
    names = ["a", "b", "c", "d"]
    probabilities = np.eye(3)[[0, 0, 1, 1]]
    return Predictions(names, ["savee"] * 4, names, np.array([0, 0, 0, 1]), probabilities, CLASSES)


def test_it_names_every_class_with_precision_and_recall(test_split: Predictions, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    assert write_classification_report(tmp_path / "report.txt", test_split)
    rows = {line.split()[0]: line.split()[1:] for line in (tmp_path / "report.txt").read_text().splitlines() if line.strip()}
    assert rows["neutral"] == ["1.000", "0.667", "0.800", "3"]
    assert rows["happy"] == ["0.500", "1.000", "0.667", "1"]
    assert rows["sad"] == ["0.000", "0.000", "0.000", "0"]


def test_without_scikit_learn_there_is_none(test_split: Predictions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser.system.optional.find_spec", lambda _: None)
    assert not write_classification_report(tmp_path / "report.txt", test_split)
    assert not list(tmp_path.iterdir())


def test_a_damaged_one_is_a_warning(
    test_split: Predictions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    monkeypatch.setattr("ser.system.optional.find_spec", lambda _: object())
    with caplog.at_level(logging.WARNING):
        assert not write_classification_report(tmp_path / "report.txt", test_split)
    assert "no report.txt" in caplog.text
    assert not list(tmp_path.iterdir())
