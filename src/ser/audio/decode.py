"""Decoding of a clip of a corpus: the whole file, but at most `READ_SECONDS` of it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser.audio.reader import open_recording
from ser.audio.recording import Recording, Samples
from ser.audio.screening import MAX_SECONDS, Screener

READ_SECONDS = MAX_SECONDS + 1
"""Decoding stops after this many seconds: enough to find out that a clip is too long, without filling the memory."""


@dataclass(frozen=True, slots=True)
class Audio:
    """A decoded file."""

    samples: NDArray[np.float32]
    """(num_samples, channels); full scale is 1."""
    sample_rate: int
    """Hz."""
    container: str
    """wav, aiff, flac, ogg (Vorbis), opus or mp3, detected from the content, not from the name."""


def read_audio(path: Path) -> Audio:
    """Decode a file, at most its first `READ_SECONDS`.

    Raises:
        AudioError: as of `ser.audio.reader.open_recording` and `FileRecording.first_block`.
    """
    with open_recording(path) as recording:
        return collect(recording, recording.first_block(READ_SECONDS))


def read_screened(path: Path) -> tuple[Audio, tuple[str, ...]]:
    """Like `read_audio`, but check the audio too and return the codes of its warnings.

    Raises:
        AudioError: as of `read_audio`; too-short, too-long, not-finite or silent.
    """
    with open_recording(path) as recording:
        screener = Screener(recording, MAX_SECONDS)
        audio = collect(recording, screener.watch(recording.first_block(READ_SECONDS)))
        return audio, screener.finish()


def collect(recording: Recording, blocks: Iterable[Samples]) -> Audio:
    """Concatenate the blocks of a recording."""
    first, *others = blocks
    return Audio(np.concatenate([first, *others]) if others else first, recording.sample_rate, recording.container)


def audio_hash(audio: Audio) -> str:
    """First half of the hexadecimal SHA-256 of sample rate, shape and decoded samples; equal for equal audio in different containers.

    SHA-256 is used because processors have instructions for it.

    >>> audio_hash(Audio(np.zeros((2, 1), dtype=np.float32), 16_000, "wav"))
    'b9360765df526fe9ed9a119fc0b61fe8'
    """
    digest = hashlib.sha256(f"{audio.sample_rate} {audio.samples.shape}".encode())
    digest.update(np.ascontiguousarray(audio.samples, dtype="<f4").data)
    return digest.hexdigest()[:32]
