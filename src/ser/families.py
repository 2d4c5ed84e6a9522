"""The table of feature families: which module computes which features. A new family is one file and one line here.

It stands at the top level because a config is checked against it; `ser.features.registry` gives the families themselves.
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
    """Holds the family as `FAMILY`; imported when something asks for it."""
    features: tuple[str, ...]
    """Names, in the order of a network's branches or experts."""
    on_hop_grid: bool = True
    """Whether there is one frame at every `features.hop_length`-th sample, as in spectral features; spectral_crnn takes no others."""
    contextual: bool = False
    """Whether a network made the frames: each knows its position and the frames around it, so its expert begins with no convolution."""


FAMILIES: dict[str, FamilyEntry] = {
    SSL: FamilyEntry("ser.features.ssl_family", (SSL,), on_hop_grid=False, contextual=True),
    SPECTRAL: FamilyEntry("ser.features.spectral_family", ("mel", "mfcc", "chroma")),
}
"""{name: entry}. Branches and experts stand in this order, whatever the order in a config."""


def feature_names() -> tuple[str, ...]:
    """Of all families, in the order of the table.

    >>> feature_names()
    ('ssl', 'mel', 'mfcc', 'chroma')
    """
    return tuple(feature for entry in FAMILIES.values() for feature in entry.features)


def family_name(feature: str) -> str:
    """
    Raises:
        KeyError: no family makes this feature.

    >>> family_name("mfcc")
    'spectral'
    """
    for name, entry in FAMILIES.items():
        if feature in entry.features:
            return name
    raise KeyError(feature)


def entry_of(feature: str) -> FamilyEntry:
    """Of the family that makes a feature; errors as of `family_name`."""
    return FAMILIES[family_name(feature)]
