"""The section with the scores on test, overall, by corpus and by emotion."""

from ser.evaluation.records import ClassScores
from ser.report.facts import RunFacts
from ser.report.figures.dots import dots
from ser.report.page import Section, Table
from ser.report.sections.parts import SCORES, distinct_parts, dot, missing_intervals, picture, score_cells, uar_list
from ser.wording import percent


def scores_section(facts: RunFacts) -> Section:
    scores, test = facts.scores, facts.test
    parts = distinct_parts(scores)
    rows = [dot(name, part.uar, name if name in {"all", parts[-1][0]} else "corpus") for name, part in parts]
    chance = 100 / len(test.classes)
    return Section(
        "scores",
        "Scores on test",
        [
            picture(
                dots(rows, "UAR (%)", chance, "chance"),
                "scores",
                "UAR overall, by corpus and as the mean over corpora: " + uar_list(parts),
                f"With 95 % intervals over speakers; empty dots have none. Method: {scores.uar.interval.method}.",
            ),
            Table("In per cent, with 95 % interval over speakers", ["", *SCORES], [[name, *score_cells(part)] for name, part in parts]),
            *missing_intervals(dict(parts)),
            Table(
                "By emotion, in per cent; recall with 95 % interval over speakers",
                ["", "clips", "speakers", "recall", "precision", "F1"],
                [emotion_cells(emotion, scores.per_class[emotion]) for emotion in test.classes],
            ),
        ],
    )


def emotion_cells(emotion: str, scores: ClassScores) -> list[str]:
    recall = scores.recall
    return [emotion, str(scores.support), str(recall.speakers), recall.in_percent(), percent(scores.precision), percent(scores.f1.value)]
