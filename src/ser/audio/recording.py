"""A recording of any length, block by block: screened as it goes by, and never whole in memory unless it is short.

`ser.audio.decode` reads the clips of a corpus, a minute at most. Here a file may last for hours; the reason codes are the same, but for
`too-long`, which begins at a day.
"""

import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, Any, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from ser.audio.containers import identify
from ser.audio.decode import MAX_VALUES, describe
from ser.audio.formats.base import TRUNCATED_SECONDS, Container
from ser.audio.screening import CLIPPED_SAMPLES, FULL_SCALE, MIN_SECONDS, check_finite, check_level, check_rate, warning_codes
from ser.audio.source import HEAD_BYTES, Source, open_regular
from ser.audio.vad_silero import Silero
from ser.audio.waveform import TRIM_HOP_SECONDS, Waveform, hop_energy, mix_down
from ser.errors import AudioError
from ser.units import samples_to_seconds, seconds_to_samples

BLOCK_SECONDS = 10.0
BLOCK_VALUES = 1 << 21
"""Samples times channels of a block, at most: 8 MiB of float32."""
KEPT_SECONDS = 60.0
"""A recording up to here is decoded once and kept; a longer one is decoded twice."""
MAX_HOURS = 24
STREAM_BYTES = 1 << 32
"""Of a file that comes as a stream, at most: no WAV file can be longer."""
COPY_BYTES = 1 << 16
"""Of a stream, at once."""
HOPELESS = ("not-audio", "unsupported-codec", "lfs-pointer")
"""What the first bytes of a stream may be for good."""

Samples = NDArray[np.float32]


class Recording(Protocol):
    """Decoded audio that can be gone through more than once."""

    @property
    def name(self) -> PurePath:
        """What the file is called, for its suffix."""

    @property
    def container(self) -> str:
        """As of `ser.audio.containers`; empty for samples that come from no file."""

    @property
    def sample_rate(self) -> int:
        """Hz."""

    @property
    def channels(self) -> int: ...

    def blocks(self) -> Iterator[Samples]:
        """From the start, (samples, channels), each but the last of `block_length`. Raises AudioError."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What one pass over a recording tells."""

    num_samples: int
    sample_rate: int
    channels: int
    container: str
    warnings: tuple[str, ...]
    """Codes of `ser.reasons`."""
    hop: int
    """Samples from one energy to the next."""
    energy: NDArray[np.float64]
    """(hops + 1,) as of `ser.audio.waveform.hop_energy`, of all channels' mean."""
    voiced: NDArray[np.bool_] | None
    """(hops + 1,) which are speech, by `ser.audio.vad_silero`; None where energy tells."""
    kept: Waveform | None
    """The whole recording, mono, if it is short."""

    @property
    def seconds(self) -> float:
        return samples_to_seconds(self.num_samples, self.sample_rate)


def block_length(sample_rate: int, channels: int) -> int:
    """Samples of a block: whole hops, ten seconds where so many channels fit.

    Raises:
        AudioError: too-long (not even a hop fits).

    >>> block_length(16_000, 1), block_length(16_000, 16)
    (160000, 131072)
    """
    hop = seconds_to_samples(TRIM_HOP_SECONDS, sample_rate)
    length = min(seconds_to_samples(BLOCK_SECONDS, sample_rate), BLOCK_VALUES // channels) // hop * hop
    if not length:
        raise AudioError("too-long", f"{channels} channels at {sample_rate} Hz: 16 ms are more than {BLOCK_VALUES} values")
    return length


class FileRecording:
    """Behind an open file, whose header has been checked."""

    def __init__(self, source: Source, container: Container, name: PurePath) -> None:
        """
        Raises:
            AudioError: bad-header, rate-too-low or too-long.
        """
        self.source, self.form, self.name, self.container = source, container, name, container.name
        with self.open() as sound:
            self.sample_rate, self.channels, self.num_samples = sound.samplerate, sound.channels, sound.frames
        check_rate(self.sample_rate)
        self.block_length = block_length(self.sample_rate, self.channels)
        if seconds_to_samples(1, self.sample_rate) > MAX_VALUES // 8:
            raise AudioError("too-long", f"{self.sample_rate} Hz: a second is more than {MAX_VALUES // 8} values")

    @contextmanager
    def open(self) -> Iterator[Any]:
        """A decoder at the first sample."""
        os.lseek(self.source.descriptor, 0, os.SEEK_SET)
        whole = self.form.repaired_header is None
        try:
            sound = soundfile.SoundFile(self.source.descriptor if whole else Repaired(self.source, self.form), closefd=False)
        except soundfile.LibsndfileError as error:
            raise AudioError("bad-header", f"the decoder refuses it: {describe(error)}") from None
        with sound:
            yield sound

    def blocks(self) -> Iterator[Samples]:
        """
        Raises:
            AudioError: header-only, truncated, bad-header (an MP3 that does not tell its length) or too-long.
        """
        count = 0
        with self.open() as sound:
            while len(block := self.read(sound)):
                count += len(block)
                if count > MAX_HOURS * 3600 * self.sample_rate:
                    raise AudioError("too-long", f"more than {MAX_HOURS} hours")
                yield block
        self.check_end(count)

    def read(self, sound: Any) -> Samples:
        try:
            block: Samples = sound.read(self.block_length, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioError("truncated", f"decoding stops before the end: {describe(error)}") from None
        return block

    def check_end(self, count: int) -> None:
        """What was decoded against what was promised."""
        if not count:
            raise AudioError("header-only", "a header and no samples")
        missing = samples_to_seconds(self.num_samples - count, self.sample_rate)
        if self.form.states_length and missing > TRUNCATED_SECONDS:
            raise AudioError("truncated", f"{missing:.3f} s missing against the header")
        if samples_to_seconds(count, self.sample_rate) < self.form.least_seconds - TRUNCATED_SECONDS:
            raise AudioError(
                "bad-header", "an MP3 of variable bit rate without the Xing header that tells its length; convert it to WAV or FLAC"
            )


class Repaired(io.RawIOBase):
    """The samples of a WAV file behind a header whose sizes are true."""

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

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(0, self.length - self.position))
        piece = self.header[self.position : self.position + wanted]
        if len(piece) < wanted:
            behind = self.position + len(piece) - len(self.header)
            piece += self.source.at(self.start + behind, wanted - len(piece))
        buffer[: len(piece)] = piece
        self.position += len(piece)
        return len(piece)


class ArrayRecording:
    """Samples that are in memory already."""

    name, container = PurePath(), ""

    def __init__(self, samples: NDArray[Any], sample_rate: int) -> None:
        """
        Raises:
            AudioError: rate-too-low or too-long.
        """
        self.samples, self.sample_rate = full_scale(samples), sample_rate
        self.channels = self.samples.shape[1]
        check_rate(sample_rate)
        self.block_length = block_length(sample_rate, self.channels)

    def blocks(self) -> Iterator[Samples]:
        for start in range(0, len(self.samples), self.block_length):
            yield self.samples[start : start + self.block_length]


def full_scale(samples: NDArray[Any]) -> Samples:
    """As the decoder gives them: (samples, channels) float32, with integers divided by their full scale.

    Raises:
        ValueError: neither (samples,) nor (samples, channels) with at least one channel, or no real numbers.

    >>> full_scale(np.array([16384, -32768], np.int16)).tolist()
    [[0.5], [-1.0]]
    """
    if samples.ndim not in (1, 2) or 0 in samples.shape[1:]:
        raise ValueError(f"samples of shape {samples.shape}: give (samples,) or (samples, channels)")
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
        raise ValueError(f"samples of shape {samples.shape}: give (samples, channels), not (channels, samples)")
    columns = samples[:, None] if samples.ndim == 1 else samples
    if samples.dtype.kind == "i":
        return (columns / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what is infinite then is told by the screening
            return columns.astype(np.float32, copy=False)
    raise ValueError(f"samples of type {samples.dtype}: give floating point numbers, full scale 1, or signed integers")


@contextmanager
def open_recording(path: Path) -> Iterator[FileRecording]:
    """A file, named for its suffix.

    Raises:
        AudioError: it cannot be opened, or its bytes are no audio that is known here (`ser.audio.decode.read_audio` lists the codes).
    """
    with open_regular(path) as source:
        yield FileRecording(source, identify(source), path)


@contextmanager
def spool_recording(stream: IO[bytes]) -> Iterator[FileRecording]:
    """Bytes of a file that cannot be gone through twice, as of a pipe; they are kept in a temporary file meanwhile.

    Raises:
        AudioError: as above; too-long (more than `STREAM_BYTES`).
    """
    with tempfile.TemporaryFile(buffering=0) as file:
        source = copy_stream(stream, file)
        yield FileRecording(source, identify(source), PurePath())


def copy_stream(stream: IO[bytes], file: IO[bytes]) -> Source:
    """Errors as of `spool_recording`. What is no audio is refused by its beginning: it may have no end."""
    size = 0
    while block := stream.read(COPY_BYTES):
        size, before = size + len(block), size
        if size > STREAM_BYTES:
            raise AudioError("too-long", f"more than {STREAM_BYTES >> 30} GiB on a stream; give the file itself")
        file.write(block)
        if before < HEAD_BYTES <= size:
            check_beginning(Source.from_descriptor(file.fileno(), size))
    return Source.from_descriptor(file.fileno(), size)


def check_beginning(source: Source) -> None:
    """
    Raises:
        AudioError: these bytes are no audio, whatever follows. Behind an ID3 tag, and in an AIFF file, that cannot be told by them alone.
    """
    try:
        identify(source)
    except AudioError as error:
        if error.reason in HOPELESS and not source.head.startswith((b"ID3", b"FORM")):
            raise


def recording_of(audio: str | Path | IO[bytes]) -> AbstractContextManager[FileRecording]:
    """Errors as of `open_recording`."""
    return open_recording(Path(audio)) if isinstance(audio, str | Path) else spool_recording(audio)


class Tally:
    """What `ser.audio.screening.screen` looks at, summed up block by block."""

    def __init__(self) -> None:
        self.count, self.full = 0, 0
        self.total = self.squares = 0.0

    def add(self, block: Samples, mono: Waveform) -> None:
        """
        Raises:
            AudioError: not-finite.
        """
        check_finite(block)
        exact = mono.astype(np.float64)
        self.count += len(block)
        self.total += float(exact.sum())
        self.squares += float(exact @ exact)
        if max(block.max(), -block.min()) >= FULL_SCALE:
            self.full += int(np.count_nonzero(np.abs(block) >= FULL_SCALE))

    def judge(self, recording: Recording) -> tuple[str, ...]:
        """Warning codes.

        Raises:
            AudioError: too-short or silent.
        """
        seconds = samples_to_seconds(self.count, recording.sample_rate)
        if seconds < MIN_SECONDS:
            raise AudioError("too-short", f"{seconds:.3f} s; at least {MIN_SECONDS} s are needed")
        mean = self.total / self.count
        power = self.squares / self.count - mean**2
        check_level(float(10 * np.log10(power)) if power > 0 else -np.inf)
        clipped = self.full >= CLIPPED_SAMPLES
        return tuple(warning_codes(clipped, mean, recording.channels, recording.sample_rate, recording.container, recording.name))


def scan(recording: Recording, silero: Silero | None = None) -> Scan:
    """Go through a recording once: screen it, and measure how loud it is when.

    Args:
        silero: tells where somebody speaks.

    Raises:
        AudioError: too-short, too-long, not-finite, silent, and what the decoder finds.
    """
    hop, tally = seconds_to_samples(TRIM_HOP_SECONDS, recording.sample_rate), Tally()
    listener = silero.listen(recording.sample_rate) if silero else None
    energies: list[NDArray[np.float64]] = []
    rest = np.zeros(1)
    kept: list[Waveform] = []
    for block in recording.blocks():
        mono = mix_down(block)
        tally.add(block, mono)
        if listener:
            listener.add(mono)
        *_, rest = energy = hop_energy(mono, hop)
        energies.append(energy[:-1])
        if samples_to_seconds(tally.count, recording.sample_rate) <= KEPT_SECONDS:
            kept.append(mono)
        else:
            kept.clear()
    warnings = tally.judge(recording)
    voiced = listener.speech(hop, sum(map(len, energies)) + 1) if listener else None
    silent = voiced is not None and not voiced.any()
    return Scan(
        num_samples=tally.count,
        sample_rate=recording.sample_rate,
        channels=recording.channels,
        container=recording.container,
        warnings=(*warnings, "no-speech") if silent else warnings,
        hop=hop,
        energy=np.append(np.concatenate(energies), rest),
        voiced=voiced,
        kept=np.concatenate(kept) if kept else None,
    )


def cut(recording: Recording, found: Scan, spans: Sequence[tuple[int, int]]) -> Iterator[Waveform]:
    """The samples of each span, mono. Spans are in the order of their starts, and none ends behind the recording.

    Raises:
        AudioError: as of `scan`, where a file changes while it is read.
    """
    pieces = iter([found.kept]) if found.kept is not None else (mix_down(block) for block in recording.blocks())
    buffer, offset = np.zeros(0, np.float32), 0
    for first, last in spans:
        while offset + len(buffer) < last:
            piece = next(pieces, None)
            if piece is None:
                raise AudioError("truncated", "the file changed while it was read")
            dropped = min(max(first - offset, 0), len(buffer))
            buffer, offset = np.concatenate([buffer[dropped:], piece]), offset + dropped
        yield buffer[first - offset : last - offset]
