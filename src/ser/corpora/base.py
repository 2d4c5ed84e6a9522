"""What the project knows about a corpus, and what a file's name says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal

from ser.errors import AudioError

if TYPE_CHECKING:  # numpy is not needed to know a corpus
    from ser.corpora.votes import Votes

Gender = Literal["female", "male"]


@dataclass(frozen=True, slots=True)
class Speaker:
    gender: Gender
    age: int | None = None
    """Years, where the corpus tells."""


@dataclass(frozen=True, slots=True)
class Label:
    """What an emotion code of the file names means."""

    emotion: str
    """In the common vocabulary."""
    source_label: str
    """The corpus's own word."""
    num_files: int


@dataclass(frozen=True, slots=True)
class ParsedName:
    """The fields of an `Utterance` that a path tells."""

    id: str
    speaker: str
    """`corpus/name`."""
    gender: str
    emotion: str
    source_label: str
    intensity: str
    """low, medium, normal, high, strong, or empty where the corpus does not tell."""
    statement: str
    """The corpus's code of what is said."""


@dataclass(frozen=True, slots=True)
class VoteTable:
    """A table beside a corpus's audio, in which its owners count how listeners heard the clips."""

    find: Callable[[Path], "Votes | None"]
    """The corpus's folder -> its votes; None where the table is not there. Raises DataError: it is corrupted."""
    how_to_get: str
    """One sentence for somebody who lacks it."""


@dataclass(frozen=True)
class Corpus:
    """The facts of one corpus. Counts are of the complete corpus."""

    name: str
    title: str
    licence: str
    citation: str
    url: str
    how_to_get: str
    """One sentence for somebody whose folder lacks the audio."""
    example: str
    """A path below the corpus's folder."""
    example_meaning: str
    num_files: int
    num_clips: int
    """Left after screening."""
    accent: str
    """Of its English."""
    speakers: Mapping[str, Speaker]
    labels: Mapping[str, Label]
    parse: Callable[[PurePath], ParsedName]
    """Path below the corpus's folder, in any case -> what it says.

    Raises AudioError: bad-name, wrong-modality, wrong-channel or speaker-mismatch.
    """
    votes: VoteTable | None = None
    """Where its owners give one."""
    asks_attribution_only: bool = False
    """It asks for no more than to be named. Any other is not for commercial use, and its sound stays where it is."""
    licence_clause: str = ""
    """Follows its licence wherever this is named."""

    @property
    def short_title(self) -> str:
        return self.title.partition(":")[0].partition(" (")[0]


def bad_name(path: PurePath, expected: str) -> AudioError:
    """The error for a name that does not parse."""
    return AudioError("bad-name", f"{path.name!r} is not like {expected!r}")


def check_folder(path: PurePath, speaker: str, folder_speaker: str | None) -> None:
    """
    Raises:
        AudioError: speaker-mismatch.
    """
    if folder_speaker is not None and folder_speaker != speaker:
        raise AudioError("speaker-mismatch", f"{path.name!r} is of speaker {speaker}, but its folder is of {folder_speaker}")
