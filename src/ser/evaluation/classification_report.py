"""The classification report of scikit-learn, where the extra `metrics` is installed. No score of this program depends on it."""

import logging
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ser.errors import ConfigError
from ser.evaluation.predictions import Predictions
from ser.system.files import write_text
from ser.system.optional import import_optional, install_hint, is_installed

log = logging.getLogger(__name__)

DIGITS = 3


class SklearnMetrics(Protocol):
    """The part of `sklearn.metrics` that is used here."""

    def classification_report(
        self,
        y_true: NDArray[np.int64],
        y_pred: NDArray[np.int64],
        *,
        labels: list[int],
        target_names: list[str],
        digits: int,
        zero_division: float,
    ) -> str: ...


def write_classification_report(path: Path, test: Predictions) -> bool:
    """Precision, recall and F1 of each class of the test split as text; nothing where scikit-learn is not installed.

    Its import takes seconds, so it is imported here alone, once the training is over. If it cannot be imported, a warning is logged.

    Returns:
        Whether the file was written.
    """
    if not is_installed("sklearn"):
        return False
    try:
        metrics = cast(SklearnMetrics, import_optional("sklearn.metrics", f"scikit-learn is damaged: {install_hint('metrics')}"))
    except ConfigError as error:
        log.warning("no %s: %s", path.name, error)
        return False
    labels = list(range(len(test.classes)))
    report = metrics.classification_report(
        test.truth, test.prediction, labels=labels, target_names=list(test.classes), digits=DIGITS, zero_division=0.0
    )
    write_text(path, report)
    return True
