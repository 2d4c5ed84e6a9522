"""The manifest: a table with one row, an `Utterance`, for each usable clip."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ser.emotions import EMOTIONS
from ser.errors import ArtefactError, DataError
from ser.system.tables import iter_table, write_table


@dataclass(frozen=True, slots=True)
class Utterance:
    """One clip. `emotion` is from the common vocabulary, `source_label` is the corpus's name for it."""

    id: str
    """Id, unique over all corpora, such as `tess_OAF_pad_disgust`."""
    corpus: str
    path: str
    """Relative to data/raw, with forward slashes."""
    speaker: str
    """`corpus/name`, because numbers collide across corpora: `ravdess/07`."""
    gender: str
    """`female`, `male` or empty."""
    emotion: str
    source_label: str
    intensity: str
    statement: str
    sample_rate: int
    """Sample rate of the file in Hz."""
    channels: int
    num_samples: int
    """Number of samples of each channel."""
    duration: float
    """Seconds."""
    audio_hash: str
    """SHA-256 of the decoded samples and their rate; equal for equal audio in different containers."""


KINDS = {field.name: field.type for field in fields(Utterance)}
COLUMNS = tuple(KINDS)


class Manifest:
    """Utterances sorted by id, with constant-time access by id.

    Raises:
        DataError: two utterances share an id, or an emotion is outside the vocabulary.
    """

    def __init__(self, utterances: Iterable[Utterance]) -> None:
        self.utterances = sorted(utterances, key=lambda utterance: utterance.id)
        self._by_id = {utterance.id: utterance for utterance in self.utterances}
        if len(self._by_id) < len(self.utterances):
            twice = next(a.id for a, b in zip(self.utterances, self.utterances[1:], strict=False) if a.id == b.id)
            raise DataError(f"the manifest has the id {twice} twice")
        for utterance in self.utterances:
            if utterance.emotion not in EMOTIONS:
                raise DataError(f"{utterance.id}: the emotion {utterance.emotion!r} is not one of {', '.join(EMOTIONS)}")

    def __len__(self) -> int:
        return len(self.utterances)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self.utterances)

    def __contains__(self, utterance_id: str) -> bool:
        return utterance_id in self._by_id

    def __getitem__(self, utterance_id: str) -> Utterance:
        return self._by_id[utterance_id]

    def select(self, **values: str | float) -> "Manifest":
        """Select the utterances whose fields have these values: `manifest.select(corpus="savee", emotion="sad")`."""
        return Manifest(u for u in self if all(getattr(u, key) == value for key, value in values.items()))


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest atomically as CSV with the columns of `Utterance`."""
    write_table(path, COLUMNS, (asdict(utterance) for utterance in manifest))


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        DataError: there is no manifest yet.
        ArtefactError: the table is corrupted.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist: run the extract step first")
    utterances = [parse_row(path, row) for row in iter_table(path, COLUMNS)]
    try:
        return Manifest(utterances)
    except DataError as error:
        raise ArtefactError(f"{path} is corrupted ({error}); run the extract step again") from None


def parse_row(path: Path, row: dict[str, str]) -> Utterance:
    """Convert text cells to typed fields. Raises the errors of `read_manifest`."""
    try:
        utterance = Utterance(**{name: KINDS[name](row[name]) for name in COLUMNS})  # type: ignore[operator]
        if min(utterance.sample_rate, utterance.channels) < 1 or utterance.num_samples < 0 or not 0 <= utterance.duration < math.inf:
            raise ValueError("a rate, a count or a duration is out of range")
    except ValueError as error:
        raise ArtefactError(f"{path}: the row of {row['id']!r} cannot be read ({error}); run the extract step again") from None
    return utterance


def copy_id(utterance_id: str, copy: int) -> str:
    """Id of an augmented copy.

    >>> copy_id("tess_OAF_pad_disgust", 1)
    'tess_OAF_pad_disgust~1'
    """
    return f"{utterance_id}~{copy}"


def original_id(utterance_id: str) -> str:
    """Id of the clip that an augmented copy was made from; other ids are returned unchanged.

    >>> original_id("savee_DC_a01~2"), original_id("savee_DC_a01")
    ('savee_DC_a01', 'savee_DC_a01')
    """
    original, sign, copy = utterance_id.rpartition("~")
    return original if sign and copy.isdecimal() else utterance_id
