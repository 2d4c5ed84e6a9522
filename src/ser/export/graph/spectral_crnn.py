"""`ser.models.spectral_crnn` as nodes of a graph, for inference: batch norms are folded into the convolutions, without dropout."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from ser.export.graph.base import INT32, Feature, Graph, NetworkNodes
from ser.export.graph.layers import add_pooling, add_product, add_sequence, numbers

if TYPE_CHECKING:
    from torch import nn

    from ser.models.spectral_crnn import CnnBranch, ConvBlock, SpectralCrnn

GRU_GATES = (1, 0, 2)
"""ONNX's order of the gates (update, reset, new) as indices into torch's (reset, update, new)."""

CHANNEL_BLOCK = 16
"""Channels that onnxruntime computes at once with AVX-512. With an incomplete last block its pooling is not vectorised, so unused channels
fill the block and are removed after the pool."""


def add_network(graph: Graph, model: "SpectralCrnn", features: Mapping[str, Feature]) -> NetworkNodes:
    """
    Shape:
        features {name: (B, T, dim)}, all with the same frame rate -> see `NetworkNodes`
    """
    branches = {name: cast("CnnBranch", branch) for name, branch in model.branches.items()}
    blocks = next(iter(branches.values()))
    frames = next(iter(features.values())).steps
    halfway = frames.pooled(graph, blocks.block_a.time_pool)
    steps = halfway.pooled(graph, blocks.block_b.time_pool)
    real, half_real = frames.mask(graph, 2), halfway.mask(graph, 1, 3)
    parts = [add_branch(graph, branches[name], graph.add("Mul", features[name].frames, real), half_real) for name in model.dims]
    sequence = add_sequence(graph, model.bottleneck, graph.add("Concat", *parts, axis=-1))
    sequence = add_recurrence(graph, model.gru, sequence, steps.lengths)
    embedding, attention = add_pooling(graph, model.pooling, sequence, steps)
    return NetworkNodes(add_sequence(graph, model.classifier, embedding), embedding, {"spectral": attention})


def add_branch(graph: Graph, branch: "CnnBranch", feature: str, half_real: str) -> str:
    """
    Shape:
        (B, T, rows) -> (B, T', branch_dim); the values after the end of a clip are not used by the recurrence
    """
    x = graph.add("Mul", add_block(graph, branch.block_a, graph.unsqueeze(feature, 1)), half_real)
    x = add_block(graph, branch.block_b, x)
    channels = branch.block_b.conv.out_channels
    sequence = graph.reshape(graph.add("Transpose", x, perm=[0, 2, 1, 3]), [0, 0, -1])
    weight = numbers(branch.project.weight)
    rows = weight.shape[1] // channels
    # in the network the channels are the last axis, in the graph the rows
    swapped = weight.reshape(-1, rows, channels).swapaxes(1, 2).reshape(weight.shape)
    return graph.add("Gelu", add_product(graph, sequence, swapped, numbers(branch.project.bias)))


def add_block(graph: Graph, block: "ConvBlock", x: str) -> str:
    """Convolution with batch norm, ReLU, pool: (B, in, T, F) -> (B, out, T', F')."""
    norm, channels = block.norm, block.conv.out_channels
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = numbers(norm.weight) / np.sqrt(numbers(norm.running_var) + norm.eps)
    weight = numbers(block.conv.weight) * scale[:, None, None, None]
    bias = numbers(norm.bias) - numbers(norm.running_mean) * scale
    idle = -channels % CHANNEL_BLOCK
    weight, bias = np.pad(weight, [(0, idle), (0, 0), (0, 0), (0, 0)]), np.pad(bias, (0, idle))
    x = graph.add("Conv", x, graph.weight(weight, axis=0), graph.number(bias), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    pool = [block.time_pool, block.freq_pool]
    x = graph.add("MaxPool", graph.add("Relu", x), kernel_shape=pool, strides=pool)
    return graph.add("Slice", x, graph.constant([0]), graph.constant([channels]), graph.constant([1])) if idle else x


def add_recurrence(graph: Graph, gru: "nn.GRU", sequence: str, lengths: str) -> str:
    """Both directions over the valid steps of each clip: (B, T', in) -> (B, T', 2 gru_dim)."""
    ends = graph.add("Cast", lengths, to=INT32)
    for layer in range(gru.num_layers):
        inner, outer, biases = (both(gru, kind, layer) for kind in ("weight_ih", "weight_hh", "bias"))
        products = [graph.reshape(graph.weight(weight.reshape(-1, weight.shape[-1]), axis=0), weight.shape) for weight in (inner, outer)]
        found = graph.add(
            "GRU",
            graph.add("Transpose", sequence, perm=[1, 0, 2]),
            *products,
            graph.number(biases),
            ends,
            hidden_size=gru.hidden_size,
            direction="bidirectional",
            linear_before_reset=1,
        )
        sequence = graph.reshape(graph.add("Transpose", found, perm=[2, 0, 1, 3]), [0, 0, 2 * gru.hidden_size])
    return sequence


def both(gru: "nn.GRU", kind: str, layer: int) -> NDArray[np.float32]:
    """Weights of one kind, or both biases concatenated, of both directions: (2, 3 hidden or 6 hidden, ...)."""
    kinds = ("bias_ih", "bias_hh") if kind == "bias" else (kind,)
    directions = (f"l{layer}", f"l{layer}_reverse")
    return np.stack([np.concatenate([in_order(numbers(getattr(gru, f"{part}_{end}"))) for part in kinds]) for end in directions])


def in_order(gates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reorder torch's three gates for ONNX."""
    parts = np.split(gates, 3)
    return np.concatenate([parts[gate] for gate in GRU_GATES])
