"""The parts of a trained model that are described in its checkpoint: configs, normalisers, and the extractors as they were in training."""

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
"""The longest part of an error that a message quotes, in characters."""
DTYPES = {"float16", "float32"}
"""Precisions that a store can have."""


@dataclass(frozen=True)
class Header:
    """The description of a model in its checkpoint."""

    model: ModelConfig
    audio: AudioConfig
    stores: Mapping[str, StoreSpec]
    """{extractor: settings of the store that it filled}"""
    normalisers: Mapping[str, Normaliser]
    """{extractor: normaliser of its columns}"""
    shapes: Mapping[str, FeatureShape]
    classes: tuple[str, ...]
    corpora: tuple[str, ...]
    certificate: str
    backbone: str | None
    """Folder or hub model of the backbone, as the config of the training named it; not in older checkpoints."""


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Convert the errors of a block that reads the description in the checkpoint `path`.

    Raises:
        ArtefactError: a field is missing, or this version cannot read it.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:SHOWN]
        raise ArtefactError(
            f"the description in {path} cannot be read by this version, {__version__}: train the model again ({what})"
        ) from None


def read_header(path: Path, content: Mapping[str, Any]) -> Header:
    """Raises the errors of `understood`."""
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
        ValueError: the parts do not fit together, or hold values that no training writes.
    """
    expected: dict[str, FeatureShape] = {}
    for name, store in header.stores.items():
        if store.dtype not in DTYPES or not isinstance(store.ingredients, Mapping):
            raise ValueError(f"the store {name} of {store.dtype} with the ingredients {store.ingredients!r} is not valid")
        if not fits(header.normalisers[name], store.columns):
            raise ValueError(f"the normaliser {name} does not have {store.columns} columns of finite means and positive deviations")
        expected |= {feature: FeatureShape(dim, store.frame_rate, len(store.layers)) for feature, dim in store.dims.items()}
    other = [name for name in header.model.features if name not in expected or header.shapes.get(name) != expected[name]]
    if other:
        raise ValueError(f"no store has {', '.join(other)} with the dimensions of the model's input")
    if not all(isinstance(label, str) for label in header.classes):
        raise ValueError(f"the classes {header.classes} are not valid")


def fits(normaliser: Normaliser, columns: int) -> bool:
    of_each = (normaliser.mean, normaliser.deviation)
    whole = all(values.shape == (columns,) and values.dtype == np.float32 and bool(np.isfinite(values).all()) for values in of_each)
    return whole and bool((normaliser.deviation > 0).all())


def make_extractor(path: Path, header: Header, name: str, backbone: str | None, device: Device) -> FeatureExtractor:
    """The extractor as it was when it filled the store. Raises the errors of `Recogniser.load`."""
    store, extractor = header.stores[name], rebuild(path, header, name, backbone, device)
    now = [*extractor.dims.items(), extractor.frame_rate]
    if now != [*store.dims.items(), store.frame_rate]:
        raise ArtefactError(
            f"{path} was trained on {name} features whose number of columns differs from that of its own settings: train the model again"
        )
    return extractor


def rebuild(path: Path, header: Header, name: str, backbone: str | None, device: Device) -> FeatureExtractor:
    """Raises the errors of `Recogniser.load`."""
    store = header.stores[name]
    with understood(path):
        family = get_family(name)
    then, now = store.ingredients.get("code_version"), family.code_version
    if then != now:
        raise ArtefactError(
            f"{path} was trained on {name} features of version {then}; this program computes version {now}: train the model again"
        )
    with understood(path):
        make = family.rebuild(Trained(path, header.audio, store, header.backbone, backbone, device))
    return make()
