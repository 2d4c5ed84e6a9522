"""The section on robustness: scores on degraded recordings."""

from typing import TYPE_CHECKING

from ser.report.figures.dots import dots
from ser.report.page import Note, Section, Table
from ser.report.sections.parts import dot, missing_intervals, picture, uar_list
from ser.report.sentences import sentence

if TYPE_CHECKING:
    from ser.report.robustness import Robustness


def robustness_section(measured: "Robustness | str") -> Section:
    """
    Args:
        measured: the scores, or the reason why there are none.
    """
    title = "Robustness"
    if isinstance(measured, str):
        return Section("robustness", title, [Note(f"Not measured: {measured}", missing=True)])
    conditions = measured.conditions
    first = next(iter(conditions))
    rows = [dot(name, scores.uar, "clean" if name == first else "spoiled") for name, scores in conditions.items()]
    cells = [
        [name, scores.uar.in_percent(), scores.wa.in_percent(), "" if name == first else scores.change.uar.in_points()]
        for name, scores in conditions.items()
    ]
    clean = conditions[first].uar.value
    return Section(
        "robustness",
        title,
        [
            Note(sentence("robustness", measured=measured)),
            picture(
                dots(rows, "UAR (%)", None if clean is None else 100 * clean, "as recorded"),
                "robustness",
                "UAR under each condition: " + uar_list(conditions.items()),
            ),
            Table("In per cent, with 95 % interval over speakers", ["", "UAR", "WA", "change of UAR"], cells),
            *missing_intervals({"any of them": conditions[first]}),
        ],
    )
