"""Training losses: cross entropy and focal loss, both with class weights and label smoothing, and what a mixture of experts adds."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ser.config import ModelConfig, TrainConfig
from ser.errors import DataError
from ser.models.base import ModelOutput

SMALLEST = 1e-6
"""1 - p is kept above this: at p = 1 the power's slope is infinite for a gamma below 1."""


class FocalLoss(nn.Module):
    """Focal loss (Lin et al. 2017, equation 5): mean of -w_y (1 - p_y)^gamma log p_y over a batch; gamma 0 is cross entropy.

    In place of the one class y, a target may be shares q of all classes: then it is the mean of -sum_c q_c w_c (1 - p_c)^gamma log p_c.
    Label smoothing e makes (1 - e) q_c + e / C of them. The mean divides by the sum of the weights of the targets, as torch's cross
    entropy does with labels (with shares it divides by B, and class weights would change the step): all shares on one class are its label.

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
    """The loss that the config asks for: logits (B, C), target (B,) or, of votes, (B, C) -> scalar.

    Args:
        weights: (C,) of `class_weights`, or None where every clip counts the same.
    """
    if config.loss == "focal":
        return FocalLoss(config.focal_gamma, weights, config.label_smoothing)
    if config.targets == "votes":
        return FocalLoss(0.0, weights, config.label_smoothing)
    return nn.CrossEntropyLoss(weight=weights, label_smoothing=config.label_smoothing)


@dataclass(frozen=True, slots=True)
class ExtraLosses:
    """What a mixture of experts adds to the loss of its logits."""

    aux_weight: float = 0.0
    """Of the loss of the auxiliary classifier."""
    gate_balance: float = 0.0
    """Of `gate_imbalance`."""

    @classmethod
    def from_config(cls, config: ModelConfig) -> "ExtraLosses":
        """Both weights are 0 for a model without experts."""
        if config.name != "ssl_spectral_moe":
            return cls()
        moe = config.ssl_spectral_moe
        return cls(moe.aux_weight if moe.aux_expert else 0.0, moe.gate_balance)

    def total(self, loss: nn.Module, output: ModelOutput, target: Tensor) -> Tensor:
        """The loss of the logits, and what else the config asks for."""
        total: Tensor = loss(output.logits, target)
        if output.aux_logits is not None and self.aux_weight:
            total = total + self.aux_weight * loss(output.aux_logits, target)
        if output.gate is not None and self.gate_balance:
            total = total + self.gate_balance * gate_imbalance(output.gate)
        return total


def gate_imbalance(gate: Tensor) -> Tensor:
    """How unevenly a batch uses its experts: 0 where all have equal weight on average, 1 where one has all.

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
    """Weight n / (num_classes * count) of each class, float32 (C,): every class weighs the same in the whole of the training set.

    Args:
        targets: n labels, or shares of the classes (n, C), which then add up to the counts.

    Raises:
        DataError: a class has no clip.

    >>> class_weights([0, 0, 0, 1], num_classes=2)
    tensor([0.6667, 2.0000])
    """
    targets = torch.as_tensor(targets)
    counts = targets.sum(dim=0) if targets.ndim > 1 else torch.bincount(targets, minlength=num_classes)
    if not bool(counts.all()):
        raise DataError(f"no clip of class {int(counts.argmin())} to train on: balanced class weights do not exist")
    return counts.sum() / (num_classes * counts)
