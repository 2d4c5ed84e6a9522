"""Decoded audio in blocks, so that long recordings are never held in memory as a whole."""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ser.audio.waveform import TRIM_HOP_SECONDS
from ser.errors import AudioError
from ser.units import seconds_to_samples

MIN_SAMPLE_RATE = 4_000
"""Lowest accepted sample rate in Hz."""
BLOCK_SECONDS = 10.0
"""Maximum duration of a block."""
BLOCK_VALUES = 1 << 21
"""Maximum of samples times channels in a block: 8 MiB of float32."""
MAX_HOURS = 24
"""Maximum duration of a recording."""

Samples = NDArray[np.float32]
"""(samples, channels); full scale is 1."""


class Recording(Protocol):
    """Decoded audio that can be read more than once."""

    @property
    def name(self) -> PurePath:
        """Name of the file; only its suffix is used."""

    @property
    def container(self) -> str:
        """Container, see `ser.audio.containers`; empty for samples that do not come from a file."""

    @property
    def sample_rate(self) -> int:
        """Sample rate in Hz."""

    @property
    def channels(self) -> int: ...

    def blocks(self) -> Iterator[Samples]:
        """Yield blocks (samples, channels) from the start; all but the last have the same length. Raises AudioError."""


def check_rate(sample_rate: int) -> None:
    """Check the sample rate in Hz.

    Raises:
        AudioError: rate-too-low.
    """
    if sample_rate < MIN_SAMPLE_RATE:
        raise AudioError("rate-too-low", f"{sample_rate} Hz; at least {MIN_SAMPLE_RATE} Hz are needed")


def block_length(sample_rate: int, channels: int) -> int:
    """Number of samples in a block: a multiple of the trim hop, 10 s unless that exceeds `BLOCK_VALUES`.

    Raises:
        AudioError: too-long (one hop has more than `BLOCK_VALUES` values).

    >>> block_length(16_000, 1), block_length(16_000, 16)
    (160000, 131072)
    """
    hop = seconds_to_samples(TRIM_HOP_SECONDS, sample_rate)
    length = min(seconds_to_samples(BLOCK_SECONDS, sample_rate), BLOCK_VALUES // channels) // hop * hop
    if not length:
        raise AudioError("too-long", f"{channels} channels at {sample_rate} Hz: 16 ms are more than {BLOCK_VALUES} values")
    return length


class ArrayRecording:
    """A recording whose samples are in memory."""

    name, container = PurePath(), ""

    def __init__(self, samples: NDArray[np.generic], sample_rate: int) -> None:
        """
        Raises:
            AudioError: rate-too-low or too-long.
            ValueError: as of `full_scale`.
        """
        self.samples, self.sample_rate = full_scale(samples), sample_rate
        self.channels = self.samples.shape[1]
        check_rate(sample_rate)
        self.block_length = block_length(sample_rate, self.channels)

    def blocks(self) -> Iterator[Samples]:
        for start in range(0, len(self.samples), self.block_length):
            yield self.samples[start : start + self.block_length]


def full_scale(samples: NDArray[np.generic]) -> Samples:
    """Convert samples to the decoder's format: (samples, channels) float32, integers divided by their full scale.

    Raises:
        ValueError: the shape is neither (samples,) nor (samples, channels) with at least one channel, or the numbers are not real.

    >>> full_scale(np.array([16384, -32768], np.int16)).tolist()
    [[0.5], [-1.0]]
    """
    if samples.ndim not in (1, 2) or 0 in samples.shape[1:]:
        raise ValueError(f"samples of shape {samples.shape}: give (samples,) or (samples, channels)")
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
        raise ValueError(f"samples of shape {samples.shape}: give (samples, channels), not (channels, samples)")
    columns = samples[:, None] if samples.ndim == 1 else samples
    if samples.dtype.kind == "i":
        return (columns.astype(np.float64) / -float(np.iinfo(samples.dtype.name).min)).astype(np.float32)
    if np.issubdtype(samples.dtype, np.floating):
        with np.errstate(over="ignore"):  # infinite samples are found by the screening
            return columns.astype(np.float32, copy=False)
    raise ValueError(f"samples of type {samples.dtype}: give floating point numbers, full scale 1, or signed integers")
