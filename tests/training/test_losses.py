"""Losses against torch's own and against numbers done by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from ser.config import ModelConfig, SslSpectralMoeConfig, TrainConfig
from ser.errors import DataError
from ser.models.base import ModelOutput
from ser.training.losses import ExtraLosses, FocalLoss, class_weights, gate_imbalance, make_loss

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


# what a mixture of experts adds


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        ([[0.5, 0.5]], 0.0),
        ([[0.25] * 4] * 3, 0.0),
        ([[1.0, 0.0], [0.0, 1.0]], 0.0),
        ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], 0.0),
        ([[1.0, 0.0]], 1.0),
        ([[0.0, 0.0, 1.0]] * 5, 1.0),
        ([[0.75, 0.25]], 0.25),
        ([[1.0, 0.0], [0.5, 0.5]], 0.25),
        ([[0.5, 0.5, 0.0]], 0.25),
        ([[1.0], [1.0]], 0.0),
    ],
)
def test_the_imbalance_of_a_gate(gate: list[list[float]], expected: float) -> None:
    assert gate_imbalance(torch.tensor(gate)).item() == pytest.approx(expected, abs=1e-6)


@given(
    scores=st.integers(1, 6).flatmap(
        lambda experts: st.lists(st.lists(st.floats(-30, 30), min_size=experts, max_size=experts), min_size=1, max_size=6)
    )
)
@settings(max_examples=50, deadline=None)
def test_the_imbalance_lies_between_zero_and_one_and_is_the_squared_coefficient_of_variation(scores: list[list[float]]) -> None:
    gate = torch.tensor(scores, dtype=torch.float64).softmax(dim=1)
    value = gate_imbalance(gate.float()).item()
    importance, experts = gate.sum(dim=0).numpy(), gate.shape[1]
    assert -1e-5 <= value <= 1 + 1e-5
    assert value == pytest.approx((importance.std() / importance.mean()) ** 2 / max(experts - 1, 1), abs=1e-5)


def test_the_imbalance_pushes_the_gate_towards_equal_weights() -> None:
    scores = torch.tensor([[2.0, 0.0, -1.0]], requires_grad=True)
    torch.autograd.backward(gate_imbalance(scores.softmax(dim=1)))
    assert scores.grad is not None
    assert scores.grad[0, 0] > 0
    assert (scores.grad[0, 1:] < 0).all()


def output_of(logits: torch.Tensor, gate: torch.Tensor | None, aux: torch.Tensor | None) -> ModelOutput:
    return ModelOutput(logits, logits, gate, {}, {}, aux)


GATE = torch.tensor([[0.9, 0.1], [0.5, 0.5]]).repeat(4, 1)


@pytest.mark.parametrize("aux_weight", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("gate_balance", [0.0, 0.05])
@pytest.mark.parametrize("loss", [make_loss(TrainConfig(), WEIGHTS), FocalLoss(2.0, WEIGHTS, 0.1)])
def test_the_total_is_the_sum_by_hand(aux_weight: float, gate_balance: float, loss: nn.Module) -> None:
    logits, label = batch()
    aux = torch.flip(logits, (0,)) * 2
    total = ExtraLosses(aux_weight, gate_balance).total(loss, output_of(logits, GATE, aux), label)
    expected = loss(logits, label) + aux_weight * loss(aux, label) + gate_balance * 0.4**2  # mean weights 0.7 and 0.3
    torch.testing.assert_close(total, expected)
    if not aux_weight and not gate_balance:
        assert torch.equal(total, loss(logits, label))


def test_a_model_without_gate_and_auxiliary_classifier_has_the_loss_of_its_logits() -> None:
    logits, label = batch()
    loss = make_loss(TrainConfig())
    assert torch.equal(ExtraLosses(0.3, 0.3).total(loss, output_of(logits, None, None), label), loss(logits, label))


@pytest.mark.parametrize(
    ("name", "moe", "expected"),
    [
        ("ssl_spectral_moe", {"aux_expert": "mel", "aux_weight": 0.4, "gate_balance": 0.01}, ExtraLosses(0.4, 0.01)),
        ("ssl_spectral_moe", {"aux_expert": None, "aux_weight": 0.4, "gate_balance": 0.01}, ExtraLosses(0.0, 0.01)),
        ("ssl_spectral_moe", {}, ExtraLosses(0.0, 0.0)),
        ("spectral_crnn", {"aux_expert": "mel", "aux_weight": 0.4, "gate_balance": 0.01}, ExtraLosses(0.0, 0.0)),
    ],
)
def test_the_additional_losses_follow_the_config(name: str, moe: dict[str, object], expected: ExtraLosses) -> None:
    config = ModelConfig(name=name, ssl_spectral_moe=SslSpectralMoeConfig.model_validate(moe))  # type: ignore[arg-type]
    assert ExtraLosses.from_config(config) == expected


# shares of the classes in place of a label


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
def test_all_shares_on_one_class_are_its_label(weights: torch.Tensor | None, label_smoothing: float, loss: str) -> None:
    logits, label = batch()
    by_label, by_shares = (
        make_loss(TrainConfig(loss=loss, label_smoothing=label_smoothing, targets=targets), weights)  # type: ignore[arg-type]
        for targets in ("labels", "votes")
    )
    one_hot = nn.functional.one_hot(label, 3).float()
    torch.testing.assert_close(by_shares(logits, one_hot), by_label(logits, label))


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_without_weights_shares_give_torchs_cross_entropy(label_smoothing: float) -> None:
    logits, _ = batch()
    shares = torch.rand(len(logits), 3, generator=torch.Generator().manual_seed(1)).softmax(dim=1)
    expected = nn.CrossEntropyLoss(label_smoothing=label_smoothing)(logits, shares)
    torch.testing.assert_close(make_loss(TrainConfig(targets="votes", label_smoothing=label_smoothing))(logits, shares), expected)


def test_shares_with_weights_done_by_hand() -> None:
    probabilities, shares = torch.tensor([[0.5, 0.3, 0.2]]), torch.tensor([[0.5, 0.5, 0.0]])
    expected = -(0.5 * 0.5 * math.log(0.5) + 0.5 * 1.0 * math.log(0.3)) / (0.5 * 0.5 + 0.5 * 1.0)
    assert make_loss(TrainConfig(targets="votes", label_smoothing=0), WEIGHTS)(probabilities.log(), shares).item() == pytest.approx(
        expected
    )


def test_the_loss_of_shares_is_least_where_the_model_says_them() -> None:
    shares = torch.tensor([[0.6, 0.3, 0.1]])
    logits = torch.zeros(1, 3, requires_grad=True)
    loss = make_loss(TrainConfig(targets="votes", label_smoothing=0))
    for _ in range(300):
        (gradient,) = torch.autograd.grad(loss(logits, shares), logits)
        logits = (logits - gradient).detach().requires_grad_()
    torch.testing.assert_close(logits.softmax(dim=1), shares, atol=1e-3, rtol=0)


def test_class_weights_of_shares_make_every_class_weigh_the_same() -> None:
    shares = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.25, 0.25], [0.5, 0.5, 0.0]])
    weights = class_weights(shares, 3)
    torch.testing.assert_close(shares.sum(dim=0) * weights, torch.ones(3))
    labels = torch.tensor([0, 0, 1, 2])
    torch.testing.assert_close(class_weights(nn.functional.one_hot(labels, 3).float(), 3), class_weights(labels, 3))
    with pytest.raises(DataError, match="no clip of class 2"):
        class_weights(shares[2:], 3)
