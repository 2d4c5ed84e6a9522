"""Named, versioned evaluation protocols: the speakers or clips for train, val and test in each fold.

`protocols.json` lists every fold explicitly, so that a protocol does not change with the code. scripts/write_protocols.py writes that file:
the folds of EmoBox, Luna-Jimenez, Pepino, audEERING and peft-ser as published, and those of this project. A checksum covers everything
that a score depends on; a protocol whose folds change gets a new version.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from ser.config import Config, Corpus, LabelMapping, LabelsConfig, SplitConfig
from ser.config_file import suggestion
from ser.corpora.registry import CORPORA
from ser.errors import ArtefactError, ConfigError
from ser.system.files import digest_json, read_json

FILE = Path(str(resources.files("ser"))) / "protocols.json"
"""The data of all protocols."""

CELL = "-to-"
"""Separator of the two corpora in the name of a fold of the corpus x corpus matrix."""


class Counts(Config):
    """Number of clips in each part of a fold."""

    train: int
    val: int
    test: int


class PublishedCounts(Config):
    """Number of clips as published, before screening. `train` includes the clips that are held out here for validation."""

    train: int
    test: int


class Fold(Config):
    """One division of the clips. Speakers or clips of `corpora` that are not listed are used for training."""

    name: str
    corpora: tuple[Corpus, ...]
    labels: LabelMapping
    val_speakers: tuple[str, ...] = ()
    test_speakers: tuple[str, ...] = ()
    val_ids: tuple[str, ...] = ()
    test_ids: tuple[str, ...] = ()
    counts: Counts
    """Number of clips of the complete corpora, after screening."""
    published: PublishedCounts | None = None

    @property
    def by_id(self) -> bool:
        """Whether the fold lists clips instead of speakers."""
        return bool(self.test_ids)

    @property
    def tested_corpora(self) -> set[str]:
        """Corpora with a listed speaker or clip in test."""
        return {speaker.partition("/")[0] for speaker in self.test_speakers} | {i.partition("_")[0] for i in self.test_ids}

    @property
    def training_corpora(self) -> set[str]:
        """Corpora with a training speaker, if all corpora are complete."""
        held_out = {*self.val_speakers, *self.test_speakers}
        return {corpus for corpus in self.corpora if any(f"{corpus}/{name}" not in held_out for name in CORPORA[corpus].speakers)}

    @property
    def labels_config(self) -> LabelsConfig:
        """A missing class is an error, because scores over other classes are not comparable with those of the protocol."""
        return LabelsConfig(merge=self.labels.merge, keep=self.labels.keep, missing="error")

    def split(self, name: str) -> SplitConfig:
        """Config of this fold as a split with this name. Folds with lists of clips are not declared speaker-disjoint."""
        if self.by_id:
            return SplitConfig(
                name=name, rule="explicit-ids", kind="sample-disjoint", corpora=self.corpora, val_ids=self.val_ids, test_ids=self.test_ids
            )
        return SplitConfig(
            name=name, rule="explicit-speakers", corpora=self.corpora, val_speakers=self.val_speakers, test_speakers=self.test_speakers
        )


class Protocol(Config):
    """A named set of folds."""

    name: str
    version: int
    title: str
    source: str
    """Publication that the folds are from."""
    validation: str
    """How the clips that select the epoch are chosen."""
    speakers: Literal["disjoint", "shared"]
    """`shared` if speakers are in both train and test; scores are then comparable only within the same protocol."""
    transductive: bool = False
    """Whether the test part is used in training without its labels."""
    folds: tuple[Fold, ...]
    checksum: str

    @property
    def corpora(self) -> tuple[str, ...]:
        """Corpora of all folds, sorted."""
        return tuple(sorted({corpus for fold in self.folds for corpus in fold.corpora}))

    @property
    def slug(self) -> str:
        """Name of the protocol in folder names."""
        return f"{self.name.replace('/', '-')}-v{self.version}"

    def split_name(self, fold: Fold) -> str:
        return f"{self.slug}-{fold.name}"

    def choose(self, names: Sequence[str] | None) -> tuple[Fold, ...]:
        """Folds with these names in the protocol's order; all folds for None.

        Raises:
            ConfigError: there is no such fold.
        """
        known = [fold.name for fold in self.folds]
        for name in names or ():
            if name not in known:
                raise ConfigError(f"{self.name} has no fold {name!r}{suggestion(name, known)}; folds: {', '.join(known)}")
        return tuple(fold for fold in self.folds if names is None or fold.name in names)


def checksum(protocol: Mapping[str, object]) -> str:
    """SHA-256 of name, version and folds of a protocol, on which a score depends."""
    return digest_json({key: protocol[key] for key in ("name", "version", "folds")})


@cache
def read_protocols(path: Path = FILE) -> dict[str, Protocol]:
    """{name: protocol}, in the order of the file.

    Raises:
        ArtefactError: the file is corrupted, or a protocol does not match its checksum.
    """
    content = read_json(path)
    try:
        protocols = [Protocol.model_validate(item) for item in content["protocols"]]
    except (KeyError, TypeError, ValidationError) as error:
        raise ArtefactError(f"{path} is not a file of protocols ({str(error).splitlines()[0]}): install ser again") from None
    for protocol in protocols:
        if checksum(protocol.model_dump(mode="json")) != protocol.checksum:
            raise ArtefactError(f"{path}: the folds of {protocol.name} do not match its checksum: install ser again")
    return {protocol.name: protocol for protocol in protocols}


def find_protocol(name: str) -> Protocol:
    """Find a protocol by name.

    Raises:
        ConfigError: there is no protocol with this name.
        ArtefactError: as of `read_protocols`.
    """
    protocols = read_protocols()
    if name not in protocols:
        raise ConfigError(f"there is no protocol {name!r}{suggestion(name, protocols)}; `ser protocol list` shows all")
    return protocols[name]
