"""Masks and attention pooling against answers done by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.models.pooling import MIN_VARIANCE, AttentionPooling, AttentiveStatistics, frame_mask


@pytest.mark.parametrize(
    ("lengths", "num_frames", "expected"),
    [
        ([2], 3, [[True, True, False]]),
        ([1, 3], 3, [[True, False, False], [True, True, True]]),
        ([5], 2, [[True, True]]),
        ([0, 1], 1, [[False], [True]]),
    ],
)
def test_a_mask_is_true_on_real_frames(lengths: list[int], num_frames: int, expected: list[list[bool]]) -> None:
    assert frame_mask(torch.tensor(lengths), num_frames).tolist() == expected


def pooling_that_scores_the_first_unit(dim: int = 2) -> AttentionPooling:
    """The score of a frame x is tanh(x_0)."""
    pooling = AttentionPooling(dim)
    weights = {name: torch.zeros_like(tensor) for name, tensor in pooling.state_dict().items()}
    for name in ("score.0.weight", "score.2.weight"):
        weights[name][0, 0] = 1.0
    pooling.load_state_dict(weights)
    return pooling


def test_weights_are_the_softmax_of_the_scores_over_real_frames() -> None:
    sequence = torch.tensor([[[0.0, 1.0], [0.5, 3.0], [9.0, 100.0]]])
    pooled, weights = pooling_that_scores_the_first_unit()(sequence, frame_mask(torch.tensor([2]), 3))
    odds = math.exp(math.tanh(0.5))
    first, second = 1 / (1 + odds), odds / (1 + odds)
    torch.testing.assert_close(weights, torch.tensor([[first, second, 0.0]]))
    torch.testing.assert_close(pooled, torch.tensor([[0.5 * second, first + 3 * second]]))


def test_equal_scores_give_the_mean() -> None:
    pooling = AttentionPooling(4)
    pooling.load_state_dict({name: torch.zeros_like(tensor) for name, tensor in pooling.state_dict().items()})
    sequence = torch.randn(2, 5, 4)
    pooled, weights = pooling(sequence, frame_mask(torch.tensor([5, 2]), 5))
    torch.testing.assert_close(weights, torch.tensor([[0.2] * 5, [0.5, 0.5, 0, 0, 0]]))
    torch.testing.assert_close(pooled, torch.stack([sequence[0].mean(0), sequence[1, :2].mean(0)]))


def test_one_frame_has_the_weight_one() -> None:
    sequence = torch.randn(1, 3, 4)
    pooled, weights = AttentionPooling(4)(sequence, frame_mask(torch.tensor([1]), 3))
    assert weights.tolist() == [[1.0, 0.0, 0.0]]
    assert torch.equal(pooled[0], sequence[0, 0])


@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=6), scale=st.sampled_from([0.1, 1.0, 1e3]))
@settings(max_examples=25, deadline=None)
def test_weights_sum_to_one_and_are_zero_on_padding(lengths: list[int], scale: float) -> None:
    generator = torch.Generator().manual_seed(sum(lengths))
    sequence = scale * torch.randn(len(lengths), max(lengths) + 2, 6, generator=generator)
    mask = frame_mask(torch.tensor(lengths), max(lengths) + 2)
    pooled, weights = AttentionPooling(6)(sequence, mask)
    assert not weights[~mask].any()
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(len(lengths)))
    assert pooled.isfinite().all()


def test_no_gradient_comes_from_padding() -> None:
    sequence = torch.randn(1, 4, 6, requires_grad=True)
    pooled, _ = AttentionPooling(6)(sequence, frame_mask(torch.tensor([2]), 4))
    pooled.sum().backward()
    assert sequence.grad is not None
    assert sequence.grad[0, :2].any()
    assert not sequence.grad[0, 2:].any()


def test_half_precision_is_pooled_in_single() -> None:
    pooling = AttentionPooling(4)
    with torch.autocast("cpu", torch.bfloat16):
        pooled, weights = pooling(torch.randn(1, 3, 4).bfloat16(), frame_mask(torch.tensor([3]), 3))
        assert weights.dtype == torch.float32
    assert weights.sum().item() == pytest.approx(1, abs=1e-6)
    assert pooled.isfinite().all()


# mean and deviation


@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_attentive_statistics_are_the_weighted_mean_and_deviation_of_the_real_frames(lengths: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    sequence = 5 + 3 * torch.randn(len(lengths), max(lengths) + 2, 6)
    pooled, weights = AttentiveStatistics(6)(sequence, frame_mask(torch.tensor(lengths), max(lengths) + 2))
    for row, length in enumerate(lengths):
        frames = sequence[row, :length].double().numpy()
        row_weights = weights[row, :length].detach().double().numpy()
        mean = np.average(frames, axis=0, weights=row_weights)
        deviation = np.sqrt(np.maximum(np.average((frames - mean) ** 2, axis=0, weights=row_weights), MIN_VARIANCE))
        np.testing.assert_allclose(pooled[row].detach(), np.concatenate([mean, deviation]), rtol=1e-3, atol=1e-4)
        assert not weights[row, length:].any()


def test_statistics_under_equal_attention_are_numpys_mean_and_std() -> None:
    pooling = AttentiveStatistics(4)
    pooling.load_state_dict({name: torch.zeros_like(tensor) for name, tensor in pooling.state_dict().items()})
    sequence = torch.randn(1, 9, 4)
    pooled, _ = pooling(sequence, frame_mask(torch.tensor([7]), 9))
    frames = sequence[0, :7].numpy()
    np.testing.assert_allclose(pooled[0].detach(), np.concatenate([frames.mean(0), frames.std(0)]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("length", [1, 5])
def test_frames_that_do_not_vary_have_a_small_deviation_with_a_finite_slope(length: int) -> None:
    sequence = torch.full((1, 5, 4), 3.0, requires_grad=True)
    pooled, _ = AttentiveStatistics(4)(sequence, frame_mask(torch.tensor([length]), 5))
    torch.testing.assert_close(pooled[0, 4:], torch.full((4,), MIN_VARIANCE**0.5))
    pooled.sum().backward()
    assert sequence.grad is not None
    assert sequence.grad.isfinite().all()
    assert not sequence.grad[0, length:].any()
