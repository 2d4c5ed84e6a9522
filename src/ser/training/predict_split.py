"""A model over a whole dataset: what it says of each of its entries, in their order."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ser.training.batches import SpeechDataset

BATCH_SIZE = 64


@dataclass(frozen=True)
class Outputs:
    """What a model says of n utterances."""

    probabilities: NDArray[np.float64]
    """(n, C)"""
    gates: NDArray[np.float64] | None
    """(n, E) weights of the experts; None for a model without a gate."""


def predict_dataset(model: nn.Module, dataset: SpeechDataset, device: torch.device) -> Outputs:
    """In eval mode and fp32: the result of an utterance does not depend on its neighbours."""
    model.eval()
    parts: list[tuple[Tensor, Tensor | None]] = []
    positions: list[NDArray[np.int64]] = []
    with torch.inference_mode():
        for indices, batch in dataset.in_order_of_length(BATCH_SIZE):
            moved = batch.to(device)
            output = model(moved.features, moved.lengths)
            # doubles on the processor: not every device has them
            gate = None if output.gate is None else output.gate.cpu().double()
            parts.append((output.logits.cpu().double().softmax(dim=-1), gate))
            positions.append(indices)
    order = np.argsort(np.concatenate(positions))
    gates = [gate for _, gate in parts if gate is not None]
    return Outputs(
        probabilities=torch.cat([probabilities for probabilities, _ in parts]).numpy()[order],
        gates=torch.cat(gates).numpy()[order] if gates else None,
    )
