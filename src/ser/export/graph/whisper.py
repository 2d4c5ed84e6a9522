"""Whisper's log-mel and encoder as nodes of a graph, for one clip of up to 30 s, like `ser.features.backbone.WhisperNetwork`."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ser.export.graph.base import Graph, Module
from ser.export.graph.layers import add_activation, add_attention, add_convolution, add_linear, add_norm, numbers, products_of, swap
from ser.export.graph.spectral import add_power, add_windows, reorder

if TYPE_CHECKING:
    from ser.features.backbone import WhisperNetwork

FLOOR = 1e-10
"""The lowest power of a band."""
RANGE = 8.0
"""The floor of the log-mel, in powers of ten below the clip's loudest band."""


def add_whisper(graph: Graph, network: "WhisperNetwork", wanted: Sequence[int], clip: str) -> str:
    """
    Shape:
        (samples,), a multiple of two hops -> (frames, states x dim)
    """
    model: Module = network.model
    mel = add_log_mel(graph, network.features, graph.unsqueeze(clip, 0))
    x = graph.add("Gelu", add_convolution(graph, model.conv1, swap(graph, mel)))
    x = swap(graph, graph.add("Gelu", add_convolution(graph, model.conv2, x)))
    places = graph.slice(graph.number(numbers(model.embed_positions.weight)), graph.constant(0), graph.size(x, 1), axis=0)
    states = [graph.add("Add", x, places)]
    for layer in model.layers:
        states.append(add_layer(graph, layer, states[-1]))
    if len(model.layers) == network.num_layers:
        states[-1] = add_norm(graph, model.layer_norm, states[-1])
    return graph.squeeze(graph.add("Concat", *(states[index] for index in wanted), axis=2), 0)


def add_log_mel(graph: Graph, features: Module, clip: str) -> str:
    """Like transformers' WhisperFeatureExtractor: reflected ends, no last frame, a floor relative to the clip's own maximum.

    Shape:
        (1, samples), a multiple of the hop -> (1, samples / hop, mels)
    """
    half, hop = features.n_fft // 2, features.hop_length
    mirrored = graph.add("Pad", clip, graph.constant([0, half, 0, half]), mode="reflect")
    count = graph.add("Div", graph.size(clip, 1), graph.constant(hop))
    power, bins = add_power(graph, add_windows(graph, mirrored, count, features.n_fft, hop), features.n_fft)
    energy = graph.add("MatMul", power, graph.number(reorder(features.mel_filters.T, bins)))
    log = graph.add("Mul", graph.add("Log", graph.add("Max", energy, graph.number(FLOOR))), graph.number(1 / math.log(10)))
    floor = graph.add("Sub", graph.add("ReduceMax", log), graph.number(RANGE))
    return graph.add("Div", graph.add("Add", graph.add("Max", log, floor), graph.number(4)), graph.number(4))


def add_layer(graph: Graph, layer: Module, x: str) -> str:
    """(1, frames, dim) -> (1, frames, dim)"""
    attention = layer.self_attn
    mixed = add_attention(graph, add_norm(graph, layer.self_attn_layer_norm, x), products_of(attention), int(attention.num_heads))
    x = graph.add("Add", x, mixed)
    wide = add_activation(graph, layer.activation_fn, add_linear(graph, layer.fc1, add_norm(graph, layer.final_layer_norm, x)))
    return graph.add("Add", x, add_linear(graph, layer.fc2, wide))
