"""Small models, stores and training sets with known content, for the tests of everything that learns."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ser.config import (
    ExperimentConfig,
    FeaturesConfig,
    ModelConfig,
    ProjectConfig,
    SpecAugmentConfig,
    SpectralCrnnConfig,
    SpectralExpertConfig,
    SslExpertConfig,
    SslSpectralMoeConfig,
    TrainConfig,
)
from ser.families import SSL
from ser.features.base import FeatureShape
from ser.features.normaliser import Normaliser
from ser.features.shards import Clip, read_sidecar, shard_name, sidecar_path, write_shard
from ser.features.source import FeatureSource, Stores
from ser.features.store import FeatureStore, StoreSpec, finish_store
from ser.models.registry import build_model
from ser.models.spectral_crnn import SpectralCrnn
from ser.models.ssl_spectral_moe import SslSpectralMoe
from ser.runs.run import Run
from ser.splits.certificate import Entry
from ser.training.batches import SpeechDataset
from ser.training.trainer import Trainer

DIMS = {"mel": 8, "mfcc": 6, "chroma": 5}
"""Odd and small: a row too many or too few shows."""
FRAME_RATE = 62.5
SSL_DIMS = {SSL: 12}
SSL_RATE = 50.0
SSL_LAYERS = [2, 5, 9]
"""Three hidden states of four numbers each."""
SHAPES = {
    SSL: FeatureShape(SSL_DIMS[SSL], SSL_RATE, len(SSL_LAYERS)),
    **{name: FeatureShape(rows, FRAME_RATE) for name, rows in DIMS.items()},
}
TINY = SpectralCrnnConfig(channels=(3, 4), branch_dim=6, bottleneck_dim=8, gru_dim=5)
TINY_MOE = SslSpectralMoeConfig(
    ssl=SslExpertConfig(dim=8, heads=2, ff_dim=10),
    spectral=SpectralExpertConfig(channels=(6, 8), kernel=3, heads=2),
    fusion_dim=6,
    gate_dim=5,
)
PLAIN = SpecAugmentConfig(freq_masks=0, time_masks=0)


def spectral_spec(dims: Mapping[str, int] = DIMS, dtype: str = "float32") -> StoreSpec:
    return StoreSpec("spectral", dims, FRAME_RATE, dtype, {})


def ssl_spec(dtype: str = "float16") -> StoreSpec:
    return StoreSpec(SSL, SSL_DIMS, SSL_RATE, dtype, {"layers": SSL_LAYERS})


def write_store(folder: Path, clips: Mapping[str, NDArray[Any]], spec: StoreSpec | None = None) -> FeatureStore:
    """A finished store of two shards, the rows of each clip given; the audio hash of a clip is `hash of <id>`."""
    spec = spec or spectral_spec()
    ids = list(clips)
    found: list[Clip] = []
    for part in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
        if part:
            keys = [(clip_id, f"hash of {clip_id}") for clip_id in part]
            write_shard(folder, spec.fingerprint, keys, [clips[clip_id] for clip_id in part], spec.dtype, spec.columns)
            found += read_sidecar(sidecar_path(folder, shard_name(spec.fingerprint, keys))).clips
    finish_store(folder, spec, found)
    return FeatureStore.open(folder)


def source_of(*stores: FeatureStore) -> FeatureSource:
    """Of one store for each extractor."""
    return FeatureSource({store.spec.name: Stores([store]) for store in stores})


def entry(clip_id: str, label: int = 0, corpus: str = "crema") -> Entry:
    return Entry(clip_id, corpus, f"{corpus}/1", "neutral", label)


def identity(columns: int = sum(DIMS.values())) -> Normaliser:
    """Leaves every number as it is."""
    return Normaliser(np.zeros(columns, np.float32), np.ones(columns, np.float32))


def identities(source: FeatureSource) -> dict[str, Normaliser]:
    return {name: identity(stores.columns) for name, stores in source.groups.items()}


def toy_dataset(
    folder: Path, labels: Sequence[int], seed: int = 0, names: Sequence[str] = tuple(DIMS), signal: float = 1.0
) -> SpeechDataset:
    """Noise of 8 to 30 spectral frames for each label, plus `signal` times a shape of its class; as many seconds of `ssl` if asked for."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(8, 31, len(labels))
    stores = [write_store(folder, noisy_clips(labels, lengths, sum(DIMS.values()), signal, generator))]
    if SSL in names:
        frames = np.ceil(lengths * SSL_RATE / FRAME_RATE).astype(np.int64)
        clips = noisy_clips(labels, frames, SSL_DIMS[SSL], signal, generator)
        stores.insert(0, write_store(folder.with_name(f"{folder.name}-{SSL}"), clips, ssl_spec()))
    source = source_of(*stores)
    return SpeechDataset(source, [entry(f"clip{i}", label) for i, label in enumerate(labels)], names, identities(source))


def noisy_clips(
    labels: Sequence[int], lengths: NDArray[np.int64], columns: int, signal: float, generator: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    shapes = np.random.default_rng(99).standard_normal((max(labels) + 1, columns))
    noise = [generator.standard_normal((length, columns)) for length in lengths]
    return {f"clip{i}": (noise[i] + signal * shapes[label]).astype(np.float32) for i, label in enumerate(labels)}


def crnn_config(features: Sequence[str] = tuple(DIMS), config: SpectralCrnnConfig = TINY) -> ModelConfig:
    return ModelConfig(name="spectral_crnn", features=tuple(features), spectral_crnn=config)


def moe_config(features: Sequence[str] = (SSL, *DIMS), config: SslSpectralMoeConfig = TINY_MOE) -> ModelConfig:
    return ModelConfig(name="ssl_spectral_moe", features=tuple(features), ssl_spectral_moe=config)


def tiny_model(
    num_classes: int = 3, features: Sequence[str] = tuple(DIMS), config: SpectralCrnnConfig = TINY, seed: int | None = None
) -> SpectralCrnn:
    """Fresh weights; with a seed, all numbers from numpy, batch norm's statistics too, so that no bias or mean is 0."""
    model = build_model(crnn_config(features, config), SHAPES, num_classes)
    assert isinstance(model, SpectralCrnn)
    if seed is not None:
        fill(model, seed)
    return model


def tiny_moe(
    num_classes: int = 3,
    features: Sequence[str] = (SSL, *DIMS),
    config: SslSpectralMoeConfig = TINY_MOE,
    seed: int | None = None,
    shapes: Mapping[str, FeatureShape] = SHAPES,
) -> SslSpectralMoe:
    """As `tiny_model`."""
    model = build_model(moe_config(features, config), shapes, num_classes)
    assert isinstance(model, SslSpectralMoe)
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
    train: SpeechDataset,
    val: SpeechDataset | None,
    specaugment: SpecAugmentConfig = PLAIN,
    seed: int = 0,
    model: ModelConfig | None = None,
    **values: Any,
) -> Trainer:
    """A trainer of a tiny model (a CRNN, if no other is given) with the weights of `seed`; `values` go to its TrainConfig."""
    num_classes = int(train.labels.max()) + 1
    config = ExperimentConfig(
        project=ProjectConfig(seed=seed),
        features=FeaturesConfig(types=train.names),
        specaugment=specaugment,
        model=model or crnn_config(train.names),
        train=TrainConfig(**{"device": "cpu", "precision": "fp32", "batch_size": 8, "epochs": 3, **values}),
    )
    torch.manual_seed(seed)
    network = build_model(config.model, SHAPES, num_classes)
    return Trainer(network, train, val, config, num_classes, {"classes": [f"class{i}" for i in range(num_classes)]})


def new_run(folder: Path) -> Run:
    folder.mkdir()
    return Run(folder)
