"""Masks of real frames, and pooling over them in padded sequences."""

import torch
from torch import Tensor, nn

MIN_VARIANCE = 1e-6
"""Lower bound of a variance before its square root, whose derivative is infinite at 0."""


def frame_mask(lengths: Tensor, num_frames: int) -> Tensor:
    """Mask that is True for real frames.

    Shape:
        lengths: (B,) -> (B, num_frames)

    >>> frame_mask(torch.tensor([1, 3]), 3).int().tolist()
    [[1, 0, 0], [1, 1, 1]]
    """
    return torch.arange(num_frames, device=lengths.device) < lengths[:, None]


class AttentionPooling(nn.Module):
    """Mean over time, weighted by a learned softmax over the real frames (Bahdanau et al. 2015, without a query).

    Padding has a weight of exactly 0; the frame of a sequence of one frame has the weight 1.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(dim, dim // 2), nn.Tanh(), nn.Linear(dim // 2, 1))

    def forward(self, sequence: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """
        Shape:
            sequence: (B, T, dim), mask: (B, T) -> pooled (B, dim), weights (B, T)
        """
        scores = self.score(sequence).squeeze(-1).float()
        weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
        return torch.einsum("bt,btd->bd", weights, sequence), weights


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation over time under one learned attention (Okabe et al. 2018)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.attention = AttentionPooling(dim)

    def forward(self, sequence: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """
        Shape:
            sequence: (B, T, dim), mask: (B, T) -> pooled (B, 2 dim), weights (B, T)
        """
        mean, weights = self.attention(sequence, mask)
        centred = sequence.float() - mean[:, None]
        variance = torch.einsum("bt,btd->bd", weights, centred.square())
        return torch.cat([mean, variance.clamp(min=MIN_VARIANCE).sqrt()], dim=-1), weights
