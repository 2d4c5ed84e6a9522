"""The section on confusions: which emotions are predicted instead of which."""

from collections.abc import Sequence

import numpy as np

from ser.evaluation.metrics import Counts
from ser.evaluation.predictions import Predictions
from ser.report.facts import RunFacts
from ser.report.figures.confusion import confusion
from ser.report.page import Note, Picture, Section
from ser.report.sections.parts import picture
from ser.wording import counted, percent


def confusion_section(facts: RunFacts) -> Section:
    test = facts.test
    corpora = np.asarray(test.corpora)
    parts = {f"{corpus}, {counted(test.corpora.count(corpus), 'clip')}": corpora == corpus for corpus in sorted(set(test.corpora))}
    everything = {"All corpora": np.ones(len(corpora), bool)} if len(parts) > 1 else {}
    shown = [confusion_picture(test.select(mask), title, number) for number, (title, mask) in enumerate({**everything, **parts}.items())]
    note = Note(
        "Each row is one true emotion and sums to 100 %: the large number is the share of each answer, the small one the number of clips."
    )
    return Section("confusions", "Confusion matrices", [note, *shown])


def confusion_picture(predictions: Predictions, title: str, number: int) -> Picture:
    matrix, classes = predictions.confusion, predictions.classes
    return picture(confusion(matrix, classes), f"confusion-{number}", f"{title}. {matrix_label(matrix, classes)}", title=title)


def matrix_label(matrix: Counts, classes: Sequence[str]) -> str:
    """The largest confusion of each class, in words."""
    lines = []
    for label, row in enumerate(matrix):
        if row.sum():
            others = np.where(np.arange(len(row)) == label, 0, row)
            most = (
                f", most often predicted as {classes[int(others.argmax())]} ({percent(others.max() / row.sum(), 0)} %)"
                if others.any()
                else ""
            )
            lines.append(f"{classes[label]} correct in {percent(row[label] / row.sum(), 0)} %{most}")
    return "Confusion matrix: " + "; ".join(lines) + "."
