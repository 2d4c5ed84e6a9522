"""What every model is told of its input, and what it returns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Order = NDArray[np.int64]
FRAME_STEP = 8
"""Batches are padded to a multiple of this many frames: fewer different shapes, for each of which the convolutions' kernels are built
anew and memory is asked for anew."""


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """B utterances, C classes, E experts, D units, T' time steps after the model's own pooling."""

    logits: Tensor
    """(B, C)"""
    embedding: Tensor
    """(B, D): what the classifier sees."""
    gate: Tensor | None
    """(B, E): weights of the experts, summing to 1; None for a model without experts."""
    attention: dict[str, Tensor]
    """{name: (B, T')}: weights over real frames, summing to 1; 0 on padding."""
    attention_rate: dict[str, float]
    """{name: steps a second of `attention`, in hertz}"""
    aux_logits: Tensor | None = None
    """(B, C) of an auxiliary classifier."""


def padded_length(lengths: Order) -> int:
    """Frames of a batch.

    >>> padded_length(np.array([3, 9]))
    16
    """
    return -(-int(lengths.max()) // FRAME_STEP) * FRAME_STEP
