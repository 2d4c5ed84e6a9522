"""Decoded audio in blocks: what is screened, measured and cut is never whole in memory unless it is short."""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ser.audio.waveform import TRIM_HOP_SECONDS
from ser.errors import AudioError
from ser.units import seconds_to_samples

MIN_SAMPLE_RATE = 4_000
"""Hz."""
BLOCK_SECONDS = 10.0
"""Of a block, at most."""
BLOCK_VALUES = 1 << 21
"""Samples times channels of a block, at most: 8 MiB of float32."""
MAX_HOURS = 24
"""A longer recording is refused."""

Samples = NDArray[np.float32]
"""(samples, channels); full scale is 1."""


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
        """From the start, each but the last of `block_length`. Raises AudioError."""


def check_rate(sample_rate: int) -> None:
    """
    Raises:
        AudioError: rate-too-low.
    """
    if sample_rate < MIN_SAMPLE_RATE:
        raise AudioError("rate-too-low", f"{sample_rate} Hz; at least {MIN_SAMPLE_RATE} Hz are needed")


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


class ArrayRecording:
    """Samples that are in memory already."""

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
        return (columns.astype(np.float64) / -float(np.iinfo(samples.dtype.name).min)).astype(np.float32)
    if np.issubdtype(samples.dtype, np.floating):
        with np.errstate(over="ignore"):  # what is infinite then is told by the screening
            return columns.astype(np.float32, copy=False)
    raise ValueError(f"samples of type {samples.dtype}: give floating point numbers, full scale 1, or signed integers")
