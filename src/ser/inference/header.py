"""The parts of a trained model, from what its checkpoint says of it: configs, normalisers, and extractors as they were in training."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ser import __version__
from ser.config import AudioConfig, ModelConfig
from ser.errors import ArtefactError
from ser.features.base import FeatureExtractor, FeatureShape
from ser.features.family import Device, Trained
from ser.features.normaliser import Normaliser
from ser.features.registry import get_family
from ser.features.store import StoreSpec

SHOWN = 200
"""Characters of an error in a message."""
DTYPES = {"float16", "float32"}
"""Of a store."""


@dataclass(frozen=True)
class Header:
    """What a checkpoint says of its model."""

    model: ModelConfig
    audio: AudioConfig
    stores: Mapping[str, StoreSpec]
    """{name of the extractor: of the store that it filled}"""
    normalisers: Mapping[str, Normaliser]
    """{name of the extractor: of its columns}"""
    shapes: Mapping[str, FeatureShape]
    classes: tuple[str, ...]
    corpora: tuple[str, ...]
    certificate: str
    backbone: str | None
    """Folder or hub model, as the config of the training named it; older checkpoints do not tell."""


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """For the block that reads what the checkpoint `path` says of its model.

    Raises:
        ArtefactError: something is missing, or this version does not know it.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:SHOWN]
        raise ArtefactError(f"{path} does not describe its model as this version, {__version__}, knows it: train again ({what})") from None


def read_header(path: Path, content: Mapping[str, Any]) -> Header:
    """Errors as of `understood`."""
    with understood(path):
        stores = {name: StoreSpec(**{**spec, "dims": dict(spec["dims"])}) for name, spec in content["extractors"].items()}
        normalisers = {name: content["normalisers"][name] for name in stores}
        header = Header(
            model=ModelConfig.model_validate(content["model"]),
            audio=AudioConfig.model_validate(content["audio"]),
            stores=stores,
            normalisers={name: Normaliser(saved["mean"].numpy(), saved["deviation"].numpy()) for name, saved in normalisers.items()},
            shapes={name: FeatureShape(**shape) for name, shape in content["shapes"].items()},
            classes=tuple(content["classes"]),
            corpora=tuple(content["corpora"]),
            certificate=content["certificate"],
            backbone=content.get("backbone"),
        )
        refuse_contradictions(header)
        return header


def refuse_contradictions(header: Header) -> None:
    """
    Raises:
        ValueError: the parts do not fit together, or hold what no training leaves.
    """
    expected: dict[str, FeatureShape] = {}
    for name, store in header.stores.items():
        if store.dtype not in DTYPES or not isinstance(store.ingredients, Mapping):
            raise ValueError(f"a store {name} of {store.dtype} made from {store.ingredients!r}")
        if not fits(header.normalisers[name], store.columns):
            raise ValueError(f"the normaliser {name} is not one of {store.columns} columns, finite and above 0 where it divides")
        expected |= {feature: FeatureShape(dim, store.frame_rate, len(store.layers)) for feature, dim in store.dims.items()}
    other = [name for name in header.model.features if name not in expected or header.shapes.get(name) != expected[name]]
    if other:
        raise ValueError(f"no store has {', '.join(other)} as the model takes it")
    if not all(isinstance(label, str) for label in header.classes):
        raise ValueError(f"classes {header.classes}")


def fits(normaliser: Normaliser, columns: int) -> bool:
    of_each = (normaliser.mean, normaliser.deviation)
    whole = all(values.shape == (columns,) and values.dtype == np.float32 and bool(np.isfinite(values).all()) for values in of_each)
    return whole and bool((normaliser.deviation > 0).all())


def make_extractor(path: Path, header: Header, name: str, backbone: str | None, device: Device) -> FeatureExtractor:
    """As it was when it filled the store; errors as of `Recogniser.load`."""
    store, extractor = header.stores[name], rebuild(path, header, name, backbone, device)
    now = [*extractor.dims.items(), extractor.frame_rate]
    if now != [*store.dims.items(), store.frame_rate]:
        raise ArtefactError(f"{path} was trained on {name} features of other columns than its own settings give: train again")
    return extractor


def rebuild(path: Path, header: Header, name: str, backbone: str | None, device: Device) -> FeatureExtractor:
    """Errors as of `Recogniser.load`."""
    store = header.stores[name]
    with understood(path):
        family = get_family(name)
    then, now = store.ingredients.get("code_version"), family.code_version
    if then != now:
        raise ArtefactError(f"{path} was trained on {name} features of version {then}; this program computes version {now}: train again")
    with understood(path):
        make = family.rebuild(Trained(path, header.audio, store, header.backbone, backbone, device))
    return make()
