"""SpecAugment (Park et al. 2019): masking of random bands of rows and of frames, in training only."""

import torch
from torch import Tensor

from ser.config import SpecAugmentConfig


def spec_augment(feature: Tensor, lengths: Tensor, config: SpecAugmentConfig, generator: torch.Generator | None = None) -> Tensor:
    """Return a copy of a batch with masked rows and frames. The masks are drawn for each utterance.

    Masked values are 0, the mean of a normalised feature. Only real frames are masked; padding does not change.

    Args:
        feature: (B, dim, T), normalised.
        lengths: (B,) number of real frames.
        generator: random generator on any device; None for torch's global one.

    Shape:
        (B, dim, T) -> (B, dim, T)
    """
    batch, dim, frames = feature.shape
    rows = torch.full((batch,), dim, device=feature.device)
    masked_rows = random_bands(rows, dim, config.freq_masks, config.freq_share, generator)
    masked_frames = random_bands(lengths.to(feature.device), frames, config.time_masks, config.time_share, generator)
    real = torch.arange(frames, device=feature.device) < lengths.to(feature.device)[:, None]
    masked = (masked_rows[:, :, None] | masked_frames[:, None, :]) & real[:, None, :]
    return feature.masked_fill(masked, 0.0)


def random_bands(sizes: Tensor, width: int, count: int, share: float, generator: torch.Generator | None) -> Tensor:
    """Draw `count` bands for each utterance, with widths from 0 to `share` of its size; True inside a band.

    Shape:
        sizes (B,) -> (B, width)
    """
    widths = random_integers((sizes * share).long()[:, None].expand(-1, count), generator)
    starts = random_integers(sizes[:, None] - widths, generator)
    position = torch.arange(width, device=sizes.device)
    inside = (position >= starts[..., None]) & (position < (starts + widths)[..., None])
    return inside.any(dim=1)


def random_integers(highest: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw an integer from 0 to `highest`, inclusive, for each of its elements."""
    device = highest.device if generator is None else generator.device
    uniform = torch.rand(highest.shape, generator=generator, dtype=torch.float64, device=device).to(highest.device)
    return torch.minimum((uniform * (highest + 1)).long(), highest)
