"""Result of the check of a header."""

from dataclasses import dataclass

from ser.errors import AudioError

TRUNCATED_SECONDS = 0.025
"""A file counts as truncated if more than this is missing compared with its header."""
MAX_CHUNKS = 1000
"""Maximum number of chunks to walk. RIFF and AIFF files have a handful; more means a malicious or corrupted file."""


@dataclass(frozen=True, slots=True)
class Container:
    """Container of a file, with what its checked header states."""

    name: str
    """wav, aiff, flac, ogg (Vorbis), opus or mp3."""
    states_length: bool = True
    """Whether the header states the number of samples; an MP3 without a Xing header does not."""
    least_seconds: float = 0.0
    """Least duration that must be decoded. It is counted in an MP3 without a Xing header, because decoders guess its length if the bit rate
    varies."""
    repaired_header: bytes | None = None
    """Header with correct sizes for a WAV file whose writer did not fill them in. The samples start at `data_offset` of the file."""
    data_offset: int = 0


def check_length(promised: int, there: int, frame_bytes: int, rate: int) -> None:
    """Compare the number of bytes that the header states with the number of bytes in the file.

    Raises:
        AudioError: header-only or truncated.
    """
    if min(promised, there) < frame_bytes:
        raise AudioError("header-only", "the file has a header but no samples")
    missing = (promised - there) / (frame_bytes * rate)
    if missing > TRUNCATED_SECONDS:
        raise AudioError("truncated", f"{missing:.3f} s shorter than the header states")
