"""The steps between the features of a clip and the network: the store's rounding and the normaliser."""

from ser.export.graph.base import HALF, SINGLE, Graph
from ser.features.normaliser import Normaliser
from ser.features.store import StoreSpec


def add_normaliser(graph: Graph, feature: str, store: StoreSpec, normaliser: Normaliser, name: str) -> str:
    """Round like the store, then normalise like `Normaliser.apply`: (B, T, dim) -> (B, T, dim)."""
    if store.dtype == "float16":
        feature = graph.add("Cast", graph.add("Cast", feature, to=HALF), to=SINGLE)
    columns = slice(*store.features[name])
    mean, deviation = (graph.number(statistic[columns]) for statistic in (normaliser.mean, normaliser.deviation))
    return graph.add("Div", graph.add("Sub", feature, mean), deviation)
