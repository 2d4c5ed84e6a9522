"""A file -> float32 samples, or an `AudioError` with a reason code. Nothing hangs, nothing allocates more than a minute of audio."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from ser.audio.containers import identify
from ser.audio.formats.base import TRUNCATED_SECONDS, Container
from ser.audio.source import Source, open_regular
from ser.errors import AudioError
from ser.units import seconds_to_samples

READ_SECONDS = 61.0
"""Longer audio is cut here: enough to see that it is too long (`ser.audio.screening`), too little to fill the memory."""
MAX_VALUES = 1 << 25
"""Samples times channels that are ever decoded at once: 128 MiB of float32."""
MAX_BYTES = 9 * MAX_VALUES
"""Of encoded samples: at 8 bytes a value more than `MAX_VALUES`."""


@dataclass(frozen=True, slots=True)
class Audio:
    """A decoded file."""

    samples: NDArray[np.float32]
    """(num_samples, channels); full scale is 1."""
    sample_rate: int
    """Hz."""
    container: str
    """wav, aiff, flac, ogg (Vorbis), opus or mp3: told by content, not by name."""


def read_audio(path: Path) -> Audio:
    """Decode a file, at most its first `READ_SECONDS`.

    The details of the errors do not name the file: the caller knows it.

    Raises:
        AudioError: empty, header-only, truncated, bad-header, not-audio, lfs-pointer, unsupported-codec, too-long (so many channels
            that a minute does not fit), unreadable, not-a-file, link-loop or dangling-link.
    """
    with open_regular(path) as source:
        container = identify(source)
        return decode(source, container)


def decode(source: Source, container: Container) -> Audio:
    """
    Raises:
        AudioError: bad-header, header-only, truncated or too-long.
    """
    try:
        with soundfile.SoundFile(decoder_input(source, container), closefd=False) as sound:
            return Audio(read_samples(sound, container), sound.samplerate, container.name)
    except soundfile.LibsndfileError as error:
        raise AudioError("bad-header", f"the decoder refuses it: {describe(error)}") from None


def decoder_input(source: Source, container: Container) -> Any:
    """The descriptor itself (faster than Python's callbacks), or the first minute in memory behind its repaired header."""
    if container.repaired_header is None:
        return source.descriptor
    count = min(seconds_to_samples(READ_SECONDS, container.byte_rate), MAX_BYTES)
    return io.BytesIO(container.repaired_header + source.at(container.data_offset, count))


def read_samples(sound: Any, container: Container) -> NDArray[np.float32]:
    """(num_samples, channels) float32. Raises as `decode` does."""
    limit = seconds_to_samples(READ_SECONDS, sound.samplerate)
    if min(sound.frames, limit) * sound.channels > MAX_VALUES:
        raise AudioError("too-long", f"{sound.channels} channels at {sound.samplerate} Hz: more than {MAX_VALUES} values")
    expected = min(sound.frames, limit)
    try:
        samples: NDArray[np.float32] = sound.read(expected, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError("truncated", f"decoding stops before the end: {describe(error)}") from None
    if not len(samples):
        raise AudioError("header-only", "a header and no samples")
    missing = (expected - len(samples)) / sound.samplerate
    if container.states_length and missing > TRUNCATED_SECONDS:
        raise AudioError("truncated", f"{missing:.3f} s missing against the header")
    if len(samples) / sound.samplerate < container.least_seconds - TRUNCATED_SECONDS:
        raise AudioError(
            "bad-header", "an MP3 of variable bit rate without the Xing header that tells its length; convert it to WAV or FLAC"
        )
    return samples


def describe(error: Any) -> str:
    """The decoder's own words, without the descriptor that it names."""
    return str(error.error_string).strip().rstrip(".") or f"error {error.code}"


def audio_hash(audio: Audio) -> str:
    """First half of the sha256, hexadecimal, over sample rate, shape and decoded samples: equal for equal audio in whatever container.

    (sha256 rather than a newer hash: processors have instructions for it.)

    >>> audio_hash(Audio(np.zeros((2, 1), dtype=np.float32), 16_000, "wav"))
    'b9360765df526fe9ed9a119fc0b61fe8'
    """
    digest = hashlib.sha256(f"{audio.sample_rate} {audio.samples.shape}".encode())
    digest.update(np.ascontiguousarray(audio.samples, dtype="<f4").data)
    return digest.hexdigest()[:32]
