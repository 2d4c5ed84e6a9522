"""What every model is told of its input, and what it returns."""

from dataclasses import dataclass

from torch import Tensor


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
