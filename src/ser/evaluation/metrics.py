"""UAR, WA and macro-F1, computed from confusion matrices.

A confusion matrix has the true classes in rows and the predictions in columns. All functions operate on the last two axes and keep the
others, so that thousands of matrices are scored in one call. Undefined values (the recall of a class without utterances, scores of empty
matrices) are NaN here and null in JSON.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
FloatArray = NDArray[np.floating]
"""Floating point numbers of any precision, such as probabilities of a model."""


def confusion_matrix(truth: ArrayLike, prediction: ArrayLike, num_classes: int) -> Counts:
    """Counts of (truth, prediction), shape (num_classes, num_classes).

    Raises:
        ValueError: a label is outside 0 ... num_classes - 1, or the two differ in length.

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], num_classes=2)
    array([[1, 1],
           [0, 1]])
    """
    labels = np.asarray(truth, dtype=np.int64)
    one_group = confusion_matrices(labels, prediction, np.zeros_like(labels), num_groups=1, num_classes=num_classes)
    return one_group.reshape(num_classes, num_classes)


def confusion_matrices(truth: ArrayLike, prediction: ArrayLike, group: ArrayLike, num_groups: int, num_classes: int) -> Counts:
    """One confusion matrix for each group (for instance each speaker), shape (num_groups, num_classes, num_classes).

    Args:
        group: (n,) index of each utterance's group.

    >>> confusion_matrices([0, 0, 1], [0, 1, 1], group=[0, 1, 1], num_groups=2, num_classes=2).tolist()
    [[[1, 0], [0, 0]], [[0, 1], [0, 1]]]
    """
    shape = (num_groups, num_classes, num_classes)
    cells = tuple(np.asarray(axis, dtype=np.int64) for axis in (group, truth, prediction))
    flat = np.ravel_multi_index(cells, shape)
    return np.bincount(flat, minlength=num_groups * num_classes**2).reshape(shape)


def recalls(matrix: ArrayLike) -> Floats:
    """Recall of each class, (..., C); NaN for a class without utterances.

    >>> recalls([[3, 1], [0, 2]])
    array([0.75, 1.  ])
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    return divide(diagonal(matrix), matrix.sum(axis=-1))


def precisions(matrix: ArrayLike) -> Floats:
    """Precision of each class, (..., C); NaN for a class that is never predicted.

    >>> precisions([[3, 1], [0, 2]]).round(3)
    array([1.   , 0.667])
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    return divide(diagonal(matrix), matrix.sum(axis=-2))


def f1_scores(matrix: ArrayLike) -> Floats:
    """F1 of each class, 2 TP / (support + predicted), (..., C); NaN for a class in neither truth nor prediction.

    >>> f1_scores([[3, 1], [0, 2]]).round(3)
    array([0.857, 0.8  ])
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    return divide(2 * diagonal(matrix), matrix.sum(axis=-1) + matrix.sum(axis=-2))


def uar(matrix: ArrayLike) -> Floats:
    """Unweighted average recall: the mean recall over the classes with utterances. Shape (...).

    It equals scikit-learn's balanced accuracy. scikit-learn's macro recall also counts classes that are only predicted, with recall 0, and
    gives 0.25 for the first example.

    >>> float(uar(confusion_matrix([0, 0], [0, 1], num_classes=2)))
    0.5
    >>> float(uar([[3, 1], [0, 2]]))
    0.875
    """
    return mean_of_defined(recalls(matrix))


def wa(matrix: ArrayLike) -> Floats:
    """Weighted accuracy: the share of right predictions, usually called accuracy. Shape (...).

    >>> round(float(wa([[3, 1], [0, 2]])), 3)
    0.833
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    return divide(diagonal(matrix).sum(axis=-1), matrix.sum(axis=(-2, -1)))


def macro_f1(matrix: ArrayLike) -> Floats:
    """Mean F1 over the classes present in truth or prediction. Shape (...).

    >>> round(float(macro_f1([[3, 1], [0, 2]])), 4)
    0.8286
    """
    return mean_of_defined(f1_scores(matrix))


METRICS = {"uar": uar, "wa": wa, "macro_f1": macro_f1}


class PerClass(NamedTuple):
    """Scores of each class, each (C,)."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Counts


def per_class(matrix: Counts) -> PerClass:
    """Precision, recall, F1 and number of utterances of each class, of one matrix (C, C).

    >>> per_class(np.array([[3, 1], [0, 2]])).support
    array([4, 2])
    """
    return PerClass(precisions(matrix), recalls(matrix), f1_scores(matrix), matrix.sum(axis=-1))


def diagonal(matrix: Floats) -> Floats:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def divide(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient; NaN if the denominator is 0."""
    quotient: Floats = np.divide(numerator, denominator, out=np.full(np.shape(denominator), np.nan), where=denominator > 0)
    return quotient


def mean_of_defined(values: Floats) -> Floats:
    """Mean over the last axis, ignoring NaN; NaN if all values are NaN."""
    defined = ~np.isnan(values)
    return divide(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1).astype(np.float64))
