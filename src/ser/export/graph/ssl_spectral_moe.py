"""`ser.models.ssl_spectral_moe` as nodes of a graph, for inference."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ser.export.graph.base import Feature, Graph, Module, NetworkNodes, NotExportable, Steps
from ser.export.graph.layers import add_convolution, add_norm, add_sequence, add_statistics, add_transformer, swap

if TYPE_CHECKING:
    from torch import nn

    from ser.models.ssl_spectral_moe import LayerMix, SpectralExpert, SslExpert, SslSpectralMoe


def add_network(graph: Graph, model: "SslSpectralMoe", features: Mapping[str, Feature]) -> NetworkNodes:
    """
    Shape:
        features {name: (B, T, dim)} -> see `NetworkNodes`
    """
    results = {name: add_expert(graph, expert, features[name]) for name, expert in model.experts.items()}
    mixture, gates = add_fusion(graph, model, [vector for vector, _ in results.values()])
    embedding = add_norm(graph, model.norm, mixture)
    logits = add_sequence(graph, model.classifier, embedding)
    return NetworkNodes(logits, embedding, {name: attention for name, (_, attention) in results.items()}, gates)


def add_expert(graph: Graph, expert: "nn.Module", feature: Feature) -> tuple[str, str]:
    """
    Shape:
        (B, T, dim) -> vector (B, fusion_dim), attention (B, T')

    Raises:
        NotExportable: no nodes are implemented for this kind of expert.
    """
    from ser.models.ssl_spectral_moe import SpectralExpert, SslExpert

    match expert:
        case SslExpert():
            return add_ssl(graph, expert, feature)
        case SpectralExpert():
            return add_spectral(graph, expert, feature)
    raise NotExportable(f"no node is implemented for {type(expert).__name__}")


def add_ssl(graph: Graph, expert: "SslExpert", feature: Feature) -> tuple[str, str]:
    """
    Shape:
        (B, T, layers x dim) -> vector (B, fusion_dim), attention (B, T)
    """
    states = feature.frames if expert.mix is None else add_mix(graph, expert.mix, feature.frames)
    return add_summary(graph, expert, add_sequence(graph, expert.project, states), feature.steps)


def add_mix(graph: Graph, mix: "LayerMix", states: str) -> str:
    """
    Shape:
        (B, T, layers x dim) -> (B, T, dim)
    """
    weights = mix.weights().detach().numpy()[:, None]
    apart = graph.add("Mul", graph.reshape(states, [0, 0, len(weights), -1]), graph.number(weights))
    return graph.add("ReduceSum", apart, graph.constant([2]), keepdims=0)


def add_spectral(graph: Graph, expert: "SpectralExpert", feature: Feature) -> tuple[str, str]:
    """
    Shape:
        (B, T, dim) -> vector (B, fusion_dim), attention (B, T')
    """
    blocks: list[Module] = list(expert.blocks)
    steps = feature.steps
    sequence = graph.add("Mul", feature.frames, steps.mask(graph, 2))
    for block in blocks:
        sequence = add_norm(graph, block.norm, swap(graph, add_convolution(graph, block.conv, swap(graph, sequence))))
        steps = halved(graph, steps)
        sequence = graph.add("Mul", graph.add("Gelu", sequence), steps.mask(graph, 2))
    return add_summary(graph, expert, sequence, steps)


def halved(graph: Graph, steps: Steps) -> Steps:
    """Divide, rounded up."""

    def half(value: str) -> str:
        return graph.add("Div", graph.add("Add", value, graph.constant(1)), graph.constant(2))

    return Steps.from_lengths(graph, half(steps.count), half(steps.lengths))


def add_summary(graph: Graph, expert: Module, sequence: str, steps: Steps) -> tuple[str, str]:
    """The last layers of every expert, from its sequence (B, T, dim)."""
    layers = getattr(expert.encoder, "layers", None)
    encoded = sequence if layers is None else add_transformer(graph, layers, sequence, steps)
    pooled, attention = add_statistics(graph, expert.pooling, encoded, steps)
    return add_sequence(graph, expert.head, pooled), attention


def add_fusion(graph: Graph, model: "SslSpectralMoe", vectors: list[str]) -> tuple[str, str | None]:
    """
    Shape:
        E vectors, each (B, fusion_dim) -> (B, fusion_dim), (B, E)
    """
    fusion: Module = model.fusion
    together = graph.add("Concat", *vectors, axis=-1)
    if not hasattr(fusion, "scores"):
        return add_sequence(graph, [fusion.join], together), None
    gates = graph.add("Softmax", add_sequence(graph, fusion.scores, together), axis=-1)
    apart = graph.reshape(together, [0, len(vectors), -1])
    return graph.squeeze(graph.add("MatMul", graph.unsqueeze(gates, 1), apart), 1), gates
