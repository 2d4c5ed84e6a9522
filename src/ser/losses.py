"""Training losses: cross entropy and focal loss, both with class weights and label smoothing."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ser.config import TrainConfig
from ser.errors import DataError

SMALLEST = 1e-6
"""1 - p is kept above this: at p = 1 the power's slope is infinite for a gamma below 1."""


class FocalLoss(nn.Module):
    """Focal loss (Lin et al. 2017, equation 5): mean of -w_y (1 - p_y)^gamma log p_y over a batch; gamma 0 is cross entropy.

    Label smoothing e turns the one class y into all classes with target (1 - e) [c = y] + e / C. The mean divides by the sum of the
    weights of the true classes, as torch's cross entropy does.

    Shape:
        logits (B, C), label (B,) -> scalar
    """

    weights: Tensor | None

    def __init__(self, gamma: float, weights: Tensor | None = None, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.gamma = gamma
        self.label_smoothing = label_smoothing
        self.register_buffer("weights", weights)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        log_p = functional.log_softmax(logits.float(), dim=1)
        num_classes = logits.shape[1]
        weights = log_p.new_ones(num_classes) if self.weights is None else self.weights
        target = functional.one_hot(label, num_classes) * (1 - self.label_smoothing) + self.label_smoothing / num_classes
        modulation = (-torch.expm1(log_p)).clamp(min=SMALLEST) ** self.gamma
        return -(weights * target * modulation * log_p).sum() / weights[label].sum()


def make_loss(config: TrainConfig, weights: Tensor | None = None) -> nn.Module:
    """The loss that the config asks for: logits (B, C), label (B,) -> scalar.

    Args:
        weights: (C,) of `class_weights`, or None where every clip counts the same.
    """
    if config.loss == "focal":
        return FocalLoss(config.focal_gamma, weights, config.label_smoothing)
    return nn.CrossEntropyLoss(weight=weights, label_smoothing=config.label_smoothing)


def class_weights(labels: Sequence[int] | Tensor, num_classes: int) -> Tensor:
    """Weight n / (num_classes * count) of each class, float32 (C,): every class weighs the same in the whole of the training set.

    Raises:
        DataError: a class has no clip.

    >>> class_weights([0, 0, 0, 1], num_classes=2)
    tensor([0.6667, 2.0000])
    """
    counts = torch.bincount(torch.as_tensor(labels), minlength=num_classes)
    if not bool(counts.all()):
        raise DataError(f"no clip of class {int(counts.argmin())} to train on: balanced class weights do not exist")
    return counts.sum() / (num_classes * counts)
