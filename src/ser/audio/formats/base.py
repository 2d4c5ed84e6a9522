"""What a checked header tells."""

from dataclasses import dataclass

from ser.errors import AudioError

TRUNCATED_SECONDS = 0.025
"""More than this missing against the header, and the file counts as truncated."""
MAX_CHUNKS = 1000
"""RIFF and AIFF files have a handful; more is an attack or garbage."""


@dataclass(frozen=True, slots=True)
class Container:
    """What the bytes are."""

    name: str
    """wav, aiff, flac, ogg (Vorbis), opus or mp3."""
    states_length: bool = True
    """The header tells how many samples there are (an MP3 without a Xing header does not)."""
    least_seconds: float = 0.0
    """What the decoder must give, counted in an MP3 without a Xing header: of a variable bit rate decoders then guess the length."""
    repaired_header: bytes | None = None
    """A header with true sizes, for a WAV file whose writer never filled them in; the samples follow from `data_offset`."""
    data_offset: int = 0


def check_length(promised: int, there: int, frame_bytes: int, rate: int) -> None:
    """Bytes against bytes.

    Raises:
        AudioError: header-only or truncated.
    """
    if min(promised, there) < frame_bytes:
        raise AudioError("header-only", "a header and no samples")
    missing = (promised - there) / (frame_bytes * rate)
    if missing > TRUNCATED_SECONDS:
        raise AudioError("truncated", f"{missing:.3f} s missing against the header")
