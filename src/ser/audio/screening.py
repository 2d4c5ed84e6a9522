"""Checks of decoded audio that reject it or add a warning, shared by the extract step, `predict` and the service."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ser.audio.containers import SUFFIX_CONTAINERS
from ser.audio.recording import Recording, Samples
from ser.audio.waveform import Waveform, mix_down
from ser.errors import AudioError
from ser.units import samples_to_seconds

MIN_SECONDS = 0.1
"""Minimum duration of a recording."""
MAX_SECONDS = 60.0
"""Maximum duration of a clip of a corpus; `predict` accepts longer recordings."""
TELEPHONE_SAMPLE_RATE = 8_000
"""Sample rate in Hz up to which there is nothing above 4 kHz."""
SILENT_DBFS = -80.0
"""Level below which audio counts as silent, after the mean is removed."""
LARGEST = 1e15
"""Limit of the peak relative to full scale; the sum of squares of larger samples would overflow."""
FULL_SCALE = 0.9999
"""Magnitude that counts as full scale; the largest 16-bit sample is 32767 / 32768 = 0.99997."""
CLIPPED_SAMPLES = 3
"""Number of samples at full scale that counts as clipping; a peak-normalised clip has one."""
DC_OFFSET = 0.02
"""Largest magnitude of the mean without a warning; full scale is 1."""
ROUNDING = 1e-12
"""Rounding error of the variance relative to the squared mean (2e-13 in a minute at 16 kHz); smaller variances count as 0."""


class Screener:
    """Checks a recording that is added in blocks of any length."""

    def __init__(self, recording: Recording, max_seconds: float | None = None) -> None:
        """
        Args:
            max_seconds: maximum duration; None for no limit.
        """
        self.recording, self.max_seconds = recording, max_seconds
        self.num_samples, self.clipped = 0, 0
        self.total = self.squares = 0.0

    @property
    def seconds(self) -> float:
        """Duration of all blocks so far."""
        return samples_to_seconds(self.num_samples, self.recording.sample_rate)

    def watch(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        """Yield the blocks unchanged and add each of them. Raises the errors of `add`."""
        for block in blocks:
            self.add(block, mix_down(block))
            yield block

    def add(self, block: Samples, mono: Waveform) -> None:
        """Add a block (samples, channels).

        Args:
            mono: mean over the block's channels, (samples,).

        Raises:
            AudioError: not-finite.
        """
        peak = check_finite(block)
        exact = mono.astype(np.float64)
        self.num_samples += len(block)
        self.total += float(exact.sum())
        self.squares += float(
            np.square(exact, out=exact).sum()
        )  # not a dot product, which would start threads in every worker of the extract step
        if peak >= FULL_SCALE:
            self.clipped += int(np.count_nonzero(np.abs(block) >= FULL_SCALE))

    def finish(self) -> tuple[str, ...]:
        """Check the whole recording; return the warning codes of `ser.reasons` in a fixed order.

        Raises:
            AudioError: too-short, too-long or silent.
        """
        self.check_length()
        mean = self.total / self.num_samples
        check_level(power_dbfs(self.alternating_power(mean)))
        return self.warning_codes(mean)

    def alternating_power(self, mean: float) -> float:
        """Variance of the samples."""
        power = self.squares / self.num_samples - mean**2
        return power if power > ROUNDING * mean**2 else 0.0

    def check_length(self) -> None:
        """Check the duration.

        Raises:
            AudioError: too-short or too-long.
        """
        if self.seconds < MIN_SECONDS:
            raise AudioError("too-short", f"{self.seconds:.3f} s; at least {MIN_SECONDS} s are needed")
        if self.max_seconds is not None and self.seconds > self.max_seconds:
            raise AudioError("too-long", f"more than {self.max_seconds:.0f} s")

    def warning_codes(self, mean: float) -> tuple[str, ...]:
        """Warning codes, see `finish`."""
        container, suffix = self.recording.container, self.recording.name.suffix.lower()
        findings = {
            "clipped": self.clipped >= CLIPPED_SAMPLES,
            "dc-offset": abs(mean) > DC_OFFSET,
            "stereo": self.recording.channels > 1,
            "8khz": self.recording.sample_rate <= TELEPHONE_SAMPLE_RATE,
            "name-content-mismatch": container not in SUFFIX_CONTAINERS.get(suffix, (container,)),
        }
        return tuple(code for code, found in findings.items() if found)


def check_finite(samples: Samples) -> float:
    """Return the peak magnitude.

    Raises:
        AudioError: not-finite.
    """
    peak = float(max(samples.max(), -samples.min()))  # NaN if any sample is NaN
    if not peak < LARGEST:
        what = f"samples of {peak:.0e} times full scale" if np.isfinite(peak) else "NaN or infinite samples"
        raise AudioError("not-finite", what)
    return peak


def check_level(level: float) -> None:
    """Check a level in dBFS, see `power_dbfs`.

    Raises:
        AudioError: silent.
    """
    if level < SILENT_DBFS:
        raise AudioError("silent", f"{level:.0f} dBFS" if np.isfinite(level) else "digital silence")


def dbfs(waveform: NDArray[np.float32], mean: float) -> float:
    """Level of a waveform without its mean in dBFS, 20 log10(rms); minus infinity for digital silence.

    >>> round(dbfs(np.array([0.6, 0.4, 0.6, 0.4], dtype=np.float32), 0.5))
    -20
    """
    return power_dbfs(float(np.square(waveform - np.float32(mean)).mean(dtype=np.float64)))


def power_dbfs(power: float) -> float:
    """Level of a mean square in dBFS, 10 log10(power); minus infinity for 0.

    >>> power_dbfs(0.01), power_dbfs(0.0)
    (-20.0, -inf)
    """
    return float(10 * np.log10(power)) if power > 0 else -np.inf
