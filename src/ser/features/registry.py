"""Access to the families in the table of `ser.families`. Torch is imported only when a family that needs it computes."""

from collections.abc import Collection, Iterable
from functools import lru_cache
from importlib import import_module

from ser.config import ExperimentConfig
from ser.families import FAMILIES, family_name
from ser.features.family import FeatureFamily


def get_family(name: str) -> FeatureFamily:
    """Family by name.

    Raises:
        KeyError: there is no such family.

    >>> get_family("spectral").features
    ('mel', 'mfcc', 'chroma')
    """
    return load_family(FAMILIES[name].module)


@lru_cache
def load_family(module: str) -> FeatureFamily:
    """Import a module and return its `FAMILY`."""
    family = import_module(module).FAMILY
    assert isinstance(family, FeatureFamily)
    return family


def family_of(feature: str) -> FeatureFamily:
    """Family that computes a feature.

    Raises:
        KeyError: there is no such feature.
    """
    return get_family(family_name(feature))


def families_of(features: Collection[str]) -> list[FeatureFamily]:
    """Families that compute these features. Those that import torch are last, because workers of the others are forked without it.

    >>> [family.name for family in families_of(["ssl", "mel"])]
    ['spectral', 'ssl']
    """
    names = dict.fromkeys(family_name(feature) for feature in features)
    in_table_order = [get_family(name) for name in FAMILIES if name in names]
    return sorted(in_table_order, key=lambda family: family.loads_torch)


def backbone_of(config: ExperimentConfig) -> str | None:
    """Folder or hub model of the speech backbone whose features the config's model uses; None without one."""
    return config.ssl.model_id if any_backbone(config.model.features) else None


def any_backbone(features: Iterable[str]) -> bool:
    """Whether a speech backbone computes one of these features."""
    return any(family_of(feature).runs_backbone for feature in features)


def masked_features(features: Iterable[str]) -> set[str]:
    """The features that SpecAugment masks in training."""
    return {feature for feature in features if family_of(feature).masked}
