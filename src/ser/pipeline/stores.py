"""Which feature stores a config asks for: for each extractor one of all utterances and, with augmentation, one of the altered copies.

What the numbers of a store depend on is listed here key by key, and makes its fingerprint: a setting that a later version adds leaves the
stores of today valid unless it is added here too.
"""

import logging
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from ser.audio.augment import CODE_VERSION as AUGMENT_VERSION
from ser.audio.augment import library_version
from ser.config import SSL, ExperimentConfig
from ser.errors import ConfigError
from ser.features.backbone_files import CODE_VERSION as BACKBONE_VERSION
from ser.features.backbone_files import Backbone, find_backbone, hidden_states, refuse_rate
from ser.features.base import FeatureExtractor
from ser.features.spectral import CODE_VERSION, SpectralExtractor
from ser.features.store import StoreSpec, is_finished
from ser.pipeline import paths
from ser.system.parallel import run_tasks

log = logging.getLogger(__name__)

SPECTRAL = "spectral"

AUDIO_KEYS = {"sampling_rate", "trim_silence", "trim_top_db", "duration", "pad"}
SPECTRAL_KEYS: dict[str, Any] = {
    "n_fft": True,
    "hop_length": True,
    "mel": {"n_mels", "fmin", "fmax"},
    "mfcc": {"n_mfcc"},
    "chroma": {"n_chroma"},
}
AUGMENTATION_KEYS = {"probability", "noise_snr_db", "pitch_semitones", "stretch_rate", "seed"}


def extractor_names(features: Collection[str]) -> list[str]:
    """Of the extractors that make these features. `spectral` comes first: its workers are forked before anything loads torch.

    >>> extractor_names(["ssl", "mel"])
    ['spectral', 'ssl']
    """
    return [*([SPECTRAL] if set(features) - {SSL} else []), *([SSL] if SSL in features else [])]


def make_extractor(config: ExperimentConfig, name: str) -> FeatureExtractor:
    """
    Raises:
        ConfigError: the backbone needs the extra `ssl`, which is not installed, or the settings do not fit it.
        DataError: the backbone's weights are not here.
    """
    if name == SPECTRAL:
        return SpectralExtractor(config.audio, config.features)
    from ser.features.backbone import BackboneExtractor

    return BackboneExtractor(config.ssl, config.audio.sampling_rate)


def store_folders(config: ExperimentConfig, features: Collection[str]) -> dict[str, list[Path]]:
    """To read: {name of the extractor: the store of all utterances and, where the config asks for them, the store of altered copies}.

    `ssl.device` need not be here: the backbone does not run.

    Args:
        features: whose stores are asked for; a backbone that makes none of them is not looked for.

    Raises:
        ConfigError: as of `store_spec`, or copies without the extra `augment`.
        DataError: as of `store_spec`.
    """
    return {name: ssl_folders(config) if name == SSL else folders_of(config, name) for name in extractor_names(features)}


def folders_of(config: ExperimentConfig, name: str) -> list[Path]:
    """Of one extractor."""
    return [folder for folder in (store_folder(config, name), augmented_folder(config, name)) if folder]


def ssl_folders(config: ExperimentConfig) -> list[Path]:
    """With `ssl.precision: auto`, what another machine has computed counts too: if this machine's own precision has no finished stores,
    those of the other one are taken.
    """
    if config.ssl.precision != "auto":
        return folders_of(config, SSL)
    from ser.features.backbone import resolved_precision

    try:
        own = resolved_precision(config.ssl)
    except ConfigError:
        own = resolved_precision(config.ssl.model_copy(update={"device": "auto"}))
    other = "fp32" if own == "bf16" else "bf16"
    folders, others = (folders_of(with_ssl(config, precision=precision), SSL) for precision in (own, other))
    if all(map(is_finished, folders)) or not all(map(is_finished, others)):
        return folders
    log.warning("ssl.precision is auto: no finished store of %s, this machine's own, so the one of %s is read", own, other)
    return others


def with_ssl(config: ExperimentConfig, **values: Any) -> ExperimentConfig:
    """With other values in the section ssl, not validated again."""
    return config.model_copy(update={"ssl": config.ssl.model_copy(update=values)})


def resolve_precision(config: ExperimentConfig) -> ExperimentConfig:
    """With `ssl.precision` as it comes out on this machine, so that to name a store asks no torch.

    torch is asked in another process, as long as this one has not loaded it: the workers of the spectral features are forked without it.

    Raises:
        ConfigError: `ssl.device` is not here.
    """
    if config.ssl.precision != "auto" and config.ssl.device in ("auto", "cpu"):
        return config
    answers = run_tasks(find_precision, [config], workers=1, name=lambda _: "torch's look at ssl.device", apart="torch" not in sys.modules)
    ((_, precision),) = answers
    return with_ssl(config, precision=precision)


def find_precision(config: ExperimentConfig) -> str:
    """
    Raises:
        ConfigError: `ssl.device` is not here.
    """
    from ser.features.backbone import resolved_precision

    return resolved_precision(config.ssl)


def store_folder(config: ExperimentConfig, name: str = SPECTRAL) -> Path:
    """Of the features of all utterances."""
    return paths.features_folder(config.project) / store_spec(config, name).folder_name


def augmented_folder(config: ExperimentConfig, name: str = SPECTRAL) -> Path | None:
    """Of the altered copies of the training clips, where the config asks for them."""
    return paths.features_folder(config.project) / augmented_spec(config, name).folder_name if config.augmentations.copies else None


def store_spec(config: ExperimentConfig, name: str) -> StoreSpec:
    """Of the features of all utterances. Loads torch only to find out what `ssl.precision: auto` comes to.

    Raises:
        ConfigError: as of `find_states`, or `ssl.precision` is `auto` and `ssl.device` is not here.
        DataError: as of `find_states`.
    """
    return spectral_spec(config) if name == SPECTRAL else ssl_spec(config)


def spectral_spec(config: ExperimentConfig) -> StoreSpec:
    extractor = SpectralExtractor(config.audio, config.features)
    ingredients = {
        "code_version": CODE_VERSION,
        "audio": config.audio.model_dump(mode="json", include=AUDIO_KEYS),
        "features": {"types": list(extractor.dims), **config.features.model_dump(mode="json", include=SPECTRAL_KEYS)},
    }
    return StoreSpec(SPECTRAL, extractor.dims, extractor.frame_rate, config.features.dtype, ingredients)


def ssl_spec(config: ExperimentConfig) -> StoreSpec:
    """Where the backbone's files stand is no part of it, what is in them is."""
    backbone, layers = find_states(config)
    ingredients = {
        "code_version": BACKBONE_VERSION,
        "audio": config.audio.model_dump(mode="json", include=AUDIO_KEYS),
        "backbone": {"kind": backbone.kind, **backbone.identity},
        "layers": layers,
        "precision": find_precision(config) if config.ssl.precision == "auto" else config.ssl.precision,
        "time_pool": config.ssl.time_pool,
    }
    return StoreSpec(SSL, {SSL: len(layers) * backbone.dim}, backbone.frame_rate / config.ssl.time_pool, config.ssl.dtype, ingredients)


def find_states(config: ExperimentConfig) -> tuple[Backbone, list[int]]:
    """The backbone and the hidden states of it that are stored; asks no torch.

    Raises:
        ConfigError: as of `find_backbone` and `hidden_states`, or the audio has another sample rate than the backbone takes.
        DataError: as of `find_backbone`.
    """
    backbone = find_backbone(config.ssl)
    refuse_rate(config.ssl, backbone, config.audio.sampling_rate)
    return backbone, list(hidden_states(config.ssl, backbone))


def augmented_spec(config: ExperimentConfig, name: str) -> StoreSpec:
    """Of the altered copies.

    Raises:
        ConfigError: the extra `augment` is not installed; else as of `store_spec`.
        DataError: as of `store_spec`.
    """
    spec = store_spec(config, name)
    settings: dict[str, Any] = config.augmentations.model_dump(mode="json", include=AUGMENTATION_KEYS)
    if config.augmentations.speed:  # left out where it is not set, as before there was such a setting: stores of that time stay valid
        settings["speed"] = list(config.augmentations.speed)
    ingredients = {**spec.ingredients, "augment_version": AUGMENT_VERSION, "augmentations": settings}
    if config.augmentations.needs_library:
        ingredients["audiomentations"] = library_version()
    family = "augmented" if name == SPECTRAL else f"{name}-augmented"
    return StoreSpec(family, spec.dims, spec.frame_rate, spec.dtype, ingredients)


def frame_bytes(spec: StoreSpec) -> int:
    """Of one frame on disk."""
    return spec.columns * np.dtype(spec.dtype).itemsize


def on_gpu(config: ExperimentConfig) -> bool:
    """Whether the backbone runs on one.

    Raises:
        ConfigError: `ssl.device` is not available here.
    """
    from ser.system.device import choose_device

    return choose_device(config.ssl).type != "cpu"
