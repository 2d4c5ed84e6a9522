"""What a family of features tells the rest of the program about itself.

The pipeline, `predict`, `export`, `report` and `visualize` know no family by name: they ask `ser.features.registry` for the family of a
feature, and the family answers. Most answers have a default here, so a new family gives a store's description and an extractor, and little
besides.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ser.config import AudioConfig, ExperimentConfig
from ser.families import FAMILIES
from ser.features.base import FeatureExtractor
from ser.features.store import StoreSpec

AUDIO_KEYS = {"sampling_rate", "trim_silence", "trim_top_db", "duration", "pad"}
"""Settings of the section audio that the numbers of every store depend on."""

GROUP_CLIPS = 8
"""Waveforms that a worker holds at once, where the family says nothing else."""

Device = Literal["auto", "cpu", "cuda", "mps"]

Finding = tuple[str, str, str]
"""(what was looked at, `ok` / `note` / `missing`, detail)"""


@dataclass(frozen=True, slots=True)
class GroupLimit:
    """How much a worker holds at once. A group has at least one clip."""

    clips: int | None = None
    """None: any number."""
    seconds: float | None = None
    """Of audio; None: any length."""


@dataclass(frozen=True, slots=True)
class Readable:
    """A config whose stores may be read in place of another's."""

    config: ExperimentConfig
    warning: str = ""
    """Logged where these stores are taken."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a checkpoint tells of one extractor, and where to run it now."""

    checkpoint: Path
    audio: AudioConfig
    store: StoreSpec
    """That the model was trained on."""
    backbone_then: str | None
    """Folder or hub model, as the config of the training named it; older checkpoints do not tell."""
    backbone: str | None
    """Folder or hub model that the user names; None: where it stood in training."""
    device: Device


@dataclass(frozen=True, slots=True)
class FeatureView:
    """How a feature is drawn."""

    title: str
    unit: str
    """Before normalisation."""
    height: float = 1.5
    """Inches."""
    centred: bool = True
    """Whether frame k is centred on k / rate seconds; else it starts there."""
    row_label: str = "row"
    """Of the vertical axis, which numbers the rows that are shown."""
    rows: tuple[int, int | None] = (0, None)
    """First column of the feature that is shown, and the first after the last; None: to the end."""


class FeatureFamily(ABC):
    """One extractor, from its description to its computation. An object has no state; the config comes with each call.

    Attributes:
        name: as in the table `ser.families.FAMILIES`; the first part of its store's folder.
        code_version: part of the store's fingerprint, raised when a change of the code changes a number.
        loads_torch: whether it computes with torch. Such families come last: workers of the others are forked before torch is loaded.
        masked: whether SpecAugment masks its features in training.
        runs_backbone: whether it computes with the speech backbone of the section ssl.
        longest_first: whether the longest clips are computed first, so that all workers come to the end together. Else neighbours in the
            order of the manifest share a shard.
        counts_audio: whether progress counts seconds of audio, not clips; also whether `--dry-run` measures the speed.
    """

    name: str
    code_version: int
    loads_torch = False
    masked = True
    runs_backbone = False
    longest_first = False
    counts_audio = False

    @property
    def features(self) -> tuple[str, ...]:
        """That it makes, in their order."""
        return FAMILIES[self.name].features

    @property
    def augmented_name(self) -> str:
        """First part of the folder of altered copies."""
        return f"{self.name}-augmented"

    # -- stores

    @abstractmethod
    def spec(self, config: ExperimentConfig) -> StoreSpec:
        """Of the store of all utterances. Everything that its numbers depend on is named here, key by key: a setting that a later version
        adds leaves the stores of today valid unless it is added here too.

        Raises:
            ConfigError: the config does not fit, or an extra or device is not here.
            DataError: a file that the family needs is neither here nor to be had.
        """

    def settle(self, config: ExperimentConfig) -> ExperimentConfig:
        """With settings that depend on the machine as they come out here; before a store is named.

        Raises:
            ConfigError: a device is not here.
        """
        return config

    def readable(self, config: ExperimentConfig) -> Iterator[Readable]:
        """Configs whose finished stores serve, best first."""
        yield Readable(config)

    # -- computing

    @abstractmethod
    def make(self, config: ExperimentConfig) -> FeatureExtractor:
        """Errors as of `spec`."""

    @abstractmethod
    def rebuild(self, trained: Trained) -> Callable[[], FeatureExtractor]:
        """Read the description of the store that a model was trained on, and return what makes the extractor that filled it.

        (Two steps, so that only what is wrong with the description is put down to the checkpoint.) What is returned raises ConfigError
        where the backbone is not the one of the training or is not here, and DataError as `spec` does.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: the store's description is not one of this family.
            ConfigError: nothing tells where the backbone is.
        """

    def exact(self, extractor: FeatureExtractor) -> FeatureExtractor:
        """The same, computing in fp32: a graph is compared with it."""
        return extractor

    def missing_files(self, config: ExperimentConfig) -> str:
        """What is still to be downloaded, in words; empty where there is nothing. Errors as of `spec`."""
        return ""

    def fetch(self, config: ExperimentConfig) -> None:
        """Download what is missing.

        Raises:
            DataError: it is not to be had.
        """

    def shard_clips(self, config: ExperimentConfig) -> int:
        """Clips in one file of the store."""
        return config.features.shard_clips

    def workers(self, config: ExperimentConfig) -> int | None:
        """Processes that compute, where the family cannot have any number; None: as many as `runtime.workers` says."""
        return None

    def threads(self) -> AbstractContextManager[None]:
        """For the block that computes: the workers share the cores."""
        return nullcontext()

    def group_limit(self, config: ExperimentConfig) -> GroupLimit:
        """Of the clips that a worker holds at once."""
        return GroupLimit(clips=GROUP_CLIPS)

    # -- telling

    def findings(self, config: ExperimentConfig) -> Iterator[Finding]:
        """What the doctor step looks at, besides packages."""
        return iter(())

    def backbone_facts(self, extractor: FeatureExtractor, store: StoreSpec) -> Mapping[str, object] | None:
        """What an exported file says of the backbone that it needs; None for a family without one."""
        return None

    def view(self, feature: str, spec: StoreSpec, most_rows: int) -> FeatureView:
        """
        Args:
            most_rows: shown of a feature whose rows have no order, such as the dimensions of a hidden state.
        """
        return FeatureView(feature, "")
