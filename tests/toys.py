"""Small models, stores and training sets with known content, for the tests of everything that learns."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ser.certificate import Entry
from ser.config import ModelConfig, SpecAugmentConfig, SpectralCrnnConfig, TrainConfig
from ser.data import Normaliser, SpeechDataset, Stores
from ser.models import build_model
from ser.models.spectral_crnn import SpectralCrnn
from ser.runs import Run
from ser.shards import Clip, read_sidecar, shard_name, sidecar_path, write_shard
from ser.store import FeatureStore, StoreSpec, finish_store
from ser.training import Trainer

DIMS = {"mel": 8, "mfcc": 6, "chroma": 5}
"""Odd and small: a row too many or too few shows."""
FRAME_RATE = 62.5
TINY = SpectralCrnnConfig(channels=(3, 4), branch_dim=6, bottleneck_dim=8, gru_dim=5)
PLAIN = SpecAugmentConfig(freq_masks=0, time_masks=0)


def write_store(folder: Path, clips: Mapping[str, NDArray[Any]], dims: Mapping[str, int] = DIMS, dtype: str = "float32") -> FeatureStore:
    """A finished store of two shards, the rows of each clip given; the audio hash of a clip is `hash of <id>`."""
    spec = StoreSpec("toy", dims, FRAME_RATE, dtype, {})
    ids = list(clips)
    found: list[Clip] = []
    for part in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
        if part:
            keys = [(clip_id, f"hash of {clip_id}") for clip_id in part]
            write_shard(folder, spec.fingerprint, keys, [clips[clip_id] for clip_id in part], dtype, spec.columns)
            found += read_sidecar(sidecar_path(folder, shard_name(spec.fingerprint, keys))).clips
    finish_store(folder, spec, found)
    return FeatureStore.open(folder)


def entry(clip_id: str, label: int = 0, corpus: str = "crema") -> Entry:
    return Entry(clip_id, corpus, f"{corpus}/1", "neutral", label)


def identity(columns: int = sum(DIMS.values())) -> Normaliser:
    """Leaves every number as it is."""
    return Normaliser(np.zeros(columns, np.float32), np.ones(columns, np.float32))


def toy_dataset(
    folder: Path, labels: Sequence[int], seed: int = 0, names: Sequence[str] = tuple(DIMS), signal: float = 1.0
) -> SpeechDataset:
    """Noise of 8 to 30 frames for each label, plus `signal` times a spectral shape of its class."""
    generator = np.random.default_rng(seed)
    shapes = np.random.default_rng(99).standard_normal((max(labels) + 1, sum(DIMS.values())))
    lengths = generator.integers(8, 31, len(labels))
    noise = [generator.standard_normal((length, sum(DIMS.values()))) for length in lengths]
    clips = {f"clip{i}": (noise[i] + signal * shapes[label]).astype(np.float32) for i, label in enumerate(labels)}
    entries = [entry(f"clip{i}", label) for i, label in enumerate(labels)]
    return SpeechDataset(Stores([write_store(folder, clips)]), entries, names, identity())


def tiny_model(
    num_classes: int = 3, features: Sequence[str] = tuple(DIMS), config: SpectralCrnnConfig = TINY, seed: int | None = None
) -> SpectralCrnn:
    """Fresh weights; with a seed, all numbers from numpy, batch norm's statistics too, so that no bias or mean is 0."""
    model = build_model(ModelConfig(features=tuple(features), spectral_crnn=config), DIMS, FRAME_RATE, num_classes)  # type: ignore[arg-type]
    assert isinstance(model, SpectralCrnn)
    if seed is not None:
        fill(model, seed)
    return model


def fill(model: nn.Module, seed: int) -> None:
    generator = np.random.default_rng(seed)
    for name, tensor in sorted(model.state_dict().items()):
        if tensor.is_floating_point():
            values = generator.uniform(-0.7, 0.7, tuple(tensor.shape))
            tensor.copy_(torch.from_numpy(np.abs(values) + 0.1 if name.endswith("running_var") else values))


def make_trainer(
    train: SpeechDataset, val: SpeechDataset | None, specaugment: SpecAugmentConfig = PLAIN, seed: int = 0, **values: Any
) -> Trainer:
    """A trainer of a tiny model with the weights of `seed`; `values` go to its TrainConfig."""
    num_classes = int(train.labels.max()) + 1
    torch.manual_seed(seed)
    model = tiny_model(num_classes, tuple(train.columns))
    defaults = {"device": "cpu", "precision": "fp32", "batch_size": 8, "epochs": 3}
    header = {"classes": [f"class{i}" for i in range(num_classes)]}
    return Trainer(model, train, val, TrainConfig(**{**defaults, **values}), specaugment, seed, header)


def new_run(folder: Path) -> Run:
    folder.mkdir()
    return Run(folder)
