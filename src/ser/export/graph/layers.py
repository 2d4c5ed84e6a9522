"""Layers that several networks share, as nodes of a graph, for inference: without dropout."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ser.export.graph.base import Graph, Module, NotExportable, Steps

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ser.models.pooling import AttentionPooling, AttentiveStatistics

Array = NDArray[np.float32]
Product = tuple[Array, Array | None]
"""Weight (out, in) and bias (out,)."""

ACTIVATIONS = {"Tanh": "Tanh", "GELU": "Gelu", "GELUActivation": "Gelu", "ReLU": "Relu"}
"""{class of torch or transformers: operator}"""


def numbers(tensor: "Tensor") -> Array:
    found: Array = tensor.detach().cpu().numpy()
    return found


def add_linear(graph: Graph, layer: "nn.Linear", x: str) -> str:
    return add_product(graph, x, numbers(layer.weight), None if layer.bias is None else numbers(layer.bias))


def add_product(graph: Graph, x: str, weight: Array, bias: Array | None) -> str:
    """(..., in) by (out, in)"""
    product = graph.add("MatMul", x, graph.weight(weight.T, axis=1))
    return product if bias is None else graph.add("Add", product, graph.number(bias))


def add_norm(graph: Graph, norm: "nn.LayerNorm", x: str) -> str:
    """Add a layer norm over the last axis."""
    size = norm.normalized_shape[-1]
    scale = np.ones(size) if norm.weight is None else numbers(norm.weight)
    bias = np.zeros(size) if norm.bias is None else numbers(norm.bias)
    return graph.add("LayerNormalization", x, graph.number(scale), graph.number(bias), epsilon=norm.eps)


def add_convolution(graph: Graph, layer: "nn.Conv1d", x: str, behind: int | None = None) -> str:
    """
    Args:
        behind: zeros after the end, if their number differs from those before the start.

    Shape:
        (B, in, T) -> (B, out, T')
    """
    before = int(layer.padding[0])
    return graph.add(
        "Conv",
        x,
        graph.weight(numbers(layer.weight), axis=0),
        *([] if layer.bias is None else [graph.number(numbers(layer.bias))]),
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.stride),
        pads=[before, before if behind is None else behind],
        group=layer.groups,
    )


def swap(graph: Graph, x: str) -> str:
    """Transpose (B, T, dim) to (B, dim, T), or back."""
    return graph.add("Transpose", x, perm=[0, 2, 1])


def add_sequence(graph: Graph, layers: Iterable[Module], x: str) -> str:
    """Add the layers of an `nn.Sequential`.

    Raises:
        NotExportable: no nodes are implemented for a layer.
    """
    for layer in layers:
        match type(layer).__name__:
            case "Linear":
                x = add_linear(graph, layer, x)
            case "LayerNorm":
                x = add_norm(graph, layer, x)
            case "Dropout":
                pass
            case _:
                x = add_activation(graph, layer, x)
    return x


def add_activation(graph: Graph, activation: Module, x: str) -> str:
    """
    Raises:
        NotExportable: no node is implemented for it.
    """
    name = type(activation).__name__
    if name not in ACTIVATIONS:
        raise NotExportable(f"no node is implemented for {name}")
    return graph.add(ACTIVATIONS[name], x)


def add_attention(graph: Graph, x: str, products: dict[str, Product], heads: int, bias: str | None = None) -> str:
    """Scaled dot products of every step with every other (Vaswani et al. 2017).

    Args:
        products: weight (out, in) and bias of query, key, value and out.
        bias: (..., T, T) added to the scores.

    Shape:
        (B, T, dim) -> (B, T, dim)
    """

    def part(name: str, order: list[int]) -> str:
        found = add_product(graph, x, *products[name])
        return graph.add("Transpose", graph.reshape(found, [0, 0, heads, -1]), perm=order)

    weight, offset = products["query"]
    scale = np.float32((len(weight) // heads) ** -0.5)
    products = {**products, "query": (weight * scale, None if offset is None else offset * scale)}
    scores = graph.add("MatMul", part("query", [0, 2, 1, 3]), part("key", [0, 2, 3, 1]))
    weights = graph.add("Softmax", scores if bias is None else graph.add("Add", scores, bias), axis=-1)
    mixed = graph.add("Transpose", graph.add("MatMul", weights, part("value", [0, 2, 1, 3])), perm=[0, 2, 1, 3])
    return add_product(graph, graph.reshape(mixed, [0, 0, -1]), *products["out"])


def products_of(attention: Module) -> dict[str, Product]:
    """Names of the projections in all speech encoders of transformers."""
    linear = {"query": attention.q_proj, "key": attention.k_proj, "value": attention.v_proj, "out": attention.out_proj}
    return {name: (numbers(layer.weight), None if layer.bias is None else numbers(layer.bias)) for name, layer in linear.items()}


def add_transformer(graph: Graph, encoder: "nn.TransformerEncoder", x: str, steps: Steps) -> str:
    """Layers with the norm first, with padding masked: (B, T, dim) -> (B, T, dim)."""
    hidden = graph.unsqueeze(graph.add("Where", steps.real, graph.number(0), graph.number(-np.inf)), 1, 2)
    layers: list[Module] = list(encoder.layers)
    for layer in layers:
        inner = layer.self_attn
        weights, offsets = (np.split(numbers(stacked), 3) for stacked in (inner.in_proj_weight, inner.in_proj_bias))
        products: dict[str, Product] = dict(zip(("query", "key", "value"), zip(weights, offsets, strict=True), strict=True))
        products["out"] = (numbers(inner.out_proj.weight), numbers(inner.out_proj.bias))
        x = graph.add("Add", x, add_attention(graph, add_norm(graph, layer.norm1, x), products, inner.num_heads, hidden))
        wide = graph.add("Gelu", add_linear(graph, layer.linear1, add_norm(graph, layer.norm2, x)))
        x = graph.add("Add", x, add_linear(graph, layer.linear2, wide))
    return x if encoder.norm is None else add_norm(graph, encoder.norm, x)  # type: ignore[arg-type]


def add_pooling(graph: Graph, pooling: "AttentionPooling", sequence: str, steps: Steps) -> tuple[str, str]:
    """Like `ser.models.pooling.AttentionPooling`: (B, T, D) -> (B, D), (B, T)."""
    scores = graph.squeeze(add_sequence(graph, pooling.score, sequence), 2)
    weights = graph.add("Softmax", graph.add("Where", steps.real, scores, graph.number(-np.inf)), axis=-1)
    return weighted_mean(graph, weights, sequence), weights


def add_statistics(graph: Graph, pooling: "AttentiveStatistics", sequence: str, steps: Steps) -> tuple[str, str]:
    """Like `ser.models.pooling.AttentiveStatistics`: (B, T, D) -> (B, 2 D), (B, T)."""
    from ser.models.pooling import MIN_VARIANCE

    mean, weights = add_pooling(graph, pooling.attention, sequence, steps)
    centred = graph.add("Sub", sequence, graph.unsqueeze(mean, 1))
    variance = weighted_mean(graph, weights, graph.add("Mul", centred, centred))
    deviation = graph.add("Sqrt", graph.add("Max", variance, graph.number(MIN_VARIANCE)))
    return graph.add("Concat", mean, deviation, axis=-1), weights


def weighted_mean(graph: Graph, weights: str, sequence: str) -> str:
    """(B, T), (B, T, D) -> (B, D)"""
    return graph.squeeze(graph.add("MatMul", graph.unsqueeze(weights, 1), sequence), 1)
