"""Interface of a family of features towards the rest of the program.

The pipeline, `predict`, `export`, `report` and `visualize` do not depend on particular families: they get the family of a feature from
`ser.features.registry`. Most methods have a default here, so a new family mainly implements the description of its store and an extractor.
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
"""Settings of the section audio that the features of every store depend on."""

GROUP_CLIPS = 8
"""Default number of waveforms that a worker processes at once."""

Device = Literal["auto", "cpu", "cuda", "mps"]

Finding = tuple[str, str, str]
"""(subject, `ok` / `note` / `missing`, detail)"""


@dataclass(frozen=True, slots=True)
class GroupLimit:
    """Maximum size of the group of clips that a worker processes at once. A group has at least one clip."""

    clips: int | None = None
    """Maximum number of clips; None for no limit."""
    seconds: float | None = None
    """Maximum duration in seconds; None for no limit."""


@dataclass(frozen=True, slots=True)
class Readable:
    """A config whose stores may be read instead of those of another config."""

    config: ExperimentConfig
    warning: str = ""
    """Warning to log if these stores are read."""


@dataclass(frozen=True, slots=True)
class Trained:
    """Description of an extractor in a checkpoint, and the device to run it on now."""

    checkpoint: Path
    audio: AudioConfig
    store: StoreSpec
    """Store that the model was trained on."""
    backbone_then: str | None
    """Folder or hub model in the config of the training; None in older checkpoints."""
    backbone: str | None
    """Folder or hub model given by the user; None for the one of the training."""
    device: Device


@dataclass(frozen=True, slots=True)
class FeatureView:
    """How a feature is plotted."""

    title: str
    unit: str
    """Unit before normalisation."""
    height: float = 1.5
    """Height in inches."""
    centred: bool = True
    """Whether frame k is centred at k / rate seconds; otherwise it starts there."""
    row_label: str = "row"
    """Label of the vertical axis, which numbers the rows shown."""
    rows: tuple[int, int | None] = (0, None)
    """(first column shown, column after the last); None for the end."""


class FeatureFamily(ABC):
    """A family of features with one extractor. Objects have no state; the config is an argument of each call.

    Attributes:
        name: name in the table `ser.families.FAMILIES`; the first part of its store's folder.
        code_version: part of the store's fingerprint, to be raised if a change of the code changes the features.
        loads_torch: whether it computes with torch. Such families come last: workers of the others are forked before torch is loaded.
        masked: whether SpecAugment masks its features in training.
        runs_backbone: whether it uses the speech backbone of the section ssl.
        longest_first: whether the longest clips are computed first, so that all workers finish at about the same time. Otherwise
            neighbours in the manifest share a shard.
        counts_audio: whether progress counts seconds of audio instead of clips; also whether `--dry-run` measures the speed.
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
        """Names of its features, in order."""
        return FAMILIES[self.name].features

    @property
    def augmented_name(self) -> str:
        """First part of the name of the folder for augmented copies."""
        return f"{self.name}-augmented"

    # -- stores

    @abstractmethod
    def spec(self, config: ExperimentConfig) -> StoreSpec:
        """Description of the store of all utterances.

        It lists every setting that the features depend on, key by key, so that a setting added in a later version does not invalidate
        existing stores unless it is added here too.

        Raises:
            ConfigError: the config is not suitable, or an extra or device is not available.
            DataError: a required file is missing and cannot be downloaded.
        """

    def settle(self, config: ExperimentConfig) -> ExperimentConfig:
        """Resolve the settings that depend on the machine, before the name of a store is found.

        Raises:
            ConfigError: a device is not available.
        """
        return config

    def readable(self, config: ExperimentConfig) -> Iterator[Readable]:
        """Yield configs whose finished stores can be read, best first."""
        yield Readable(config)

    # -- computing

    @abstractmethod
    def make(self, config: ExperimentConfig) -> FeatureExtractor:
        """Build the extractor. Raises the errors of `spec`."""

    @abstractmethod
    def rebuild(self, trained: Trained) -> Callable[[], FeatureExtractor]:
        """Read the description of the store that a model was trained on, and return a function that builds its extractor.

        There are two steps so that only errors in the description are attributed to the checkpoint. The returned function raises
        ConfigError if the backbone is missing or is not the one of the training, and DataError as `spec` does.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: the store's description is not one of this family.
            ConfigError: the location of the backbone is unknown.
        """

    def exact(self, extractor: FeatureExtractor) -> FeatureExtractor:
        """The same extractor in fp32, as the reference for an exported graph."""
        return extractor

    def missing_files(self, config: ExperimentConfig) -> str:
        """Description of the files that must be downloaded; empty if there are none. Raises the errors of `spec`."""
        return ""

    def fetch(self, config: ExperimentConfig) -> None:
        """Download missing files.

        Raises:
            DataError: they cannot be downloaded.
        """

    def shard_clips(self, config: ExperimentConfig) -> int:
        """Number of clips in one file of the store."""
        return config.features.shard_clips

    def workers(self, config: ExperimentConfig) -> int | None:
        """Number of worker processes, if the family restricts it; None for that of `runtime.workers`."""
        return None

    def threads(self) -> AbstractContextManager[None]:
        """Context manager for the computation that limits the threads of each worker, because the workers share the cores."""
        return nullcontext()

    def group_limit(self, config: ExperimentConfig) -> GroupLimit:
        """Maximum size of the groups of clips that a worker processes."""
        return GroupLimit(clips=GROUP_CLIPS)

    # -- reporting

    def findings(self, config: ExperimentConfig) -> Iterator[Finding]:
        """Yield the checks of the doctor step, besides those of packages."""
        return iter(())

    def backbone_facts(self, extractor: FeatureExtractor, store: StoreSpec) -> Mapping[str, object] | None:
        """Description of the required backbone for an exported file; None for a family without one."""
        return None

    def view(self, feature: str, spec: StoreSpec, most_rows: int) -> FeatureView:
        """How to plot a feature.

        Args:
            most_rows: maximum number of rows shown if the rows have no order, such as the dimensions of a hidden state.
        """
        return FeatureView(feature, "")
