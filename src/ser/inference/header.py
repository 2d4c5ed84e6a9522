"""The parts of a trained model, from what its checkpoint says of it: configs, normalisers, and extractors as they were in training."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ser import __version__
from ser.config import SSL, AudioConfig, FeaturesConfig, ModelConfig, SslConfig
from ser.errors import ArtefactError, ConfigError
from ser.features.backbone import BackboneExtractor
from ser.features.backbone_files import CODE_VERSION as BACKBONE_VERSION
from ser.features.backbone_files import find_backbone
from ser.features.base import FeatureExtractor, FeatureShape
from ser.features.normaliser import Normaliser
from ser.features.spectral import CODE_VERSION as SPECTRAL_VERSION
from ser.features.spectral import SpectralExtractor
from ser.features.store import StoreSpec
from ser.wording import described

log = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda", "mps"]

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
            normalisers={name: Normaliser(of["mean"].numpy(), of["deviation"].numpy()) for name, of in normalisers.items()},
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
    store, extractor = header.stores[name], set_up(path, header, name, backbone, device)
    now = [*extractor.dims.items(), extractor.frame_rate]
    if now != [*store.dims.items(), store.frame_rate]:
        raise ArtefactError(f"{path} was trained on {name} features of other columns than its own settings give: train again")
    return extractor


def set_up(path: Path, header: Header, name: str, backbone: str | None, device: Device) -> FeatureExtractor:
    """Errors as of `Recogniser.load`."""
    ingredients = header.stores[name].ingredients
    then, now = ingredients.get("code_version"), BACKBONE_VERSION if name == SSL else SPECTRAL_VERSION
    if then != now:
        raise ArtefactError(f"{path} was trained on {name} features of version {then}; this program computes version {now}: train again")
    if name == SSL:
        return make_backbone(path, header, backbone, device)
    with understood(path):
        config = FeaturesConfig.model_validate(ingredients["features"])
    return SpectralExtractor(header.audio, config)


def make_backbone(path: Path, header: Header, backbone: str | None, device: Device) -> BackboneExtractor:
    """Errors as of `Recogniser.load`."""
    store = header.stores[SSL]
    with understood(path):
        trained, precision = store.ingredients["backbone"], store.ingredients["precision"]
        then = described(trained)
        config = SslConfig(
            model_id=where(path, trained, header.backbone, backbone),
            revision=trained.get("revision"),
            layers=tuple(store.ingredients["layers"]),
            time_pool=store.ingredients["time_pool"],
            precision="fp32" if precision == "fp32" else "auto",  # bf16 only where there are instructions for it
            dtype=store.dtype,  # type: ignore[arg-type]
            device=device,
        )
    found = find_backbone(config)
    here = {"kind": found.kind, **found.identity}
    if here != trained:
        raise ConfigError(f"{path} was trained with the backbone {then}; {config.model_id} is {described(here)}")
    extractor = BackboneExtractor(config, header.audio.sampling_rate)
    if extractor.precision != precision:
        log.info("the backbone computes in %s, where it was %s in training: numbers differ a little", extractor.precision, precision)
    return extractor


def where(path: Path, trained: Mapping[str, Any], stood: str | None, given: str | None) -> str:
    """Where to look for a backbone: where one says, else on the hub, which knows its own models, else where its folder stood in training.

    Raises:
        ConfigError: it is another model of the hub, or no folder.
    """
    model_id = trained.get("model_id")
    location = given or model_id or stood
    if location is not None and (location == model_id or Path(location).expanduser().is_dir()):
        return str(location)
    tried = f"{location} is no folder here" if location else "the checkpoint does not tell its folder"
    raise ConfigError(f"{path} was trained with the backbone {described(trained)}; {tried}: say where it is")
