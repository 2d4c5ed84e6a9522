"""The feature stores of a config: for each family one of all utterances and, with augmentation, one of the altered copies.

The fingerprint of a store covers everything that its values depend on: the family names its own settings (`FeatureFamily.spec`), those of
the altered copies are named here, key by key. A setting that a later version adds does not invalidate stores unless it is added here.
"""

import logging
from collections.abc import Collection
from pathlib import Path

import numpy as np

from ser.audio.augment import CODE_VERSION as AUGMENT_VERSION
from ser.audio.augment import NOISE_VERSION, library_version
from ser.config import ExperimentConfig
from ser.families import SPECTRAL
from ser.features.family import FeatureFamily
from ser.features.registry import families_of, get_family
from ser.features.store import StoreSpec, is_finished
from ser.pipeline import paths

log = logging.getLogger(__name__)

AUGMENTATION_KEYS = {"probability", "noise_snr_db", "pitch_semitones", "stretch_rate", "seed"}
"""Settings that an altered copy depends on; `speed` is added if it is set."""


def store_folders(config: ExperimentConfig, features: Collection[str]) -> dict[str, list[Path]]:
    """The stores to read: {family: the store of all utterances and, if the config has copies, the store of altered copies}.

    `ssl.device` need not be available, because the backbone does not run.

    Args:
        features: the features to read; a family that computes none of them is left out.

    Raises:
        ConfigError: see `store_spec`; or copies need the extra `augment`, which is not installed.
        DataError: see `store_spec`.
    """
    return {family.name: readable_folders(config, family) for family in families_of(features)}


def readable_folders(config: ExperimentConfig, family: FeatureFamily) -> list[Path]:
    """The first finished stores among the suitable ones; the family's first choice if none are finished."""
    first: list[Path] = []
    for choice in family.readable(config):
        folders = folders_of(choice.config, family.name)
        first = first or folders
        if all(map(is_finished, folders)):
            if choice.warning:
                log.warning(choice.warning)
            return folders
    return first


def folders_of(config: ExperimentConfig, name: str) -> list[Path]:
    """The specs of one family's stores."""
    return [folder for folder in (store_folder(config, name), augmented_folder(config, name)) if folder]


def store_folder(config: ExperimentConfig, name: str = SPECTRAL) -> Path:
    """The folder of the store of all utterances, by default of the spectral features."""
    return paths.features_folder(config.project) / store_spec(config, name).folder_name


def augmented_folder(config: ExperimentConfig, name: str = SPECTRAL) -> Path | None:
    """The folder of the store of altered copies of the training clips; `name` as in `store_folder`."""
    return paths.features_folder(config.project) / augmented_spec(config, name).folder_name if config.augmentations.copies else None


def store_spec(config: ExperimentConfig, name: str) -> StoreSpec:
    """The spec of the store of all utterances. Raises the errors of `FeatureFamily.spec`."""
    return get_family(name).spec(config)


def augmented_spec(config: ExperimentConfig, name: str) -> StoreSpec:
    """The spec of the store of altered copies.

    Raises:
        ConfigError: the extra `augment` is not installed; or see `store_spec`.
        DataError: see `store_spec`.
    """
    family = get_family(name)
    spec = family.spec(config)
    settings = config.augmentations.model_dump(mode="json", include=AUGMENTATION_KEYS)
    if config.augmentations.speed:  # left out if it is not set, so that stores from before this setting remain valid
        settings["speed"] = list(config.augmentations.speed)
    ingredients = {**spec.ingredients, "augment_version": AUGMENT_VERSION, "augmentations": settings}
    if config.augmentations.noise_snr_db:
        ingredients["noise_version"] = NOISE_VERSION
    if config.augmentations.needs_library:
        ingredients["audiomentations"] = library_version()
    return StoreSpec(family.augmented_name, spec.dims, spec.frame_rate, spec.dtype, ingredients)


def frame_bytes(spec: StoreSpec) -> int:
    """Bytes of one frame on disk."""
    return spec.columns * np.dtype(spec.dtype).itemsize
