"""Scores of a table of predictions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ser.corpora.registry import CORPORA
from ser.evaluation.intervals import MIN_SPEAKERS, Estimate, Interval, Metric, Score, interval_of, mean_of, no_interval, pooled, value_of
from ser.evaluation.metrics import METRICS, Counts, FloatArray, confusion_matrices, f1_scores, per_class, recalls, uar, wa
from ser.evaluation.predictions import Predictions, same_rows
from ser.evaluation.records import ClassScores, CorporaMean, Estimates, GroupScores, Scores, SpeakerScores
from ser.system.tables import write_table


def score(predictions: Predictions) -> Scores:
    """Scores overall, by class, corpus, gender and speaker, and as the mean over corpora, with intervals over speakers.

    Undefined scores are None. The intervals of the overall scores are over the speakers of all corpora together.
    """
    overall = scores_of(speaker_matrices(predictions)[1])
    return Scores(
        **overall.by_metric(),
        n=overall.n,
        speakers=overall.speakers,
        classes=tuple(predictions.classes),
        per_class=class_scores(predictions),
        per_corpus=breakdown(predictions, predictions.corpora),
        mean_over_corpora=mean_over_corpora(predictions),
        per_gender=breakdown(predictions, genders(predictions)),
        per_speaker=speaker_scores(predictions),
    )


def breakdown(predictions: Predictions, keys: Sequence[str]) -> dict[str, GroupScores]:
    """Scores of each group of utterances, sorted by name.

    Args:
        keys: group of each utterance, such as its corpus or the gender of its speaker.
    """
    column = np.asarray(keys, dtype=str)
    return {str(key): scores_of(speaker_matrices(predictions.select(column == key))[1]) for key in np.unique(column)}


def genders(predictions: Predictions) -> list[str]:
    """Gender of the speaker of each utterance; `unknown` if the corpus does not state it."""
    return [gender_of(speaker) for speaker in predictions.speakers]


def gender_of(speaker: str) -> str:
    """Gender of a speaker, or `unknown`.

    >>> gender_of("tess/OAF"), gender_of("tess/nobody")
    ('female', 'unknown')
    """
    corpus, _, name = speaker.partition("/")
    known = CORPORA[corpus].speakers.get(name) if corpus in CORPORA else None
    return known.gender if known else "unknown"


def speaker_matrices(predictions: Predictions, speakers: Sequence[str] | None = None) -> tuple[list[str], Counts]:
    """Speakers and their confusion matrices, (S, C, C), sorted by name or in the given order (zeros for speakers without utterances)."""
    names = sorted(set(predictions.speakers)) if speakers is None else list(speakers)
    position = {name: index for index, name in enumerate(names)}
    group = [position[name] for name in predictions.speakers]
    num_classes = len(predictions.classes)
    return names, confusion_matrices(predictions.truth, predictions.prediction, group, num_groups=len(names), num_classes=num_classes)


def scores_of(*seeds: Counts) -> GroupScores:
    """Scores and intervals from confusion matrices (speakers, C, C); for several seeds the mean of their scores."""
    speakers = len(seeds[0])
    estimates = summarise({name: mean_over_seeds(seeds, metric) for name, metric in METRICS.items()}, ["all"] * speakers)
    return GroupScores(**estimates.by_metric(), n=int(seeds[0].sum()), speakers=speakers)


def mean_over_seeds(seeds: Sequence[Counts], metric: Metric) -> Score:
    """Mean of the scores of each seed. The macro-F1 of summed matrices would differ from it."""
    return mean_of([pooled(matrices, metric) for matrices in seeds])


def summarise(scores: Mapping[str, Score], strata: Sequence[str], reason: str | None = None, *, difference: bool = False) -> Estimates:
    """Values and intervals of every metric, or of differences of two systems. With a reason there are no intervals."""
    speakers = len(strata)

    def estimate(score: Score) -> Estimate:
        interval = interval_of(score, strata, difference) if reason is None else no_interval(speakers, reason)
        return Estimate(or_none(value_of(score, speakers)), interval)

    return Estimates(**{name: estimate(score) for name, score in scores.items()})


def mean_over_corpora(predictions: Predictions) -> CorporaMean:
    """Each metric averaged over corpora with equal weight.

    There is no interval if a corpus has fewer than five speakers, because it would be too narrow.
    """
    names, matrices = speaker_matrices(predictions)
    corpora = corpora_of(predictions, names)
    members = {corpus: [index for index, own in enumerate(corpora) if own == corpus] for corpus in sorted(set(corpora))}
    scores = {name: mean_of([pooled(matrices[some], metric, some) for some in members.values()]) for name, metric in METRICS.items()}
    estimates = summarise(scores, corpora, too_few(Counter(sorted(corpora))))
    return CorporaMean(**estimates.by_metric(), corpora=tuple(members))


def corpora_of(predictions: Predictions, speakers: Sequence[str]) -> list[str]:
    """The corpus of each of these speakers."""
    known = dict(zip(predictions.speakers, predictions.corpora, strict=True))
    return [known[name] for name in speakers]


def too_few(speakers: Mapping[str, int]) -> str | None:
    """Reason why a score over several groups (corpora, or women and men) has no interval, from the number of speakers of each; or None.

    >>> too_few({"crema": 5, "tess": 1})
    'fewer than 5 speakers: tess has 1'
    """
    few = [f"{group} has {count}" for group, count in speakers.items() if count < MIN_SPEAKERS]
    return f"fewer than {MIN_SPEAKERS} speakers: {', '.join(few) or 'no corpus'}" if few or not speakers else None


def speaker_scores(predictions: Predictions) -> dict[str, SpeakerScores]:
    """{speaker: corpus, n, uar, wa}"""
    names, matrices = speaker_matrices(predictions)
    columns = zip(names, corpora_of(predictions, names), matrices.sum(axis=(1, 2)).tolist(), uar(matrices), wa(matrices), strict=True)
    return {
        name: SpeakerScores(corpus=corpus, n=n, uar=or_none(recall), wa=or_none(accuracy)) for name, corpus, n, recall, accuracy in columns
    }


def class_scores(predictions: Predictions) -> dict[str, ClassScores]:
    """{label: precision, recall, f1, support}; recall and f1 have intervals over speakers."""
    scores, matrices = per_class(predictions.confusion), speaker_matrices(predictions)[1]
    found = {}
    for index, label in enumerate(predictions.classes):
        recall, f1 = class_intervals(matrices, index)
        found[label] = ClassScores(
            precision=or_none(scores.precision[index]),
            recall=Estimate(or_none(scores.recall[index]), recall),
            f1=Estimate(or_none(scores.f1[index]), f1),
            support=int(scores.support[index]),
        )
    return found


def class_intervals(matrices: Counts, index: int) -> tuple[Interval, Interval]:
    """Intervals of a class's recall, over the speakers with this class, and of its F1, over all speakers.

    There is none if fewer than five speakers have the class.
    """
    having = matrices[matrices[:, index].sum(axis=1) > 0]
    recall = interval_of(pooled(having, lambda matrix: recalls(matrix)[..., index]), ["all"] * len(having))
    if recall.reason is not None:
        return recall, no_interval(len(having), recall.reason)
    return recall, interval_of(pooled(matrices, lambda matrix: f1_scores(matrix)[..., index]), ["all"] * len(matrices))


def pooled_scores(seeds: Sequence[Predictions]) -> GroupScores:
    """Mean of each score over seeds, with intervals over speakers.

    Raises:
        ValueError: the seeds differ in utterances, speakers, truths or classes.
    """
    require_same_rows(seeds)
    return scores_of(*(speaker_matrices(predictions)[1] for predictions in seeds))


def require_same_rows(seeds: Sequence[Predictions]) -> None:
    if not all(same_rows(seeds[0], other) for other in seeds):
        raise ValueError("the seeds differ in utterances, speakers, truths or classes")


def or_none(value: float | np.floating | FloatArray) -> float | None:
    """None for NaN, otherwise a float.

    >>> or_none(0.5), or_none(float("nan"))
    (0.5, None)
    """
    number = float(value)
    return None if np.isnan(number) else number


def write_confusion_matrix(path: Path, matrix: Counts, classes: Sequence[str]) -> None:
    """Write a confusion matrix as CSV with the truth in rows, and class names in the first column (`truth`) and in the header."""
    rows = ({"truth": label, **dict(zip(classes, row.tolist(), strict=True))} for label, row in zip(classes, matrix, strict=True))
    write_table(path, ("truth", *classes), rows)
