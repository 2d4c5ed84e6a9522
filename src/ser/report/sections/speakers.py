"""The section with the score of each test speaker."""

from collections.abc import Sequence

from ser.evaluation.fairness import UNKNOWN
from ser.evaluation.scores import gender_of
from ser.report.facts import RunFacts
from ser.report.figures.speakers import SpeakerPoint, speaker_strip
from ser.report.page import Note, Section, Table
from ser.report.sections.parts import picture
from ser.wording import join_words, percent


def speakers_section(facts: RunFacts) -> Section:
    known = facts.scores.per_speaker
    points = [
        SpeakerPoint(scores.corpus, speaker, gender_of(speaker).replace(UNKNOWN, ""), 100 * scores.uar, scores.n)
        for speaker, scores in known.items()
        if scores.uar is not None
    ]
    range_of_scores = ends(points)
    rows = [
        [name, scores.corpus, gender_of(name), str(scores.n), percent(scores.uar), percent(scores.wa)] for name, scores in known.items()
    ]
    return Section(
        "speakers",
        "Each speaker",
        [
            Note(f"One mark is one speaker of test. {range_of_scores} The intervals above are computed from their spread."),
            picture(speaker_strip(points, "UAR (%)"), "speakers", f"UAR of each test speaker by corpus. {range_of_scores}"),
            Table(
                "All test speakers, in per cent", ["speaker", "corpus", "gender", "clips", "UAR", "WA"], rows, folded=True, text_columns=3
            ),
        ],
    )


def ends(points: Sequence[SpeakerPoint]) -> str:
    """
    >>> ends([SpeakerPoint("tess", "tess/OAF", "female", 60, 9), SpeakerPoint("tess", "tess/YAF", "female", 70, 9)])
    'From 60.0 % (tess/OAF) to 70.0 % (tess/YAF).'
    >>> ends([SpeakerPoint("tess", "tess/OAF", "female", 60, 9)] * 2)
    'All have 60.0 %.'
    """
    low, high = (f"{choose(point.value for point in points):.1f} %" for choose in (min, max))
    if low == high:
        return f"All have {low}." if len(points) > 1 else f"{low}."
    least, most = (join_words([point.speaker for point in points if f"{point.value:.1f} %" == end]) for end in (low, high))
    return f"From {low} ({least}) to {high} ({most})."
