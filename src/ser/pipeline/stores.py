"""Which feature stores a config asks for: for each family one of all utterances and, with augmentation, one of the altered copies.

What the numbers of a store depend on makes its fingerprint: the family names its own settings (`FeatureFamily.spec`), those of the altered
copies are named here, key by key. A setting that a later version adds leaves the stores of today valid unless it is added too.
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
"""Settings that an altered copy depends on; `speed` is added where it is set."""


def store_folders(config: ExperimentConfig, features: Collection[str]) -> dict[str, list[Path]]:
    """To read: {name of the family: the store of all utterances and, where the config asks for them, the store of altered copies}.

    `ssl.device` need not be here: the backbone does not run.

    Args:
        features: whose stores are asked for; a family that makes none of them is not asked.

    Raises:
        ConfigError: as of `store_spec`, or copies without the extra `augment`.
        DataError: as of `store_spec`.
    """
    return {family.name: readable_folders(config, family) for family in families_of(features)}


def readable_folders(config: ExperimentConfig, family: FeatureFamily) -> list[Path]:
    """The first finished stores among those that serve; the family's first choice where none are finished."""
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
    """Of one family."""
    return [folder for folder in (store_folder(config, name), augmented_folder(config, name)) if folder]


def store_folder(config: ExperimentConfig, name: str = SPECTRAL) -> Path:
    """Of the features of all utterances, where nothing else is named the spectral ones."""
    return paths.features_folder(config.project) / store_spec(config, name).folder_name


def augmented_folder(config: ExperimentConfig, name: str = SPECTRAL) -> Path | None:
    """Of the altered copies of the training clips, where the config asks for them; name as of `store_folder`."""
    return paths.features_folder(config.project) / augmented_spec(config, name).folder_name if config.augmentations.copies else None


def store_spec(config: ExperimentConfig, name: str) -> StoreSpec:
    """Of the features of all utterances; errors as of `FeatureFamily.spec`."""
    return get_family(name).spec(config)


def augmented_spec(config: ExperimentConfig, name: str) -> StoreSpec:
    """Of the altered copies.

    Raises:
        ConfigError: the extra `augment` is not installed; else as of `store_spec`.
        DataError: as of `store_spec`.
    """
    family = get_family(name)
    spec = family.spec(config)
    settings = config.augmentations.model_dump(mode="json", include=AUGMENTATION_KEYS)
    if config.augmentations.speed:  # left out where it is not set, as before there was such a setting: stores of that time stay valid
        settings["speed"] = list(config.augmentations.speed)
    ingredients = {**spec.ingredients, "augment_version": AUGMENT_VERSION, "augmentations": settings}
    if config.augmentations.noise_snr_db:
        ingredients["noise_version"] = NOISE_VERSION
    if config.augmentations.needs_library:
        ingredients["audiomentations"] = library_version()
    return StoreSpec(family.augmented_name, spec.dims, spec.frame_rate, spec.dtype, ingredients)


def frame_bytes(spec: StoreSpec) -> int:
    """Of one frame on disk."""
    return spec.columns * np.dtype(spec.dtype).itemsize
