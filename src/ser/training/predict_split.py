"""Predictions of a model for a whole dataset."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ser.models.base import ModelOutput
from ser.runs.attention import ClipsAttention, Weights
from ser.training.batches import SpeechDataset

BATCH_SIZE = 64


@dataclass(frozen=True)
class Outputs:
    """Outputs of a model for n utterances."""

    probabilities: NDArray[np.float64]
    """(n, C)"""
    gates: NDArray[np.float64] | None
    """(n, E) weights of the experts; None for a model without a gate."""
    attention: ClipsAttention
    """{name: weights of each utterance, without padding}; empty for a model without attention."""


def predict_dataset(model: nn.Module, dataset: SpeechDataset, device: torch.device) -> Outputs:
    """Predict all utterances in evaluation mode and fp32. Results are in the order of the entries and do not depend on the batches."""
    model.eval()
    parts: list[tuple[Tensor, Tensor | None]] = []
    positions: list[NDArray[np.int64]] = []
    weights: dict[str, list[Weights]] = {}
    rates: dict[str, float] = {}
    with torch.inference_mode():
        for indices, batch in dataset.in_order_of_length(BATCH_SIZE):
            moved = batch.to(device)
            output = model(moved.features, moved.lengths)
            # doubles on the CPU, because some devices do not support them
            gate = None if output.gate is None else output.gate.cpu().double()
            parts.append((output.logits.cpu().double().softmax(dim=-1), gate))
            positions.append(indices)
            rates |= output.attention_rate
            for name, rows in rows_of_attention(output).items():
                weights.setdefault(name, []).extend(rows)
    order = np.argsort(np.concatenate(positions))
    gates = [gate for _, gate in parts if gate is not None]
    return Outputs(
        probabilities=torch.cat([probabilities for probabilities, _ in parts]).numpy()[order],
        gates=torch.cat(gates).numpy()[order] if gates else None,
        attention=ClipsAttention({name: [rows[index] for index in order] for name, rows in weights.items()}, rates),
    )


def rows_of_attention(output: ModelOutput) -> dict[str, list[Weights]]:
    """{name: an array (steps,) for each utterance}, without the zeros of the padding."""
    return {name: [np.trim_zeros(row, "b") for row in rows.float().cpu().numpy()] for name, rows in output.attention.items()}
