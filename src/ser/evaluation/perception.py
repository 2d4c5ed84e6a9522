"""Scores against the votes of listeners, and the scores of listeners themselves: the human ceiling.

The label of an acted clip is the emotion that the actor was asked to express; listeners often perceive another one. Therefore a model is
also scored against the plurality of a clip's votes (perceived emotion), and the scores of listeners are given for comparison.

Listeners chose among six emotions. For a model with fewer classes only the votes on its classes are used, which raises the scores of
listeners. They are therefore comparable only between models with the same classes; `answers_kept` is the share of votes that were used.
"""

from dataclasses import replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ser.config import LabelMapping
from ser.corpora.votes import Votes, on_classes, plurality
from ser.evaluation.confidence import SMALLEST
from ser.evaluation.metrics import Counts, FloatArray, Floats, uar, wa
from ser.evaluation.predictions import Predictions
from ser.evaluation.records import GroupScores, Record
from ser.evaluation.scores import or_none, scores_of, speaker_matrices

Share = Annotated[float, Field(ge=0, le=1)]


class Accuracy(Record):
    """Scores of listeners."""

    uar: Share | None
    wa: Share | None


class Ceiling(Accuracy):
    """One listener against the plurality of the others."""

    n: int
    """Number of votes with a plurality of the others."""


class Human(Record):
    """Scores of listeners."""

    answers: int
    single: Accuracy
    """Scores of single votes against the intended emotion."""
    plurality: Accuracy
    """Scores of the plurality of a clip's votes against the intended emotion."""
    ceiling: Ceiling
    answers_kept: Share | None = None
    """Share of the votes that are on the model's classes: 1 if it has all six emotions or merges them. None in a file of an earlier
    version."""


class Perceived(GroupScores):
    """Scores of a model against the plurality of the listeners, over the `n` clips in which one class has more votes than any other."""

    clips: int
    """Number of clips with votes on the model's classes, including ties."""
    cross_entropy: float | None
    """Mean over all `clips` of -sum_c q_c log p_c in nats, with the shares q of the votes and the model's probabilities p."""
    entropy: float | None
    """Mean entropy of q in nats, the lower bound of the cross entropy."""
    human: Human
    """Scores of listeners on the same clips."""


def perceived_scores(predictions: Predictions, votes: Votes, labels: LabelMapping) -> Perceived | None:
    """A model against its listeners.

    Args:
        labels: config of the run; votes on a merged emotion count for the emotion that it is merged into.

    Returns:
        None if no utterance has votes.
    """
    rated = predictions.select(np.array([key in votes for key in predictions.ids], bool))
    if not len(rated.ids):
        return None
    answers = np.stack([votes[key] for key in rated.ids])
    counts = on_classes(answers, rated.classes, labels)
    kept = float(counts.sum() / answers.sum())
    answered = counts.sum(axis=1) > 0
    rated, counts = rated.select(answered), counts[answered]
    emotion, clear = plurality(counts)
    shares = counts / counts.sum(axis=1, keepdims=True)
    scores = scores_of(speaker_matrices(replace(rated, truth=emotion).select(clear))[1])
    return Perceived(
        **scores.by_metric(),
        n=scores.n,
        speakers=scores.speakers,
        clips=len(rated.ids),
        cross_entropy=cross_entropy(shares, rated.probabilities),
        entropy=cross_entropy(shares, shares),
        human=human_scores(counts, rated.truth, kept),
    )


def cross_entropy(shares: Floats, probabilities: FloatArray) -> float | None:
    """Mean of -sum_c q_c log p_c; None for no utterances.

    >>> round(cross_entropy(np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])), 4)
    1.204
    """
    losses = -(shares * np.log(np.maximum(probabilities, SMALLEST))).sum(axis=1)
    return float(losses.mean()) if len(losses) else None


def human_scores(counts: Counts, intended: NDArray[np.int64], kept: float | None = None) -> Human:
    """Scores of listeners from their votes (n, C) and the intended emotions (n,).

    If k classes are tied in `plurality`, each counts 1/k, as if one of them were drawn at random.
    """
    single, together = np.zeros((2, counts.shape[1], counts.shape[1]))
    np.add.at(single, intended, counts)
    highest = counts == counts.max(axis=1, keepdims=True)
    np.add.at(together, intended, highest / highest.sum(axis=1, keepdims=True))
    return Human(
        answers=int(counts.sum()),
        single=accuracy(single),
        plurality=accuracy(together),
        ceiling=ceiling(counts),
        answers_kept=kept,
    )


def ceiling(counts: Counts) -> Ceiling:
    """UAR and WA of one listener against the plurality of the others.

    Scores of a model against the plurality of all votes are slightly easier to reach, because that plurality has one vote more.
    """
    matrix = leave_one_out(counts)
    found = accuracy(matrix.astype(np.float64))
    return Ceiling(uar=found.uar, wa=found.wa, n=int(matrix.sum()))


def leave_one_out(counts: Counts) -> Counts:
    """(C, C) votes by the plurality of the other votes on the same clip (rows) and by the vote (columns), without ties of the others.

    >>> leave_one_out(np.array([[3, 1]]))
    array([[3, 1],
           [0, 0]])
    """
    num_classes = counts.shape[1]
    matrix = np.zeros((num_classes, num_classes), np.int64)
    for answer in range(num_classes):
        given = counts[counts[:, answer] > 0]
        others = given - np.eye(num_classes, dtype=np.int64)[answer]
        emotion, clear = plurality(others)
        np.add.at(matrix[:, answer], emotion[clear], given[clear, answer])
    return matrix


def accuracy(matrix: Floats) -> Accuracy:
    return Accuracy(uar=or_none(uar(matrix)), wa=or_none(wa(matrix)))
