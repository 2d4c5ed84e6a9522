"""Normalisation of each feature column to mean 0 and standard deviation 1, with statistics of the training utterances."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ser.errors import ArtefactError
from ser.features.base import StoredRows
from ser.features.source import FeatureSource, Stores

FloatArray = NDArray[np.float32]
MIN_DEVIATION = 1e-4
"""Lower bound of the standard deviation. Without it, a column that is constant on train (a filter above the corpus's bandwidth) would
amplify noise in other clips."""


@dataclass(frozen=True)
class Normaliser:
    """(x - mean) / deviation for each column of one extractor; fitted on training utterances only."""

    mean: FloatArray
    """(columns,)"""
    deviation: FloatArray
    """(columns,)"""

    @classmethod
    def fit(cls, source: Stores, ids: Iterable[str]) -> "Normaliser":
        """Mean and deviation over all frames of `ids`, summed in float64.

        Raises:
            ArtefactError: a feature of an utterance is not finite.
        """
        count, total, squares = 0, np.zeros(1), np.zeros(1)
        for utterance_id in ids:
            rows = np.asarray(source.rows(utterance_id), np.float64)
            count += len(rows)
            total = total + rows.sum(axis=0)
            squares = squares + np.square(rows).sum(axis=0)
            if not np.isfinite(squares).all():
                raise ArtefactError(f"the stored features of {utterance_id} are not finite: run the transform step with --repair")
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, MIN_DEVIATION**2))
        return cls(mean.astype(np.float32), deviation.astype(np.float32))

    def apply(self, rows: StoredRows, out: FloatArray) -> None:
        """Write the normalised `rows` into `out`, both (frames, columns)."""
        np.subtract(rows, self.mean, out=out)
        np.divide(out, self.deviation, out=out)


Normalisers = Mapping[str, Normaliser]
"""{name of the extractor: its normaliser}"""


def fit_normalisers(source: FeatureSource, ids: Sequence[str]) -> dict[str, Normaliser]:
    """Fit one normaliser for each extractor. Raises the errors of `Normaliser.fit`."""
    return {name: Normaliser.fit(stores, ids) for name, stores in source.groups.items()}
