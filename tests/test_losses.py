"""Losses against torch's own and against numbers done by hand."""

import math

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from ser.config import TrainConfig
from ser.errors import DataError
from ser.losses import FocalLoss, class_weights, make_loss

WEIGHTS = torch.tensor([0.5, 1.0, 2.5])


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, 3, generator=generator), torch.randint(0, 3, (8,), generator=generator)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_focal_loss_with_gamma_zero_is_cross_entropy(weights: torch.Tensor | None, label_smoothing: float) -> None:
    logits, label = batch()
    expected = nn.CrossEntropyLoss(weight=weights, label_smoothing=label_smoothing)(logits, label)
    torch.testing.assert_close(FocalLoss(0.0, weights, label_smoothing)(logits, label), expected)


def test_focal_loss_done_by_hand() -> None:
    probabilities = torch.tensor([[0.8, 0.2], [0.4, 0.6]])
    expected = -(0.2**2 * math.log(0.8) + 0.6**2 * math.log(0.4)) / 2
    assert FocalLoss(2.0)(probabilities.log(), torch.tensor([0, 0])).item() == pytest.approx(expected)


def test_focal_loss_turns_to_the_hard_examples() -> None:
    easy, hard = torch.tensor([[4.0, 0.0]]), torch.tensor([[-1.0, 0.0]])
    label = torch.tensor([0])
    plain, focal = FocalLoss(0.0), FocalLoss(2.0)
    assert focal(easy, label) < 0.01 * plain(easy, label)
    assert focal(hard, label) > 0.4 * plain(hard, label)


@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_the_gradient_is_finite(loss: str, gamma: float, scale: float, label_smoothing: float) -> None:
    logits, label = batch()
    logits = (logits * scale).requires_grad_()
    config = TrainConfig(loss=loss, focal_gamma=gamma, label_smoothing=label_smoothing)  # type: ignore[arg-type]
    value = make_loss(config, WEIGHTS)(logits, label)
    value.backward()
    assert value.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_make_loss_follows_the_config() -> None:
    focal = make_loss(TrainConfig(loss="focal", focal_gamma=1.5, label_smoothing=0.2), WEIGHTS)
    assert isinstance(focal, FocalLoss)
    assert (focal.gamma, focal.label_smoothing) == (1.5, 0.2)
    plain = make_loss(TrainConfig(loss="cross_entropy", label_smoothing=0.2))
    assert isinstance(plain, nn.CrossEntropyLoss)
    assert (plain.weight, plain.label_smoothing) == (None, 0.2)


def test_the_weights_follow_the_loss_to_another_dtype() -> None:
    assert FocalLoss(2.0, WEIGHTS).to(torch.float64).weights.dtype == torch.float64  # type: ignore[union-attr]


def test_focal_loss_takes_half_precision_logits() -> None:
    logits, label = batch()
    assert FocalLoss(2.0, WEIGHTS)(logits.bfloat16(), label).dtype == torch.float32


def test_class_weights_are_scikit_learns_balanced() -> None:
    labels = [0, 0, 0, 1, 1, 2]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    torch.testing.assert_close(class_weights(labels, 3), torch.tensor(expected, dtype=torch.float32))


def test_class_weights_make_every_class_weigh_the_same() -> None:
    labels = torch.tensor([0] * 7 + [1] * 2 + [2])
    weights = class_weights(labels, 3)
    torch.testing.assert_close(torch.bincount(labels) * weights, torch.full((3,), 10 / 3))


@pytest.mark.parametrize("labels", [[0, 0, 2], [0, 1]])
def test_class_weights_need_every_class(labels: list[int]) -> None:
    with pytest.raises(DataError, match="no clip of class"):
        class_weights(labels, 3)
