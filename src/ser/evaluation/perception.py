"""Scores against what listeners heard, and how well listeners do themselves: the human ceiling.

The label of an acted clip is what the actor was asked for; people often hear something else. So a model is also judged against the
plurality of a clip's listeners (perceived emotion), and beside it stands what a listener reaches.

Listeners chose among six emotions. A model of fewer classes is judged by their answers on its own classes alone; the others are dropped,
which lifts what listeners reach: who heard disgust is not asked again. So scores of listeners compare only between models of the same
classes, and `answers_kept` says how much was dropped.
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
    """Of listeners."""

    uar: Share | None
    wa: Share | None


class Ceiling(Accuracy):
    """One listener against the plurality of the others."""

    n: int
    """Answers that could be judged so."""


class Human(Record):
    """How well listeners do."""

    answers: int
    single: Accuracy
    """Each answer against the intended emotion."""
    plurality: Accuracy
    """That of a clip's answers against the intended emotion."""
    ceiling: Ceiling
    answers_kept: Share | None = None
    """Share of all answers to clips with votes that fall on the model's classes: 1 where it has all six emotions or merges them. None in a
    file of an earlier version."""


class Perceived(GroupScores):
    """A model against the plurality of the listeners, over the `n` clips where one class has more answers than any other."""

    clips: int
    """With votes on the model's classes, tied ones too."""
    cross_entropy: float | None
    """Nats. Mean over all `clips` of -sum_c q_c log p_c, with q the shares of the answers and p the network's probabilities."""
    entropy: float | None
    """Nats. That of q: no model can go below it."""
    human: Human
    """What listeners reach on the same clips."""


def perceived_scores(predictions: Predictions, votes: Votes, labels: LabelMapping) -> Perceived | None:
    """A model against its listeners.

    Args:
        labels: of the run: votes on a merged emotion count for what it is merged into.

    Returns:
        None where no utterance has votes.
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
    """How well listeners do, from their answers (n, C) and what the actors were asked for (n,).

    Where k classes are tied in `plurality`, each counts 1/k, as if one of them were drawn.
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

    A model that is judged against the plurality of all is asked for a little less: there the truth has one listener more.
    """
    matrix = leave_one_out(counts)
    found = accuracy(matrix.astype(np.float64))
    return Ceiling(uar=found.uar, wa=found.wa, n=int(matrix.sum()))


def leave_one_out(counts: Counts) -> Counts:
    """(C, C) answers by the plurality of the other answers to the same clip (rows) and by what they are; tied others judge nobody.

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
