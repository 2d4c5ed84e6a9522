"""Which file writes the nodes of which network, and of which family of features."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ser.export.graph.backbone import add_backbone
from ser.export.graph.base import Feature, Graph, Module, NetworkNodes, NotExportable
from ser.export.graph.spectral import add_spectral
from ser.export.graph.spectral_crnn import add_network as add_spectral_crnn
from ser.export.graph.ssl_spectral_moe import add_network as add_ssl_spectral_moe
from ser.families import SPECTRAL, SSL

if TYPE_CHECKING:
    from ser.inference.recogniser import FeatureInput

AddNetwork = Callable[[Graph, Module, Mapping[str, Feature]], NetworkNodes]
"""(graph, model of the family, {name: normalised feature}) -> outputs of the network"""
NETWORKS: Mapping[str, AddNetwork] = {"spectral_crnn": add_spectral_crnn, "ssl_spectral_moe": add_ssl_spectral_moe}
"""{model family: what writes its network}"""

AddFeatures = Callable[[Graph, "FeatureInput", Sequence[str], str, str, int], dict[str, Feature]]
"""As `add_input`."""
FEATURES: Mapping[str, AddFeatures] = {SPECTRAL: add_spectral, SSL: add_backbone}
"""{family of features: what writes its extractor}"""


def add_input(graph: Graph, source: "FeatureInput", names: Sequence[str], waveforms: str, lengths: str, least: int) -> dict[str, Feature]:
    """Features of one extractor.

    Args:
        names: those that the network takes.
        least: frames of a batch, where the network needs more than one.

    Shape:
        waveforms (B, samples), lengths (B,) -> {name: (B, T, dim)}

    Raises:
        NotExportable: nobody has written the extractor as nodes, or something in a backbone.
    """
    family = source.extractor.name
    if family not in FEATURES:
        raise NotExportable(f"no nodes were written for {', '.join(names)}: a model with features of the family {family} is not exported")
    return FEATURES[family](graph, source, names, waveforms, lengths, least)
