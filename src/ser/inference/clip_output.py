"""The output of a model for one clip, the same for checkpoints and exported files."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Clip = tuple[NDArray[np.float32], int]
"""Decoded samples, (samples,) or (samples, channels), and their rate in hertz."""


@dataclass(frozen=True, slots=True)
class ClipOutput:
    """The output of a model for one clip: C classes, D units, T' time steps of an attention."""

    probabilities: NDArray[np.float64]
    """(C,) probabilities that sum to 1, in the order of the model's classes. Calibrated, except those of a `Recogniser`."""
    embedding: NDArray[np.float32]
    """(D,) input of the classifier."""
    attention: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """{name: (T',)} weights that sum to 1; empty for a model without attention. The names are the network's own: `spectral` in a
    spectral_crnn, which has one attention over all its features, and the name of each expert in an ssl_spectral_moe. Step k covers k / rate
    to (k + 1) / rate seconds from the start of the prepared waveform."""
    attention_rate: Mapping[str, float] = field(default_factory=dict)
    """{name: steps a second, in hertz}"""
    gates: Mapping[str, float] = field(default_factory=dict)
    """{expert: weight}, summing to 1; empty for a model without a gate."""
    start: float = 0.0
    """Seconds from the start of the clip to that of the prepared waveform; negative if the waveform was padded at its start."""
