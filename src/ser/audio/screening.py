"""Decoded audio that cannot be used, and audio that is used with a warning."""

from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from ser.audio.decode import Audio
from ser.errors import AudioError
from ser.units import samples_to_seconds

MIN_SECONDS = 0.1
MAX_SECONDS = 60.0
MIN_SAMPLE_RATE = 4_000
"""Hz."""
TELEPHONE_SAMPLE_RATE = 8_000
"""Hz; at this rate and below nothing above 4 kHz was recorded."""
SILENT_DBFS = -80.0
LARGEST = 1e15
"""Times full scale; the sum of squares of larger samples would be infinite."""
FULL_SCALE = 0.9999
"""16-bit audio ends at 32767 / 32768 = 0.99997."""
CLIPPED_SAMPLES = 3
"""One sample at full scale is a peak-normalised clip, several are a cut wave."""
DC_OFFSET = 0.02

SUFFIX_CONTAINERS = {
    ".wav": ("wav",),
    ".aiff": ("aiff",),
    ".aif": ("aiff",),
    ".flac": ("flac",),
    ".ogg": ("ogg", "opus"),
    ".opus": ("opus",),
    ".mp3": ("mp3",),
}
"""Suffix, in lower case: what a file of that name holds."""


def screen(audio: Audio, path: PurePath) -> list[str]:
    """Warning codes of `ser.reasons`, in a fixed order.

    Raises:
        AudioError: too-short, too-long, rate-too-low, not-finite or silent.
    """
    check_length(audio)
    check_rate(audio.sample_rate)
    check_finite(audio.samples)
    mono = audio.samples.mean(axis=1) if audio.samples.shape[1] > 1 else audio.samples[:, 0]
    mean = float(mono.mean(dtype=np.float64))
    check_level(dbfs(mono, mean))
    return warning_codes(is_clipped(audio.samples), mean, audio.samples.shape[1], audio.sample_rate, audio.container, path)


def warning_codes(clipped: bool, mean: float, channels: int, sample_rate: int, container: str, path: PurePath) -> list[str]:
    """
    >>> warning_codes(False, 0.03, 2, 16_000, "flac", PurePath("a.wav"))
    ['dc-offset', 'stereo', 'name-content-mismatch']
    """
    findings = {
        "clipped": clipped,
        "dc-offset": abs(mean) > DC_OFFSET,
        "stereo": channels > 1,
        "8khz": sample_rate <= TELEPHONE_SAMPLE_RATE,
        "name-content-mismatch": container not in SUFFIX_CONTAINERS.get(path.suffix.lower(), (container,)),
    }
    return [code for code, found in findings.items() if found]


def check_finite(samples: NDArray[np.float32]) -> None:
    """
    Raises:
        AudioError: not-finite.
    """
    peak = max(samples.max(), -samples.min())  # NaN where one sample is
    if not peak < LARGEST:
        what = f"samples of {peak:.0e} times full scale" if np.isfinite(peak) else "NaN or infinite samples"
        raise AudioError("not-finite", what)


def check_rate(sample_rate: int) -> None:
    """
    Raises:
        AudioError: rate-too-low.
    """
    if sample_rate < MIN_SAMPLE_RATE:
        raise AudioError("rate-too-low", f"{sample_rate} Hz; at least {MIN_SAMPLE_RATE} Hz are needed")


def check_level(level: float) -> None:
    """`level` in dBFS, as of `dbfs`.

    Raises:
        AudioError: silent.
    """
    if level < SILENT_DBFS:
        raise AudioError("silent", f"{level:.0f} dBFS" if np.isfinite(level) else "digital silence")


def check_length(audio: Audio) -> None:
    """
    Raises:
        AudioError: too-short or too-long.
    """
    seconds = samples_to_seconds(len(audio.samples), audio.sample_rate)
    if seconds < MIN_SECONDS:
        raise AudioError("too-short", f"{seconds:.3f} s; at least {MIN_SECONDS} s are needed")
    if seconds > MAX_SECONDS:
        raise AudioError("too-long", f"more than {MAX_SECONDS:.0f} s")


def dbfs(waveform: NDArray[np.float32], mean: float) -> float:
    """Level of the alternating part, 20 log10(rms) where 1 is full scale; minus infinity for digital silence.

    >>> round(dbfs(np.array([0.6, 0.4, 0.6, 0.4], dtype=np.float32), 0.5))
    -20
    """
    power = np.square(waveform - np.float32(mean)).mean(dtype=np.float64)
    return float(10 * np.log10(power)) if power > 0 else -np.inf


def is_clipped(samples: NDArray[np.float32]) -> bool:
    if max(samples.max(), -samples.min()) < FULL_SCALE:
        return False
    return bool(np.count_nonzero(np.abs(samples) >= FULL_SCALE) >= CLIPPED_SAMPLES)
