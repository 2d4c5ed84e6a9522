"""Description of a corpus, and the fields encoded in a file's name."""

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
    """Age in years, if the corpus states it."""


@dataclass(frozen=True, slots=True)
class Label:
    """Meaning of an emotion code in the file names."""

    emotion: str
    """Emotion of the common vocabulary."""
    source_label: str
    """Name of the emotion in the corpus."""
    num_files: int


@dataclass(frozen=True, slots=True)
class ParsedName:
    """The fields of an `Utterance` that are encoded in a path."""

    id: str
    speaker: str
    """`corpus/name`."""
    gender: str
    emotion: str
    source_label: str
    intensity: str
    """low, medium, normal, high, strong, or empty if the corpus does not state it."""
    statement: str
    """The corpus's code of the spoken text."""


@dataclass(frozen=True, slots=True)
class VoteTable:
    """Table with the votes of listeners on the emotion of each clip, published with a corpus."""

    find: Callable[[Path], "Votes | None"]
    """Function from the corpus's folder to its votes; None if there is no table. Raises DataError if the table is corrupted."""
    how_to_get: str
    """Instructions to obtain the table, one sentence."""


@dataclass(frozen=True)
class Corpus:
    """Description of one corpus. Counts are those of the complete corpus."""

    name: str
    title: str
    licence: str
    citation: str
    url: str
    how_to_get: str
    """Instructions to obtain the audio, one sentence."""
    example: str
    """Example of a path below the corpus's folder."""
    example_meaning: str
    num_files: int
    num_clips: int
    """Number of clips that pass screening."""
    accent: str
    """Accent of the English that is spoken."""
    speakers: Mapping[str, Speaker]
    labels: Mapping[str, Label]
    parse: Callable[[PurePath], ParsedName]
    """Function from a path below the corpus's folder, in any case, to its fields.

    Raises AudioError: bad-name, wrong-modality, wrong-channel or speaker-mismatch.
    """
    votes: VoteTable | None = None
    """Table of listeners' votes, if the corpus has one."""
    requires_attribution_only: bool = False
    """Whether the licence requires only attribution. Otherwise commercial use and sharing of the audio are not allowed."""
    licence_clause: str = ""
    """Clause to append to the name of the licence."""

    @property
    def short_title(self) -> str:
        return self.title.partition(":")[0].partition(" (")[0]


def bad_name(path: PurePath, expected: str) -> AudioError:
    """The error for a name that does not parse."""
    return AudioError("bad-name", f"{path.name!r} is not like {expected!r}")


def check_folder(path: PurePath, speaker: str, folder_speaker: str | None) -> None:
    """Check that the folder of a file belongs to the speaker in its name.

    Raises:
        AudioError: speaker-mismatch.
    """
    if folder_speaker is not None and folder_speaker != speaker:
        raise AudioError("speaker-mismatch", f"{path.name!r} is of speaker {speaker}, but its folder is of {folder_speaker}")
