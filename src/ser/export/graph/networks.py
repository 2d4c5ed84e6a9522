"""Which file writes the nodes of which family and extractor."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ser.config import SSL
from ser.export.graph.backbone import add_backbone
from ser.export.graph.base import Feature, Graph, Verdict
from ser.export.graph.spectral import add_spectral
from ser.export.graph.spectral_crnn import add_network as add_spectral_crnn
from ser.export.graph.ssl_spectral_moe import add_network as add_ssl_spectral_moe

if TYPE_CHECKING:
    from ser.inference.recogniser import Ear

AddNetwork = Callable[[Graph, Any, Mapping[str, Feature]], Verdict]
"""(graph, model, {name: normalised feature}) -> what the network gives"""
NETWORKS: Mapping[str, AddNetwork] = {"spectral_crnn": add_spectral_crnn, "ssl_spectral_moe": add_ssl_spectral_moe}
"""{family: what writes its network}"""


def add_ear(graph: Graph, ear: "Ear", names: Sequence[str], waveforms: str, lengths: str, least: int) -> dict[str, Feature]:
    """Features of one extractor.

    Args:
        names: those that the network takes.
        least: frames of a batch, where the network needs more than one.

    Shape:
        waveforms (B, samples), lengths (B,) -> {name: (B, T, dim)}
    """
    if SSL in names:
        return {SSL: add_backbone(graph, ear, waveforms, lengths)}
    return add_spectral(graph, ear, names, waveforms, lengths, least)
