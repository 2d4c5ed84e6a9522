"""From a table of predictions to scores. Every score is computed from the table alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import lcm
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser.corpora.registry import CORPORA
from ser.evaluation.intervals import MIN_SPEAKERS, Interval, Metric, Score, interval_of, mean_of, no_interval, pooled, value_of
from ser.evaluation.metrics import METRICS, Counts, Floats, confusion_matrices, f1_scores, per_class, recalls, uar, wa
from ser.evaluation.predictions import Predictions, same_rows
from ser.system.tables import write_table

COLLAPSE = 0.95
"""Mean weight of one expert over a test split, above which the others hardly count."""


def score(predictions: Predictions) -> dict[str, Any]:
    """Scores overall, by class, corpus, gender and speaker, and as the mean over corpora, with intervals over speakers. None, not NaN.

    The interval of the overall scores asks about the speakers of all corpora together.
    """
    return {
        **scores_of(speaker_matrices(predictions)[1]),
        "classes": list(predictions.classes),
        "per_class": class_scores(predictions),
        "per_corpus": breakdown(predictions, predictions.corpora),
        "mean_over_corpora": mean_over_corpora(predictions),
        "per_gender": breakdown(predictions, genders(predictions)),
        "per_speaker": speaker_scores(predictions),
    }


def breakdown(predictions: Predictions, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Scores of each group of utterances, sorted by name.

    Args:
        keys: the group of each utterance: its corpus, the gender of its speaker, whatever is asked.
    """
    column = np.asarray(keys, dtype=str)
    return {str(key): scores_of(speaker_matrices(predictions.select(column == key))[1]) for key in np.unique(column)}


def genders(predictions: Predictions) -> list[str]:
    """Of the speaker of each utterance; `unknown` where the corpus does not tell."""
    return [gender_of(speaker) for speaker in predictions.speakers]


def gender_of(speaker: str) -> str:
    """
    >>> gender_of("tess/OAF"), gender_of("tess/nobody")
    ('female', 'unknown')
    """
    corpus, _, name = speaker.partition("/")
    known = CORPORA[corpus].speakers.get(name) if corpus in CORPORA else None
    return known.gender if known else "unknown"


def speaker_matrices(predictions: Predictions, speakers: Sequence[str] | None = None) -> tuple[list[str], Counts]:
    """Speakers and their confusion matrices, (S, C, C), in the order of their names or as given (with zeros for who says nothing)."""
    names = sorted(set(predictions.speakers)) if speakers is None else list(speakers)
    position = {name: index for index, name in enumerate(names)}
    group = [position[name] for name in predictions.speakers]
    num_classes = len(predictions.classes)
    return names, confusion_matrices(predictions.truth, predictions.prediction, group, num_groups=len(names), num_classes=num_classes)


def scores_of(*seeds: Counts) -> dict[str, Any]:
    """Each metric with n, the number of speakers, and the intervals, from (speakers, C, C); of several seeds the mean of their scores."""
    speakers = len(seeds[0])
    return {
        **summarise({name: mean_over_seeds(seeds, metric) for name, metric in METRICS.items()}, ["all"] * speakers),
        "n": int(seeds[0].sum()),
        "speakers": speakers,
    }


def mean_over_seeds(seeds: Sequence[Counts], metric: Metric) -> Score:
    """Of the scores of each seed: the macro-F1 of summed matrices would be another number, that no training ever had."""
    return mean_of([pooled(matrices, metric) for matrices in seeds])


def summarise(scores: Mapping[str, Score], strata: Sequence[str], reason: str | None = None, *, difference: bool = False) -> dict[str, Any]:
    """Values and intervals of several scores, or of differences of two; a reason stands in place of the intervals."""
    speakers = len(strata)

    def interval(score: Score) -> Interval:
        return interval_of(score, strata, difference) if reason is None else no_interval(speakers, reason)

    return {
        **{name: or_none(value_of(score, speakers)) for name, score in scores.items()},
        "intervals": {name: asdict(interval(score)) for name, score in scores.items()},
    }


def mean_over_corpora(predictions: Predictions) -> dict[str, Any]:
    """Each metric averaged over corpora, every corpus with equal weight.

    A corpus with fewer than five speakers would count as certain, and the interval would be too narrow: then there is none.
    """
    names, matrices = speaker_matrices(predictions)
    corpora = corpora_of(predictions, names)
    members = {corpus: [index for index, of in enumerate(corpora) if of == corpus] for corpus in sorted(set(corpora))}
    scores = {name: mean_of([pooled(matrices[of], metric, of) for of in members.values()]) for name, metric in METRICS.items()}
    return {**summarise(scores, corpora, too_few(Counter(sorted(corpora)))), "corpora": list(members)}


def corpora_of(predictions: Predictions, speakers: Sequence[str]) -> list[str]:
    """The corpus of each of these speakers."""
    known = dict(zip(predictions.speakers, predictions.corpora, strict=True))
    return [known[name] for name in speakers]


def too_few(speakers: Mapping[str, int]) -> str | None:
    """Why a score that several corpora (or women and men) make up has no interval, from the number of speakers of each.

    >>> too_few({"crema": 5, "tess": 1})
    'fewer than 5 speakers: tess has 1'
    """
    few = [f"{group} has {count}" for group, count in speakers.items() if count < MIN_SPEAKERS]
    return f"fewer than {MIN_SPEAKERS} speakers: {', '.join(few) or 'no corpus'}" if few or not speakers else None


def speaker_scores(predictions: Predictions) -> dict[str, dict[str, Any]]:
    """speaker -> corpus, n, uar, wa."""
    names, matrices = speaker_matrices(predictions)
    columns = zip(names, corpora_of(predictions, names), matrices.sum(axis=(1, 2)).tolist(), uar(matrices), wa(matrices), strict=True)
    return {name: {"corpus": corpus, "n": n, "uar": or_none(one), "wa": or_none(other)} for name, corpus, n, one, other in columns}


def class_scores(predictions: Predictions) -> dict[str, dict[str, Any]]:
    """label -> precision, recall, f1, support, and intervals of recall and f1 over speakers."""
    scores, matrices = per_class(predictions.confusion), speaker_matrices(predictions)[1]
    return {
        label: {
            "precision": or_none(scores.precision[index]),
            "recall": or_none(scores.recall[index]),
            "f1": or_none(scores.f1[index]),
            "support": int(scores.support[index]),
            "intervals": {name: asdict(interval) for name, interval in class_intervals(matrices, index).items()},
        }
        for index, label in enumerate(predictions.classes)
    }


def class_intervals(matrices: Counts, index: int) -> dict[str, Interval]:
    """Of a class's recall, over the speakers who have it, and of its F1, over all: clips of the others may be taken for it.

    With fewer than five speakers who have the class there is neither.
    """
    having = matrices[matrices[:, index].sum(axis=1) > 0]
    recall = interval_of(pooled(having, lambda of: recalls(of)[..., index]), ["all"] * len(having))
    if recall.reason is not None:
        return {"recall": recall, "f1": no_interval(len(having), recall.reason)}
    return {"recall": recall, "f1": interval_of(pooled(matrices, lambda of: f1_scores(of)[..., index]), ["all"] * len(matrices))}


def pooled_scores(seeds: Sequence[Predictions]) -> dict[str, Any]:
    """Each score as its mean over seeds, with speakers as units.

    Raises:
        ValueError: the seeds differ in utterances, speakers, truths or classes.
    """
    require_same_rows(seeds)
    return scores_of(*(speaker_matrices(of)[1] for of in seeds))


def require_same_rows(seeds: Sequence[Predictions]) -> None:
    if not all(same_rows(seeds[0], of) for of in seeds):
        raise ValueError("the seeds differ in utterances, speakers, truths or classes")


def seed_spread(values: Sequence[float]) -> dict[str, float | int | None]:
    """How a score differs between seeds of training; `sd` with n - 1, None for a single seed.

    >>> seed_spread([0.25, 0.75, 0.5])
    {'mean': 0.5, 'sd': 0.25, 'min': 0.25, 'max': 0.75, 'n': 3}
    """
    column = np.asarray(values, np.float64)
    deviation = float(column.std(ddof=1)) if len(column) > 1 else None
    return {"mean": float(column.mean()), "sd": deviation, "min": float(column.min()), "max": float(column.max()), "n": len(column)}


Folds = Mapping[str, Sequence[Predictions]]
"""fold -> predictions of each seed on its test utterances."""


def fold_scores(folds: Folds) -> dict[str, Any]:
    """Scores of a protocol: the mean over folds, and of all folds taken together.

    `mean_over_folds`: every fold has equal weight, its score is the mean over its seeds. `pooled`: of all folds together, as the mean over
    seeds; None where folds differ in classes.

    Raises:
        ValueError: the seeds of a fold differ in utterances, speakers, truths or classes.
    """
    for seeds in folds.values():
        require_same_rows(seeds)
    speakers = speakers_of(folds)
    scores = {name: mean_over_folds(folds, speakers, metric) for name, metric in METRICS.items()}
    facts = {"n": sum(len(seeds[0].ids) for seeds in folds.values()), "speakers": len(speakers), "folds": len(folds)}
    return {
        "mean_over_folds": {**summarise(scores, fold_strata(folds, speakers), few_in_folds(folds)), **facts},
        "pooled": scores_of(*seed_matrices(folds, speakers)) if one_set_of_classes(folds) else None,
    }


def speakers_of(folds: Folds) -> list[str]:
    """Of all folds, sorted."""
    return sorted({name for seeds in folds.values() for name in seeds[0].speakers})


def one_set_of_classes(folds: Folds) -> bool:
    return len({seeds[0].classes for seeds in folds.values()}) == 1


def mean_over_folds(folds: Folds, speakers: Sequence[str], metric: Metric) -> Score:
    """Mean over folds of the mean over seeds; a fold without speakers drops out."""
    position = {name: index for index, name in enumerate(speakers)}

    def of_one(predictions: Predictions) -> Score:
        names, matrices = speaker_matrices(predictions)
        return pooled(matrices, metric, [position[name] for name in names])

    return mean_of([mean_of([of_one(of) for of in seeds]) for seeds in folds.values()])


def seed_matrices(folds: Folds, speakers: Sequence[str]) -> list[Counts]:
    """Of each seed the confusion matrices summed over folds, (S, C, C).

    Where folds differ in the number of their seeds, each of them is repeated equally often, until there are as many of every fold.
    """
    matrices = [[speaker_matrices(of, speakers)[1] for of in seeds] for seeds in folds.values()]
    rounds = lcm(*(len(seeds) for seeds in matrices))
    return [np.sum([seeds[number % len(seeds)] for seeds in matrices], axis=0) for number in range(rounds)]


def fold_strata(folds: Folds, speakers: Sequence[str]) -> list[str]:
    """For each speaker, the folds that test him."""
    tested = {fold: set(seeds[0].speakers) for fold, seeds in folds.items()}
    return [" ".join(fold for fold, of in tested.items() if name in of) for name in speakers]


def few_in_folds(folds: Folds) -> str | None:
    """Why a mean over folds has no interval: where folds differ in corpora it is a mean over corpora too, and each needs five speakers."""
    if len({frozenset(seeds[0].corpora) for seeds in folds.values()}) == 1:
        return None
    pairs = {pair for seeds in folds.values() for pair in zip(seeds[0].speakers, seeds[0].corpora, strict=True)}
    return too_few(Counter(sorted(corpus for _, corpus in pairs)))


def summarise_gates(predictions: Predictions) -> dict[str, Any]:
    """How the experts were weighed: means over all, by corpus and by emotion, the entropy of the weights, and a collapse.

    `entropy` is the mean over utterances of the weights' entropy, `entropy_of_mean` the entropy of the mean weights, both as shares of the
    entropy of equal weights: a gate that chooses a single expert, but another one for each utterance, has 0 and 1. `collapsed_onto` names
    an expert whose mean weight is above `COLLAPSE`.
    """
    weights = np.stack(list(predictions.gates.values()), axis=1)
    names = tuple(predictions.gates)
    mean = weights.mean(axis=0)
    emotions = np.asarray(predictions.classes)[predictions.truth]
    return {
        "mean": named(names, mean),
        "per_corpus": {key: named(names, of) for key, of in group_means(weights, predictions.corpora).items()},
        "per_emotion": {key: named(names, of) for key, of in group_means(weights, emotions).items()},
        "entropy": float(relative_entropy(weights).mean()),
        "entropy_of_mean": float(relative_entropy(mean[None])[0]),
        "collapsed_onto": names[int(mean.argmax())] if mean.max() > COLLAPSE else None,
    }


def group_means(weights: NDArray[np.floating[Any]], keys: Sequence[str] | NDArray[Any]) -> dict[str, NDArray[np.floating[Any]]]:
    """(n, E) and n keys -> {key: mean (E,)}, sorted by key."""
    column = np.asarray(keys, dtype=str)
    return {str(key): weights[column == key].mean(axis=0) for key in np.unique(column)}


def named(names: Sequence[str], values: NDArray[np.floating[Any]]) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


def relative_entropy(weights: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Entropy of each row, (n, E) -> (n,), as a share of that of E equal weights.

    >>> relative_entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [1.0, 0.0]
    """
    logs = np.log(np.where(weights > 0, weights, 1))
    shares: NDArray[np.floating[Any]] = np.abs((weights * logs).sum(axis=1)) / np.log(weights.shape[1])
    return shares


def or_none(value: float | np.floating[Any] | Floats) -> float | None:
    """
    >>> or_none(0.5), or_none(float("nan"))
    (0.5, None)
    """
    number = float(value)
    return None if np.isnan(number) else number


def write_confusion_matrix(path: Path, matrix: Counts, classes: Sequence[str]) -> None:
    """CSV with the truth in rows: class names in the first column (`truth`) and in the header."""
    rows = ({"truth": label, **dict(zip(classes, row.tolist(), strict=True))} for label, row in zip(classes, matrix, strict=True))
    write_table(path, ("truth", *classes), rows)
