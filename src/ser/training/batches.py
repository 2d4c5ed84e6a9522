"""Batches from the feature store: normalisation, sampling and length buckets."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ser.corpora.manifest import original_id
from ser.features.normaliser import FloatArray, Normaliser, Normalisers
from ser.features.source import FeatureSource, Stores
from ser.models.base import Order, padded_length
from ser.splits.certificate import Entry

MIN_BUCKETS = 4
"""Minimum number of buckets of an epoch, for any `bucket_clips`."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B utterances, padded with zeros to the longest and to a multiple of `FRAME_STEP` frames."""

    features: dict[str, Tensor]
    """{name: (B, dim, T)}"""
    lengths: dict[str, Tensor]
    """{name: (B,) number of real frames}"""
    label: Tensor
    """(B,) index of the class."""
    ids: tuple[str, ...]
    target: Tensor | None = None
    """(B, C) target distribution over the classes; None if the target is the label."""

    def to(self, device: torch.device) -> "Batch":
        """Copy of the batch on another device."""
        return Batch(
            features={name: feature.to(device) for name, feature in self.features.items()},
            lengths={name: length.to(device) for name, length in self.lengths.items()},
            label=self.label.to(device),
            ids=self.ids,
            target=None if self.target is None else self.target.to(device),
        )


@dataclass(frozen=True)
class Group:
    """The part of a dataset that is read from the stores of one extractor."""

    stores: Stores
    normaliser: Normaliser
    columns: Mapping[str, tuple[int, int]]
    """{feature of the model: (first column, column after the last)}"""
    lengths: Order
    """(n,) frames of each utterance."""


class SpeechDataset:
    """The utterances of one split, as normalised batches of the features of a model.

    Args:
        source: feature stores.
        entries: rows of the split, in any order.
        names: features in the order of the model's branches.
        normalisers: normalisers fitted on train.
        targets: (n, C) target distributions over the classes; None if the targets are the labels.
    """

    def __init__(
        self,
        source: FeatureSource,
        entries: Sequence[Entry],
        names: Sequence[str],
        normalisers: Normalisers,
        targets: FloatArray | None = None,
    ) -> None:
        self.entries = tuple(entries)
        self.labels = np.array([entry.label for entry in entries], np.int64)
        self.targets = targets
        self.names = tuple(names)
        self.groups = []
        for group, stores in source.groups.items():
            columns = {name: stores.features[name] for name in names if name in stores.features}
            if columns:
                lengths = np.array([stores.num_frames(entry.id) for entry in entries], np.int64)
                self.groups.append(Group(stores, normalisers[group], columns, lengths))

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def lengths(self) -> Order:
        """(n,) numbers of frames by which utterances are sorted; those of other extractors increase with them."""
        return self.groups[0].lengths

    def batch(self, indices: Sequence[int] | Order) -> Batch:
        """Build a batch from positions in `entries`."""
        features: dict[str, Tensor] = {}
        lengths: dict[str, Tensor] = {}
        for group in self.groups:
            frames, shared = self.block(group, indices)
            features |= {name: frames[:, first:last] for name, (first, last) in group.columns.items()}
            lengths |= dict.fromkeys(group.columns, shared)
        return Batch(
            features={name: features[name] for name in self.names},
            lengths={name: lengths[name] for name in self.names},
            label=torch.from_numpy(self.labels[indices]),
            ids=tuple(self.entries[index].id for index in indices),
            target=None if self.targets is None else torch.from_numpy(self.targets[indices]),
        )

    def block(self, group: Group, indices: Sequence[int] | Order) -> tuple[Tensor, Tensor]:
        """Normalised columns of one extractor, (B, columns, T), and the numbers of real frames, (B,)."""
        lengths = group.lengths[indices]
        block = np.zeros((len(indices), padded_length(lengths), group.stores.columns), np.float32)
        for row, index, length in zip(block, indices, lengths, strict=True):
            group.normaliser.apply(group.stores.rows(self.entries[index].id), row[:length])
        return torch.from_numpy(block).transpose(1, 2), torch.from_numpy(lengths)

    def in_order_of_length(self, batch_size: int) -> Iterator[tuple[Order, Batch]]:
        """Yield (positions, batch) with every utterance once, sorted by length, for evaluation."""
        order = np.argsort(self.lengths, kind="stable")
        for start in range(0, len(order), batch_size):
            indices = order[start : start + batch_size]
            yield indices, self.batch(indices)


Sampler = Literal["shuffle", "class", "corpus-class"]


def draw(entries: Sequence[Entry], sampler: Sampler, balance: float, generator: np.random.Generator) -> Order:
    """Draw positions for one epoch: a permutation of all clips, or the same number of draws with replacement that balance the groups.

    A group of n clips is drawn in proportion to n^(1 - balance). Of a clip and its augmented copies one version is drawn at random, so an
    epoch has the same length with and without copies.
    """
    versions = group_versions(entries)
    if sampler == "shuffle":
        clips = generator.permutation(len(versions))
    else:
        firsts = [entries[group[0]] for group in versions]
        keys = [str(entry.label) if sampler == "class" else f"{entry.corpus} {entry.label}" for entry in firsts]
        counts = Counter(keys)
        weights = np.array([counts[key] ** -balance for key in keys])
        clips = generator.choice(len(versions), size=len(versions), p=weights / weights.sum())
    return np.array([generator.choice(versions[clip]) if len(versions[clip]) > 1 else versions[clip][0] for clip in clips], np.int64)


def group_versions(entries: Iterable[Entry]) -> list[list[int]]:
    """Positions of each clip and its copies; clips are in order of first appearance."""
    groups: dict[str, list[int]] = {}
    for position, entry in enumerate(entries):
        groups.setdefault(original_id(entry.id), []).append(position)
    return list(groups.values())


def length_buckets(order: Order, lengths: Order, batch_size: int, bucket_clips: int, generator: np.random.Generator) -> list[Order]:
    """Cut an order into buckets, sort each by length, cut it into batches, and shuffle the batches.

    A bucket has as many whole batches as fit into `bucket_clips`, at least one and at most a quarter of the epoch; a single bucket would
    give the same batches in every epoch. A last batch of one clip is merged with the one before, because batch norm requires more than one.

    >>> batches = length_buckets(np.arange(8), np.array([9, 1, 8, 2, 7, 3, 6, 4]), 2, 4, np.random.default_rng(0))
    >>> sorted(sorted(batch.tolist()) for batch in batches)
    [[0, 1], [2, 3], [4, 5], [6, 7]]
    """
    batches: list[Order] = []
    bucket_size = max(min(bucket_clips, len(order) // MIN_BUCKETS) // batch_size, 1) * batch_size
    for start in range(0, len(order), bucket_size):
        bucket = order[start : start + bucket_size]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        batches += [bucket[first : first + batch_size] for first in range(0, len(bucket), batch_size)]
    if len(batches) > 1 and len(batches[-1]) == 1 < batch_size:
        last = batches.pop()
        batches[-1] = np.concatenate([batches[-1], last])
    return [batches[position] for position in generator.permutation(len(batches))]


def padding_share(batches: Iterable[Order], lengths: Order) -> float:
    """Share of padding in the frames of padded batches.

    >>> padding_share([np.array([0, 1])], np.array([8, 4]))
    0.25
    """
    padded = sum(len(batch) * padded_length(lengths[batch]) for batch in batches)
    real = sum(int(lengths[batch].sum()) for batch in batches)
    return 1 - real / padded
