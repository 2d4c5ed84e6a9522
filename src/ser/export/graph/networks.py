"""The functions that add the nodes of each network and of each feature family."""

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
"""{model family: function that adds its network}"""

AddFeatures = Callable[[Graph, "FeatureInput", Sequence[str], str, str, int], dict[str, Feature]]
"""See `add_input`."""
FEATURES: Mapping[str, AddFeatures] = {SPECTRAL: add_spectral, SSL: add_backbone}
"""{feature family: function that adds its extractor}"""


def add_input(graph: Graph, source: "FeatureInput", names: Sequence[str], waveforms: str, lengths: str, least: int) -> dict[str, Feature]:
    """Add the features of one extractor.

    Args:
        names: the features that the network takes.
        least: the number of frames that the network needs at least.

    Shape:
        waveforms (B, samples), lengths (B,) -> {name: (B, T, dim)}

    Raises:
        NotExportable: no nodes are implemented for the extractor, or for a part of a backbone.
    """
    family = source.extractor.name
    if family not in FEATURES:
        raise NotExportable(
            f"no nodes are implemented for {', '.join(names)}: a model with features of the family {family} cannot be exported"
        )
    return FEATURES[family](graph, source, names, waveforms, lengths, least)
