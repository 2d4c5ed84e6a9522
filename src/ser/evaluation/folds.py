"""Scores of a protocol with several folds, each with predictions of one or more seeds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import lcm

import numpy as np

from ser.evaluation.intervals import Metric, Score, mean_of, pooled
from ser.evaluation.metrics import METRICS, Counts
from ser.evaluation.predictions import Predictions
from ser.evaluation.records import GroupScores, Record
from ser.evaluation.scores import require_same_rows, scores_of, speaker_matrices, summarise, too_few

Folds = Mapping[str, Sequence[Predictions]]
"""{fold: predictions of each seed on its test utterances}"""


class FoldsMean(GroupScores):
    """The mean over folds, each with equal weight; `n` and `speakers` count all folds."""

    folds: int


class FoldScores(Record):
    """Scores of a protocol: the mean over folds, and the scores of all folds together."""

    mean_over_folds: FoldsMean
    """The score of a fold is the mean over its seeds."""
    pooled: GroupScores | None
    """Scores of all folds together, as the mean over seeds; None if folds differ in classes."""


class SeedSpread(Record):
    """Variation of a score between seeds of training."""

    values: tuple[float, ...]
    mean: float
    sd: float | None
    """Standard deviation with n - 1; None for a single seed."""
    min: float
    max: float
    n: int


def seed_spread(values: Sequence[float]) -> SeedSpread:
    """Summarise the scores of several seeds.

    >>> seed_spread([0.25, 0.75, 0.5])
    SeedSpread(values=(0.25, 0.75, 0.5), mean=0.5, sd=0.25, min=0.25, max=0.75, n=3)
    """
    column = np.asarray(values, np.float64)
    deviation = float(column.std(ddof=1)) if len(column) > 1 else None
    return SeedSpread(
        values=tuple(values),
        mean=float(column.mean()),
        sd=deviation,
        min=float(column.min()),
        max=float(column.max()),
        n=len(column),
    )


def fold_scores(folds: Folds) -> FoldScores:
    """Compute the scores of a protocol.

    Raises:
        ValueError: the seeds of a fold differ in utterances, speakers, truths or classes.
    """
    for seeds in folds.values():
        require_same_rows(seeds)
    speakers = speakers_of(folds)
    scores = {name: mean_over_folds(folds, speakers, metric) for name, metric in METRICS.items()}
    mean = FoldsMean(
        **summarise(scores, fold_strata(folds, speakers), few_in_folds(folds)).by_metric(),
        n=sum(len(seeds[0].ids) for seeds in folds.values()),
        speakers=len(speakers),
        folds=len(folds),
    )
    together = scores_of(*seed_matrices(folds, speakers)) if one_set_of_classes(folds) else None
    return FoldScores(mean_over_folds=mean, pooled=together)


def speakers_of(folds: Folds) -> list[str]:
    """Speakers of all folds, sorted."""
    return sorted({name for seeds in folds.values() for name in seeds[0].speakers})


def one_set_of_classes(folds: Folds) -> bool:
    return len({seeds[0].classes for seeds in folds.values()}) == 1


def mean_over_folds(folds: Folds, speakers: Sequence[str], metric: Metric) -> Score:
    """Mean over folds of the mean over seeds; a fold without speakers is ignored."""
    position = {name: index for index, name in enumerate(speakers)}

    def one_seed(predictions: Predictions) -> Score:
        names, matrices = speaker_matrices(predictions)
        return pooled(matrices, metric, [position[name] for name in names])

    return mean_of([mean_of([one_seed(predictions) for predictions in seeds]) for seeds in folds.values()])


def seed_matrices(folds: Folds, speakers: Sequence[str]) -> list[Counts]:
    """Confusion matrices of each seed summed over folds, (S, C, C).

    If folds have different numbers of seeds, the seeds of each fold are repeated equally often, up to the least common multiple.
    """
    matrices = [[speaker_matrices(predictions, speakers)[1] for predictions in seeds] for seeds in folds.values()]
    rounds = lcm(*(len(seeds) for seeds in matrices))
    return [np.sum([seeds[number % len(seeds)] for seeds in matrices], axis=0) for number in range(rounds)]


def fold_strata(folds: Folds, speakers: Sequence[str]) -> list[str]:
    """For each speaker, the names of the folds in which the speaker is tested."""
    tested = {fold: set(seeds[0].speakers) for fold, seeds in folds.items()}
    return [" ".join(fold for fold, names in tested.items() if name in names) for name in speakers]


def few_in_folds(folds: Folds) -> str | None:
    """Reason why a mean over folds has no interval, or None. If folds differ in corpora, each corpus must have five speakers."""
    if len({frozenset(seeds[0].corpora) for seeds in folds.values()}) == 1:
        return None
    pairs = {pair for seeds in folds.values() for pair in zip(seeds[0].speakers, seeds[0].corpora, strict=True)}
    return too_few(Counter(sorted(corpus for _, corpus in pairs)))
