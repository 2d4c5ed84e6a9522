"""Scores by gender and age of the speakers, overall and within each corpus.

Corpora differ in their speakers and in their difficulty (TESS has two women in a studio), so a difference over all corpora may be one
between corpora. The difference between women and men is therefore given within each corpus.
"""

from collections.abc import Callable, Mapping

import numpy as np

from ser.corpora.registry import CORPORA
from ser.evaluation.intervals import difference_of, pooled
from ser.evaluation.metrics import METRICS
from ser.evaluation.predictions import Predictions
from ser.evaluation.records import Estimates, GroupScores, Record
from ser.evaluation.scores import breakdown, gender_of, speaker_matrices, summarise, too_few

AGE_BANDS = {"under 30": 30, "30 to 44": 45, "45 to 59": 60, "60 and over": 200}
"""{age band: first age in years above it}"""
GENDERS = ("female", "male")
UNKNOWN = "unknown"
GROUPS = (*GENDERS, *AGE_BANDS, UNKNOWN)


def age_band(speaker: str) -> str:
    """Age band of a speaker, or `unknown` if the corpus does not state ages; CREMA-D and TESS do.

    >>> age_band("tess/OAF"), age_band("tess/YAF"), age_band("savee/DC")
    ('60 and over', 'under 30', 'unknown')
    """
    corpus, _, name = speaker.partition("/")
    known = CORPORA[corpus].speakers.get(name) if corpus in CORPORA else None
    if known is None or known.age is None:
        return UNKNOWN
    age = known.age
    return next(band for band, end in AGE_BANDS.items() if age < end)


class Grouping(Record):
    """Scores of each group of speakers; speakers whose group is unknown form their own."""

    all: Mapping[str, GroupScores]
    per_corpus: Mapping[str, Mapping[str, GroupScores]]


class GenderDifference(Estimates):
    """Each metric of the women minus that of the men; None if one of the groups is empty."""

    female: int
    """Number of speakers."""
    male: int


class Fairness(Record):
    gender: Grouping
    age: Grouping
    female_minus_male: Mapping[str, GenderDifference]
    """{corpus: difference within it}"""


def measure_fairness(predictions: Predictions) -> Fairness:
    """Scores of groups of speakers, and the difference between women and men within each corpus."""
    corpora = {corpus: predictions.select(np.asarray(predictions.corpora) == corpus) for corpus in sorted(set(predictions.corpora))}

    def grouped(group_of: Callable[[str], str]) -> Grouping:
        per_corpus = {corpus: scores_by(table, group_of) for corpus, table in corpora.items()}
        return Grouping(all=scores_by(predictions, group_of), per_corpus=per_corpus)

    differences = {corpus: gender_difference(table) for corpus, table in corpora.items()}
    return Fairness(gender=grouped(gender_of), age=grouped(age_band), female_minus_male=differences)


def scores_by(predictions: Predictions, group_of: Callable[[str], str]) -> dict[str, GroupScores]:
    """Scores of each group of speakers, in the order of `GROUPS`."""
    scores = breakdown(predictions, [group_of(speaker) for speaker in predictions.speakers])
    return {group: scores[group] for group in GROUPS if group in scores}


def gender_difference(predictions: Predictions) -> GenderDifference:
    """Difference between women and men with 95 % intervals over speakers.

    The groups are independent, so the variances of their scores are added, with the degrees of freedom of Welch (1947) and Satterthwaite.
    With fewer than five speakers in a group, there is a reason instead of an interval.
    """
    known = predictions.select(np.array([gender_of(speaker) != UNKNOWN for speaker in predictions.speakers], np.bool_))
    speakers, matrices = speaker_matrices(known)
    genders = [gender_of(speaker) for speaker in speakers]
    women, men = ([index for index, gender in enumerate(genders) if gender == wanted] for wanted in GENDERS)
    scores = {
        name: difference_of(pooled(matrices[women], metric, women), pooled(matrices[men], metric, men)) for name, metric in METRICS.items()
    }
    reason = too_few({"female": len(women), "male": len(men)})
    differences = summarise(scores, genders, reason, difference=True)
    return GenderDifference(**differences.by_metric(), female=len(women), male=len(men))
