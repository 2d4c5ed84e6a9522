"""Scores against what listeners heard, and how well listeners do themselves: the human ceiling.

The label of an acted clip is what the actor was asked for; people often hear something else. So a model is also judged against the
plurality of a clip's listeners (perceived emotion), and beside it stands what a listener reaches.

Listeners chose among six emotions. A model of fewer classes is judged by their answers on its own classes alone; the others are dropped,
which lifts what listeners reach: who heard disgust is not asked again. So scores of listeners compare only between models of the same
classes, and `answers_kept` says how much was dropped.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser.config import LabelsConfig
from ser.corpora.votes import Votes, on_classes, plurality
from ser.evaluation.calibration import SMALLEST
from ser.evaluation.metrics import Counts, Floats, uar, wa
from ser.evaluation.predictions import Predictions
from ser.evaluation.scores import or_none, scores_of, speaker_matrices


def perceived_scores(predictions: Predictions, votes: Votes, labels: LabelsConfig) -> dict[str, Any] | None:
    """A model against the plurality of the listeners, over the clips where one class has more answers than any other; strict JSON.

    `clips` had votes on the model's classes, `n` of them a plurality that is not tied. `cross_entropy` is the mean of -sum_c q_c log p_c
    over all `clips`, with q the shares of the answers and p the network's probabilities, in nats; no model can go below `entropy`, that
    of q. `human` is what listeners reach on the same clips; in it `answers_kept` is the share of all answers to clips with votes that
    fall on the model's classes, 1 where it has all six emotions or merges them.

    Args:
        labels: of the run: votes on a merged emotion count for what it is merged into.

    Returns:
        None where no utterance has votes.
    """
    heard = predictions.select(np.array([key in votes for key in predictions.ids], bool))
    if not len(heard.ids):
        return None
    answers = np.stack([votes[key] for key in heard.ids])
    counts = on_classes(answers, heard.classes, labels)
    kept = float(counts.sum() / answers.sum())
    told = counts.sum(axis=1) > 0
    heard, counts = heard.select(told), counts[told]
    emotion, clear = plurality(counts)
    shares = counts / counts.sum(axis=1, keepdims=True)
    return {
        **scores_of(speaker_matrices(replace(heard, truth=emotion).select(clear))[1]),
        "clips": len(heard.ids),
        "cross_entropy": cross_entropy(shares, heard.probabilities),
        "entropy": cross_entropy(shares, shares),
        "human": {**human_scores(counts, heard.truth), "answers_kept": kept},
    }


def cross_entropy(shares: Floats, probabilities: NDArray[np.floating[Any]]) -> float | None:
    """Mean of -sum_c q_c log p_c; None for no utterances.

    >>> round(cross_entropy(np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])), 4)
    1.204
    """
    losses = -(shares * np.log(np.maximum(probabilities, SMALLEST))).sum(axis=1)
    return float(losses.mean()) if len(losses) else None


def human_scores(counts: Counts, intended: NDArray[np.int64]) -> dict[str, Any]:
    """How well listeners do, from their answers (n, C) and what the actors were asked for (n,).

    `single`: each answer against the intended emotion. `plurality`: that of a clip's answers against the intended emotion; where k classes
    are tied, each counts 1/k, as if one of them were drawn. `ceiling`: see `leave_one_out`.
    """
    single, together = np.zeros((2, counts.shape[1], counts.shape[1]))
    np.add.at(single, intended, counts)
    highest = counts == counts.max(axis=1, keepdims=True)
    np.add.at(together, intended, highest / highest.sum(axis=1, keepdims=True))
    return {
        "answers": int(counts.sum()),
        "single": both(single),
        "plurality": both(together),
        "ceiling": ceiling(counts),
    }


def ceiling(counts: Counts) -> dict[str, float | int | None]:
    """UAR and WA of one listener against the plurality of the others, and the answers `n` that could be judged so.

    A model that is judged against the plurality of all is asked for a little less: there the truth has one listener more.
    """
    matrix = leave_one_out(counts)
    return {**both(matrix.astype(np.float64)), "n": int(matrix.sum())}


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


def both(matrix: Floats) -> dict[str, float | None]:
    return {"uar": or_none(uar(matrix)), "wa": or_none(wa(matrix))}
