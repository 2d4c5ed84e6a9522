"""Decoding of audio files into blocks of samples, for training, `predict` and the service.

Errors are raised as `AudioError` with a reason code. Special files cannot block the program, and no memory is allocated on the word of a
header.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import soundfile

from ser.audio.containers import identify
from ser.audio.formats.base import TRUNCATED_SECONDS, Container
from ser.audio.recording import MAX_HOURS, Samples, block_length, check_rate
from ser.audio.source import Source, open_regular
from ser.errors import AudioError
from ser.units import samples_to_seconds, seconds_to_samples

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_VALUES = 1 << 25
"""Maximum of samples times channels decoded at once: 128 MiB of float32."""


class FileRecording:
    """An open audio file with a checked header. Implements `ser.audio.recording.Recording`."""

    def __init__(self, source: Source, container: Container, name: PurePath) -> None:
        """
        Raises:
            AudioError: bad-header, rate-too-low or too-long.
        """
        self.source, self.form, self.name, self.container = source, container, name, container.name
        sound = self.open()
        self.sample_rate, self.channels, self.num_samples = sound.samplerate, sound.channels, sound.frames
        try:
            self.block_length = self.find_block_length()
        except AudioError:
            sound.close()  # otherwise a reference to the error would keep the decoder open
            raise
        self.first_decoder: soundfile.SoundFile | None = sound

    def find_block_length(self) -> int:
        """Number of samples in a block. Raises the errors of the constructor."""
        check_rate(self.sample_rate)
        if seconds_to_samples(1, self.sample_rate) > MAX_VALUES // 8:
            raise AudioError("too-long", f"{self.sample_rate} Hz: a second is more than {MAX_VALUES // 8} values")
        return block_length(self.sample_rate, self.channels)

    def open(self) -> soundfile.SoundFile:
        """Open a decoder at the first sample. If possible it reads from the file descriptor, which is faster than callbacks into Python."""
        os.lseek(self.source.descriptor, 0, os.SEEK_SET)
        whole = self.form.repaired_header is None
        try:
            return soundfile.SoundFile(self.source.descriptor if whole else Repaired(self.source, self.form), closefd=False)
        except soundfile.LibsndfileError as error:
            raise AudioError("bad-header", f"the decoder rejects the file: {decoder_message(error)}") from None

    def blocks(self) -> Iterator[Samples]:
        """Yield the whole recording in blocks of `block_length` samples, (samples, channels).

        Raises:
            AudioError: header-only, truncated, bad-header (an MP3 without its length) or too-long (more than `MAX_HOURS`).
        """
        count = 0
        for block in self.decode(self.block_length, self.num_samples):
            count += len(block)
            if count > MAX_HOURS * 3600 * self.sample_rate:
                raise AudioError("too-long", f"more than {MAX_HOURS} hours")
            yield block

    def first_block(self, seconds: float) -> Iterator[Samples]:
        """Yield at most the first seconds, in one block, because the rounding of some decoders depends on where a read begins.

        Raises:
            AudioError: as of `blocks`; too-long (more than `MAX_VALUES` samples times channels).
        """
        limit = min(self.num_samples, seconds_to_samples(seconds, self.sample_rate))
        if limit * self.channels > MAX_VALUES:
            raise AudioError("too-long", f"{self.channels} channels at {self.sample_rate} Hz: more than {MAX_VALUES} values")
        return self.decode(limit, limit)

    def decode(self, length: int, limit: int) -> Iterator[Samples]:
        """Yield the first `limit` samples in blocks of `length`. Raises the errors of `blocks`."""
        count = 0
        with self.decoder() as sound:
            while count < limit and len(block := read_block(sound, min(length, limit - count))):
                count += len(block)
                yield block
        self.check_end(count, limit)

    def decoder(self) -> soundfile.SoundFile:
        """Return the decoder that read the header on the first call, a new one later. Opening a compressed file is slow."""
        sound, self.first_decoder = self.first_decoder or self.open(), None
        return sound

    def check_end(self, count: int, promised: int) -> None:
        """Compare the number of decoded samples with the number that the header states. Raises the errors of `blocks`."""
        if not count:
            raise AudioError("header-only", "the file has a header but no samples")
        missing = samples_to_seconds(promised - count, self.sample_rate)
        if self.form.states_length and missing > TRUNCATED_SECONDS:
            raise AudioError("truncated", f"{missing:.3f} s shorter than the header states")
        if samples_to_seconds(count, self.sample_rate) < self.form.least_seconds - TRUNCATED_SECONDS:
            raise AudioError(
                "bad-header", "an MP3 with a variable bit rate but no Xing header, so its length is unknown; convert it to WAV or FLAC"
            )


def read_block(sound: soundfile.SoundFile, length: int) -> Samples:
    """Decode up to `length` samples, (samples, channels).

    Raises:
        AudioError: truncated.
    """
    try:
        block: Samples = sound.read(length, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError("truncated", f"decoding stops before the end: {decoder_message(error)}") from None
    return block


def decoder_message(error: soundfile.LibsndfileError) -> str:
    """Message of the decoder, without the file descriptor."""
    return str(error.error_string).strip().rstrip(".") or f"error {error.code}"


class Repaired(io.RawIOBase):
    """A WAV file whose header is replaced by one with correct sizes."""

    def __init__(self, source: Source, container: Container) -> None:
        super().__init__()
        self.source, self.header, self.start = source, container.repaired_header or b"", container.data_offset
        self.length, self.position = len(self.header) + source.size - container.data_offset, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.length}[whence]
        return self.position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), max(0, self.length - self.position))
        piece = self.header[self.position : self.position + wanted]
        if len(piece) < wanted:
            beyond = self.position + len(piece) - len(self.header)
            piece += self.source.at(self.start + beyond, wanted - len(piece))
        view[: len(piece)] = piece
        self.position += len(piece)
        return len(piece)


@contextmanager
def open_recording(path: Path) -> Iterator[FileRecording]:
    """Open an audio file and check its header.

    The messages of the errors do not name the file; the caller adds it.

    Raises:
        AudioError: not-a-file, link-loop, dangling-link or unreadable; empty, lfs-pointer, not-audio, unsupported-codec, bad-header,
            header-only or truncated; rate-too-low or too-long.
    """
    with open_regular(path) as source:
        yield FileRecording(source, identify(source), path)
