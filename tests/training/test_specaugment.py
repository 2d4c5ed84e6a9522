"""SpecAugment: properties that hold for any batch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.config import SpecAugmentConfig
from ser.training.specaugment import random_bands, random_integers, spec_augment

SHARES = st.floats(0, 1)
MASKS = st.integers(0, 3)
CONFIGS = st.builds(SpecAugmentConfig, freq_masks=MASKS, freq_share=SHARES, time_masks=MASKS, time_share=SHARES)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ones(batch: int, dim: int, frames: int) -> torch.Tensor:
    """No element is 0, so that every 0 of the result is a mask."""
    return torch.ones(batch, dim, frames)


@given(config=CONFIGS, lengths=st.lists(st.integers(1, 30), min_size=1, max_size=4), dim=st.integers(1, 12), seed=st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_masks_lie_within_the_real_frames_and_their_widths(config: SpecAugmentConfig, lengths: list[int], dim: int, seed: int) -> None:
    feature = ones(len(lengths), dim, max(lengths))
    masked = spec_augment(feature, torch.tensor(lengths), config, seeded(seed))
    assert masked.shape == feature.shape
    assert (feature == 1).all(), "the input is never changed"
    for utterance, length in zip(masked, lengths, strict=True):
        assert (utterance[:, length:] == 1).all(), "padding stays as it was"
        real = utterance[:, :length]
        masked_frames, masked_rows = (real == 0).all(dim=0), (real == 0).all(dim=1)
        assert torch.equal(real == 0, masked_frames[None, :] | masked_rows[:, None]), "only whole rows and frames are masked"
        if not masked_rows.all():
            assert masked_frames.sum() <= config.time_masks * config.time_share * length + 1e-3
        if not masked_frames.all():
            assert masked_rows.sum() <= config.freq_masks * config.freq_share * dim + 1e-3


def test_the_same_generator_gives_the_same_masks_and_another_others() -> None:
    feature, lengths = ones(4, 40, 100), torch.tensor([100, 80, 60, 50])
    first, again, other = (spec_augment(feature, lengths, SpecAugmentConfig(), seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_a_generator_torchs_own_is_used() -> None:
    feature, lengths = ones(2, 40, 100), torch.tensor([100, 80])
    torch.manual_seed(5)
    first = spec_augment(feature, lengths, SpecAugmentConfig())
    torch.manual_seed(5)
    assert torch.equal(first, spec_augment(feature, lengths, SpecAugmentConfig()))


def test_every_utterance_draws_its_own_masks() -> None:
    masked = spec_augment(ones(8, 40, 100), torch.full((8,), 100), SpecAugmentConfig(), seeded(0))
    assert len({tuple((utterance == 0).flatten().tolist()) for utterance in masked}) == 8


@pytest.mark.parametrize("config", [SpecAugmentConfig(freq_masks=0, time_masks=0), SpecAugmentConfig(freq_share=0, time_share=0)])
def test_no_masks_change_nothing(config: SpecAugmentConfig) -> None:
    feature = torch.randn(3, 5, 20)
    assert torch.equal(spec_augment(feature, torch.tensor([20, 10, 5]), config), feature)


def test_half_precision_stays_half_precision() -> None:
    feature = ones(2, 8, 16).bfloat16()
    assert spec_augment(feature, torch.tensor([16, 8]), SpecAugmentConfig()).dtype == torch.bfloat16


def test_every_width_and_place_can_be_drawn() -> None:
    bands = random_bands(torch.full((4000,), 4), width=4, count=1, share=0.5, generator=seeded(0))
    drawn = {tuple(band.int().tolist()) for band in bands}
    assert drawn == {(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 1, 0, 0), (0, 1, 1, 0), (0, 0, 1, 1)}


def test_random_integers_are_uniform_and_include_both_ends() -> None:
    drawn = random_integers(torch.full((30_000,), 2), seeded(0))
    counts = torch.bincount(drawn, minlength=3)
    assert counts.shape == (3,)
    assert ((counts - 10_000).abs() < 500).all()
