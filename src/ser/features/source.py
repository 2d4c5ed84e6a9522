"""Several feature stores combined to one source of features."""

from collections.abc import Mapping, Sequence

from ser.features.base import FeatureShape, StoredRows
from ser.features.store import FeatureStore


class Stores:
    """The stores of one extractor with equal columns, originals and augmented copies, combined to one."""

    def __init__(self, stores: Sequence[FeatureStore]) -> None:
        self.stores = tuple(stores)
        self.features = stores[0].features
        self.columns = stores[0].spec.columns
        self.frame_rate = stores[0].frame_rate
        """Frame rate in Hz."""
        self.layers = len(stores[0].spec.layers)

    def __contains__(self, utterance_id: str) -> bool:
        return any(utterance_id in store for store in self.stores)

    def rows(self, utterance_id: str) -> StoredRows:
        """Features of an utterance, (frames, columns), as a view of the file. Raises DataError for a missing utterance."""
        return self.home(utterance_id).rows(utterance_id)

    def num_frames(self, utterance_id: str) -> int:
        return self.home(utterance_id).num_frames(utterance_id)

    def audio_hash(self, utterance_id: str) -> str:
        return self.home(utterance_id).audio_hash(utterance_id)

    def home(self, utterance_id: str) -> FeatureStore:
        return next((store for store in self.stores if utterance_id in store), self.stores[0])


class FeatureSource:
    """All input features of a model: {name of the extractor: its stores}. Each extractor has its own frame rate and columns.

    Attributes:
        shapes: {feature: rows, frame rate, layers}.
    """

    def __init__(self, groups: Mapping[str, Stores]) -> None:
        self.groups = dict(groups)
        self.shapes = {
            name: FeatureShape(last - first, stores.frame_rate, stores.layers)
            for stores in groups.values()
            for name, (first, last) in stores.features.items()
        }

    @property
    def stores(self) -> list[FeatureStore]:
        return [store for group in self.groups.values() for store in group.stores]

    @property
    def fingerprints(self) -> dict[str, list[str]]:
        """{name of the extractor: fingerprints of its stores}"""
        return {name: [store.spec.fingerprint for store in group.stores] for name, group in self.groups.items()}

    def missing(self, audio_hashes: Mapping[str, str]) -> list[str]:
        """Ids of {id: audio hash} that are missing in a group or were computed from other audio."""
        return [
            utterance_id
            for utterance_id, audio_hash in audio_hashes.items()
            if any(utterance_id not in group or group.audio_hash(utterance_id) != audio_hash for group in self.groups.values())
        ]

    def verify(self) -> None:
        """Compare every shard with its checksum: see `FeatureStore.verify`."""
        for store in self.stores:
            store.verify()
