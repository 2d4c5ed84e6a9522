"""The table of feature families: the module and the features of each. A new family is one file and one line here.

It is at the top level because a config is checked against it; `ser.features.registry` has the families themselves.
"""

from dataclasses import dataclass

SPECTRAL = "spectral"
"""The family of the short-time Fourier transform."""
SSL = "ssl"
"""The family of a frozen speech backbone (self-supervised learning), and its one feature."""


@dataclass(frozen=True, slots=True)
class FamilyEntry:
    """One line of the table."""

    module: str
    """Module with the family as `FAMILY`, imported on first use."""
    features: tuple[str, ...]
    """Names of the features, in the order of a network's branches or experts."""
    on_hop_grid: bool = True
    """Whether there is one frame at every `features.hop_length`-th sample, as in spectral features; spectral_crnn accepts only such
    features."""
    contextual: bool = False
    """Whether a network computed the frames: each contains context and position, so its expert starts without a convolution."""


FAMILIES: dict[str, FamilyEntry] = {
    SSL: FamilyEntry("ser.features.ssl_family", (SSL,), on_hop_grid=False, contextual=True),
    SPECTRAL: FamilyEntry("ser.features.spectral_family", ("mel", "mfcc", "chroma")),
}
"""{name: entry}. Branches and experts have this order, independent of the order in a config."""


def feature_names() -> tuple[str, ...]:
    """The features of all families, in the order of the table.

    >>> feature_names()
    ('ssl', 'mel', 'mfcc', 'chroma')
    """
    return tuple(feature for entry in FAMILIES.values() for feature in entry.features)


def family_name(feature: str) -> str:
    """
    Raises:
        KeyError: no family computes this feature.

    >>> family_name("mfcc")
    'spectral'
    """
    for name, entry in FAMILIES.items():
        if feature in entry.features:
            return name
    raise KeyError(feature)


def entry_of(feature: str) -> FamilyEntry:
    """The entry of the family that computes a feature. Raises the errors of `family_name`."""
    return FAMILIES[family_name(feature)]
