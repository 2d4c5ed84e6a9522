"""Training losses: cross entropy and focal loss with class weights and label smoothing, and additional losses of mixtures of experts."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ser.config import ModelConfig, TrainConfig
from ser.errors import DataError
from ser.models.base import ModelOutput

SMALLEST = 1e-6
"""Lower bound of 1 - p, because the derivative of the power is infinite at p = 1 for a gamma below 1."""


class FocalLoss(nn.Module):
    """Focal loss (Lin et al. 2017, equation 5): mean of -w_y (1 - p_y)^gamma log p_y over a batch; gamma 0 gives cross entropy.

    A target may also be a distribution q over the classes; then the loss is the mean of -sum_c q_c w_c (1 - p_c)^gamma log p_c. Label
    smoothing e replaces q_c by (1 - e) q_c + e / C. The mean divides by the sum of the weights of the targets, as torch's cross entropy
    does for labels, so a distribution with all weight on one class gives the same loss as its label. (torch divides by B then.)

    Shape:
        logits (B, C), target (B,) of labels or (B, C) of shares -> scalar
    """

    weights: Tensor | None

    def __init__(self, gamma: float, weights: Tensor | None = None, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.gamma = gamma
        self.label_smoothing = label_smoothing
        self.register_buffer("weights", weights)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        log_p = functional.log_softmax(logits.float(), dim=1)
        num_classes = logits.shape[1]
        weights = log_p.new_ones(num_classes) if self.weights is None else self.weights
        shares = target if target.ndim > 1 else functional.one_hot(target, num_classes)
        smoothed = shares * (1 - self.label_smoothing) + self.label_smoothing / num_classes
        modulation = (-torch.expm1(log_p)).clamp(min=SMALLEST) ** self.gamma
        total = weights[target].sum() if target.ndim == 1 else (weights * shares).sum()
        return -(weights * smoothed * modulation * log_p).sum() / total


def make_loss(config: TrainConfig, weights: Tensor | None = None) -> nn.Module:
    """Build the configured loss: logits (B, C), target (B,) or, for votes, (B, C) -> scalar.

    Args:
        weights: (C,) class weights; None for equal weights.
    """
    if config.loss == "focal":
        return FocalLoss(config.focal_gamma, weights, config.label_smoothing)
    if config.targets == "votes":
        return FocalLoss(0.0, weights, config.label_smoothing)
    return nn.CrossEntropyLoss(weight=weights, label_smoothing=config.label_smoothing)


@dataclass(frozen=True, slots=True)
class ExtraLosses:
    """Weights of the additional losses of a mixture of experts."""

    aux_weight: float = 0.0
    """Weight of the loss of the auxiliary classifier."""
    gate_balance: float = 0.0
    """Weight of `gate_imbalance`."""

    @classmethod
    def from_config(cls, config: ModelConfig) -> "ExtraLosses":
        """Weights of a config; both are 0 for a model without experts."""
        if config.name != "ssl_spectral_moe":
            return cls()
        moe = config.ssl_spectral_moe
        return cls(moe.aux_weight if moe.aux_expert else 0.0, moe.gate_balance)

    def total(self, loss: nn.Module, output: ModelOutput, target: Tensor) -> Tensor:
        """Loss of the logits plus the additional losses."""
        total: Tensor = loss(output.logits, target)
        if output.aux_logits is not None and self.aux_weight:
            total = total + self.aux_weight * loss(output.aux_logits, target)
        if output.gate is not None and self.gate_balance:
            total = total + self.gate_balance * gate_imbalance(output.gate)
        return total


def gate_imbalance(gate: Tensor) -> Tensor:
    """Imbalance of the experts over a batch: 0 if all have equal mean weight, 1 if one expert has all of it.

    The squared coefficient of variation of the experts' importance (Shazeer et al. 2017, equation 7), divided by its largest value.

    Shape:
        gate (B, E), rows summing to 1 -> scalar

    >>> gate_imbalance(torch.tensor([[1.0, 0.0], [0.0, 1.0]])).item(), gate_imbalance(torch.tensor([[1.0, 0.0]])).item()
    (0.0, 1.0)
    """
    experts = gate.shape[1]
    importance = gate.float().mean(dim=0)
    return (experts * importance.square().sum() - 1) / max(experts - 1, 1)


def class_weights(targets: Sequence[int] | Tensor, num_classes: int) -> Tensor:
    """Weight n / (num_classes * count) of each class, float32 (C,): every class has the same total weight in the training set.

    Args:
        targets: n labels, or distributions over the classes (n, C), which are summed to counts.

    Raises:
        DataError: a class has no clip.

    >>> class_weights([0, 0, 0, 1], num_classes=2)
    tensor([0.6667, 2.0000])
    """
    targets = torch.as_tensor(targets)
    counts = targets.sum(dim=0) if targets.ndim > 1 else torch.bincount(targets, minlength=num_classes)
    if not bool(counts.all()):
        raise DataError(
            f"no clip of class {int(counts.argmin())} to train on: set train.class_weights=none, or leave the class out of labels.keep"
        )
    return counts.sum() / (num_classes * counts)
