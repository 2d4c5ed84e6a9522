"""Output of the models, and padding of their input."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Order = NDArray[np.int64]
FRAME_STEP = 8
"""Batches are padded to a multiple of this number of frames, to have fewer shapes: for each new one, convolution kernels are built and
memory is allocated."""


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """Output for B utterances with C classes, E experts, D units and T' time steps after the model's pooling."""

    logits: Tensor
    """(B, C)"""
    embedding: Tensor
    """(B, D): input of the classifier."""
    gate: Tensor | None
    """(B, E): weights of the experts, summing to 1; None for a model without experts."""
    attention: dict[str, Tensor]
    """{name: (B, T')}: weights over real frames, summing to 1; 0 on padding."""
    attention_rate: dict[str, float]
    """{name: steps a second of `attention`, in hertz}"""
    aux_logits: Tensor | None = None
    """(B, C) of an auxiliary classifier."""


def padded_length(lengths: Order) -> int:
    """Number of frames of a padded batch.

    >>> padded_length(np.array([3, 9]))
    16
    """
    return -(-int(lengths.max()) // FRAME_STEP) * FRAME_STEP
