"""wav2vec 2.0, HuBERT, WavLM and data2vec-audio as nodes of a graph, for one clip, as transformers' modules compute them.

All four are convolutions over the waveform, a projection, a convolutional position embedding, and Transformer layers. They differ in norms:
a group norm after the first convolution or a layer norm after each, norms before or after the halves of a layer. WavLM adds a bias to the
attention scores, which depends on the distance of two frames and is gated by each frame.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ser.export.graph.base import Graph, Module
from ser.export.graph.layers import (
    add_activation,
    add_attention,
    add_convolution,
    add_linear,
    add_norm,
    add_product,
    numbers,
    products_of,
    swap,
)

if TYPE_CHECKING:
    from ser.features.backbone import WaveformNetwork


def add_wav2vec(graph: Graph, network: "WaveformNetwork", wanted: Sequence[int], clip: str) -> str:
    """
    Shape:
        (samples,) -> (frames, states x dim)
    """
    model: Module = network.model
    x = graph.unsqueeze(add_scaled(graph, clip) if network.normalise else clip, 0, 1)
    for layer in model.feature_extractor.conv_layers:
        x = add_feature_layer(graph, layer, x)
    x = add_projection(graph, model.feature_projection, swap(graph, x))
    states = add_encoder(graph, model.encoder, x)
    return graph.squeeze(graph.add("Concat", *(states[index] for index in wanted), axis=2), 0)


def add_scaled(graph: Graph, clip: str) -> str:
    """Normalise to mean 0 and variance 1, like `WaveformNetwork.prepare`."""
    from ser.features.backbone import VARIANCE_FLOOR

    centred = graph.add("Sub", clip, graph.add("ReduceMean", clip))
    variance = graph.add("ReduceMean", graph.add("Mul", centred, centred))
    return graph.add("Div", centred, graph.add("Sqrt", graph.add("Add", variance, graph.number(VARIANCE_FLOOR))))


def add_feature_layer(graph: Graph, layer: Module, x: str) -> str:
    """(1, in, samples) -> (1, out, fewer)"""
    x = add_convolution(graph, layer.conv, x)
    norm: Module = getattr(layer, "layer_norm", None)
    if type(norm).__name__ == "GroupNorm":  # each channel is a group
        x = graph.add("InstanceNormalization", x, graph.number(numbers(norm.weight)), graph.number(numbers(norm.bias)), epsilon=norm.eps)
    elif norm is not None:
        x = swap(graph, add_norm(graph, norm, swap(graph, x)))
    return add_activation(graph, layer.activation, x)


def add_projection(graph: Graph, projection: Module, x: str) -> str:
    """(1, frames, in) -> (1, frames, dim)"""
    norm = getattr(projection, "layer_norm", None)
    return add_linear(graph, projection.projection, x if norm is None else add_norm(graph, norm, x))


def add_encoder(graph: Graph, encoder: Module, x: str) -> list[str]:
    """The input of the first layer and the output of each, (1, frames, dim); as in the library, the last one is not normalised."""
    norm_first = type(encoder).__name__.endswith("StableLayerNorm")
    x = graph.add("Add", x, add_positions(graph, encoder.pos_conv_embed, x))
    states = [x if norm_first else add_norm(graph, encoder.layer_norm, x)]
    bias = add_distances(graph, encoder.layers[0].attention, states[0])
    for layer in encoder.layers:
        states.append((add_norm_first if norm_first else add_norm_last)(graph, layer, states[-1], bias))
    return states


def add_positions(graph: Graph, positions: Module, x: str) -> str:
    """Add the position embedding: (1, frames, dim) -> (1, frames, dim)."""
    x = swap(graph, x)
    batch_norm = getattr(positions, "batch_norm", None)
    if batch_norm is not None:
        scale = numbers(batch_norm.weight) / np.sqrt(numbers(batch_norm.running_var) + batch_norm.eps)
        shift = numbers(batch_norm.bias) - numbers(batch_norm.running_mean) * scale
        x = graph.add("Add", graph.add("Mul", x, graph.number(scale[:, None])), graph.number(shift[:, None]))
    for layer in getattr(positions, "layers", [positions]):
        kernel = layer.conv.kernel_size[0]
        x = add_convolution(graph, layer.conv, x, behind=(kernel - 1) // 2)  # the output has as many frames as the input
        norm = getattr(layer, "layer_norm", None)
        if norm is not None:
            x = swap(graph, add_norm(graph, norm, swap(graph, x)))
        x = add_activation(graph, layer.activation, x)
    return swap(graph, x)


def add_distances(graph: Graph, attention: Module, x: str) -> str | None:
    """WavLM's bias for each distance between two frames, (heads, frames, frames); None for other kinds.

    All distances from `max_distance` on have the same bias, so a table up to there is complete.
    """
    if not hasattr(attention, "rel_attn_embed"):
        return None
    import torch

    most = int(attention.max_distance)
    buckets = attention._relative_positions_bucket(torch.arange(-most, most + 1))
    table = graph.number(numbers(attention.rel_attn_embed.weight[buckets]).T)
    frames = graph.count(graph.size(x, 1))
    apart = graph.add("Sub", graph.unsqueeze(frames, 0), graph.unsqueeze(frames, 1))
    place = graph.add("Add", graph.add("Clip", apart, graph.constant(-most), graph.constant(most)), graph.constant(most))
    return graph.add("Gather", table, place, axis=1)


def add_norm_last(graph: Graph, layer: Module, x: str, bias: str | None) -> str:
    x = add_norm(graph, layer.layer_norm, graph.add("Add", x, add_gated_attention(graph, layer.attention, x, bias)))
    return add_norm(graph, layer.final_layer_norm, graph.add("Add", x, add_feed_forward(graph, layer.feed_forward, x)))


def add_norm_first(graph: Graph, layer: Module, x: str, bias: str | None) -> str:
    x = graph.add("Add", x, add_gated_attention(graph, layer.attention, add_norm(graph, layer.layer_norm, x), bias))
    x = graph.add("Add", x, add_feed_forward(graph, layer.feed_forward, add_norm(graph, layer.final_layer_norm, x)))
    adapter = getattr(layer, "adapter_layer", None)
    return x if adapter is None else graph.add("Add", x, add_adapter(graph, adapter, x))


def add_gated_attention(graph: Graph, attention: Module, x: str, bias: str | None) -> str:
    """Attention, with WavLM's gated bias if there is one: (1, frames, dim) -> (1, frames, dim)."""
    if bias is not None:
        bias = graph.add("Mul", add_gate(graph, attention, x), bias)
    return add_attention(graph, x, products_of(attention), int(attention.num_heads), bias)


def add_gate(graph: Graph, attention: Module, x: str) -> str:
    """WavLM's gate of each frame and head over its distances: (1, frames, dim) -> (1, heads, frames, 1)."""
    linear, heads = attention.gru_rel_pos_linear, int(attention.num_heads)
    # the module sums four numbers for each of its two gates
    weight = numbers(linear.weight).reshape(2, 4, -1).sum(axis=1)
    offset = numbers(linear.bias).reshape(2, 4).sum(axis=1)
    parts = graph.add("Transpose", graph.reshape(x, [0, 0, heads, -1]), perm=[0, 2, 1, 3])
    gates = graph.add("Sigmoid", add_product(graph, parts, weight, offset))
    update, reset = (graph.add("Gather", gates, graph.constant([index]), axis=3) for index in range(2))
    opened = graph.add("Sub", graph.add("Mul", reset, graph.number(numbers(attention.gru_rel_pos_const))), graph.number(1))
    return graph.add("Add", graph.add("Mul", update, opened), graph.number(2))


def add_feed_forward(graph: Graph, feed_forward: Module, x: str) -> str:
    wide = add_activation(graph, feed_forward.intermediate_act_fn, add_linear(graph, feed_forward.intermediate_dense, x))
    return add_linear(graph, feed_forward.output_dense, wide)


def add_adapter(graph: Graph, adapter: Module, x: str) -> str:
    """The adapter that MMS has after each layer for the language that it was fine-tuned on."""
    narrow = add_activation(graph, adapter.act_fn, add_linear(graph, adapter.linear_1, add_norm(graph, adapter.norm, x)))
    return add_linear(graph, adapter.linear_2, narrow)
