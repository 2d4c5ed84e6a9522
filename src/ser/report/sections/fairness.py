"""The section on fairness: scores of groups of speakers."""

from collections.abc import Mapping

from ser.evaluation.fairness import UNKNOWN, GenderDifference, Grouping, measure_fairness
from ser.evaluation.records import GroupScores
from ser.report.facts import RunFacts
from ser.report.figures.dots import dots
from ser.report.page import Item, Note, Section, Table
from ser.report.sections.parts import SCORES, dot, missing_intervals, picture, score_cells, uar_list


def fairness_section(facts: RunFacts) -> Section:
    measured = measure_fairness(facts.test)
    note = Note(
        "Corpora differ in difficulty and in their speakers, so a difference over all corpora may be one between corpora: "
        "compare within a corpus. A group of fewer than five speakers has no interval, and does not generalise to others like them."
    )
    gender = grouping("gender", "By gender", measured.gender)
    age = grouping("age", "By age", measured.age)
    return Section("fairness", "Fairness", [note, *gender, *age, *gender_gaps(measured.female_minus_male)])


def grouping(key: str, title: str, measured: Grouping) -> list[Item]:
    if set(measured.all) == {UNKNOWN}:
        return [Note(f"{title}: not known for any speaker of test.", missing=True)]
    groups = [(place, name, scores) for place, parts in places(measured) for name, scores in parts.items()]
    rows = [dot(f"{place}: {name} ({scores.speakers})", scores.uar, place) for place, name, scores in groups]
    label = f"UAR {title.lower()}: {uar_list([(f'{place} {name}', scores) for place, name, scores in groups])}"
    cells = [[place, name, *score_cells(scores)] for place, name, scores in groups]
    caption = f"{title}, in per cent, with 95 % interval over speakers"
    return [
        picture(dots(rows, "UAR (%)"), f"fairness-{key}", label, "Number of speakers in brackets.", title),
        Table(caption, ["corpus", "group", *SCORES], cells, folded=True, text_columns=2),
    ]


def places(measured: Grouping) -> list[tuple[str, Mapping[str, GroupScores]]]:
    """All corpora together, then each corpus with several groups; a single corpus alone."""
    if len(measured.per_corpus) == 1:
        return list(measured.per_corpus.items())
    return [("all", measured.all), *((corpus, groups) for corpus, groups in measured.per_corpus.items() if len(groups) > 1)]


def gender_gaps(gaps: Mapping[str, GenderDifference]) -> list[Item]:
    both = {corpus: gap for corpus, gap in gaps.items() if gap.uar.value is not None}
    if not both:
        return [Note("No corpus of test has both women and men, so their difference cannot be measured.", missing=True)]
    rows = [[corpus, str(gap.female), str(gap.male), gap.uar.in_points(), gap.wa.in_points()] for corpus, gap in both.items()]
    caption = "Women minus men, in per cent points, with 95 % interval over speakers"
    return [Table(caption, ["", "women", "men", "UAR", "WA"], rows), *missing_intervals(both)]
