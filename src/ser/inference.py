"""A model over a whole dataset: probabilities in the order of its entries."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ser.data import SpeechDataset

BATCH_SIZE = 64


def predict_dataset(model: nn.Module, dataset: SpeechDataset, device: torch.device) -> NDArray[np.float64]:
    """Probability of each class, (n, C), in eval mode and fp32: the result of an utterance does not depend on its neighbours."""
    model.eval()
    parts: list[NDArray[np.float64]] = []
    positions: list[NDArray[np.int64]] = []
    with torch.inference_mode():
        for indices, batch in dataset.in_order_of_length(BATCH_SIZE):
            moved = batch.to(device)
            logits = model(moved.features, moved.lengths).logits
            parts.append(logits.double().softmax(dim=-1).cpu().numpy())
            positions.append(indices)
    result = np.empty((len(dataset), parts[0].shape[1]))
    result[np.concatenate(positions)] = np.concatenate(parts)
    return result


def cross_entropy(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Mean of -log p(truth), in nats.

    >>> round(cross_entropy(np.array([[0.5, 0.5]]), np.array([1])), 4)
    0.6931
    """
    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12)).mean())
