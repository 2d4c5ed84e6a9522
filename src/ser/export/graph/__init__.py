"""A trained model written as an ONNX graph, node by node: the waveform's features, the network, and the calibration.

A new family of models gets a file here with an `add_network`, and a line in `NETWORKS`; a new extractor a line in `add_ear`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ser.config import SSL
from ser.export.graph.backbone import add_backbone, add_frames
from ser.export.graph.base import Feature, Graph, Verdict
from ser.export.graph.spectral import add_spectral
from ser.export.graph.spectral_crnn import add_network as add_spectral_crnn
from ser.export.graph.ssl_spectral_moe import add_network as add_ssl_spectral_moe

__all__ = ["NETWORKS", "AddNetwork", "add_ear", "add_frames"]

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
