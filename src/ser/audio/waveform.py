"""Preparation of a waveform in stages: raw, trimmed, resampled, fixed, prepared. All are mono float32 arrays (samples,)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

from ser.config import AudioConfig
from ser.units import samples_to_seconds, seconds_to_samples

Waveform = npt.NDArray[np.float32]

TRIM_HOP_SECONDS = 0.016
TRIM_HOPS_PER_FRAME = 4
"""Loudness is measured in frames of 64 ms, every 16 ms, at any sample rate."""
MIN_SECONDS = 0.1
"""A clip is not trimmed if less would be left."""
SILENT_POWER = 1e-10
"""Lower bound of the mean square (-100 dB), as in librosa."""


@dataclass(frozen=True, slots=True)
class Stages:
    """One clip at each stage between the file and the features."""

    raw: Waveform
    """Mono, at the file's sample rate."""
    raw_rate: int
    """Hz, of `raw` and `trimmed`."""
    trimmed: Waveform
    """Without silence at the start and the end."""
    resampled: Waveform
    """At the config's sampling rate, like the following stages."""
    fixed: Waveform
    """Cropped to the config's duration, and padded to it if `audio.pad` is set."""
    prepared: Waveform
    """Scaled to a peak of 1; the input of the features."""
    start: float = 0.0
    """Time in seconds from the start of the clip to the start of `fixed` and `prepared`; negative if these begin with padding."""


def prepare(samples: npt.NDArray[np.float32], sample_rate: int, config: AudioConfig) -> Stages:
    """All stages of decoded samples, (samples,) or (samples, channels), at `sample_rate` Hz."""
    raw = mix_down(samples)
    first, last = kept_span(raw, sample_rate, config.trim_top_db) if config.trim_silence else (0, len(raw))
    trimmed = raw[first:last]
    resampled = resample(trimmed, sample_rate, config.sampling_rate)
    fixed = fix_duration(resampled, config)
    start = samples_to_seconds(first, sample_rate) + samples_to_seconds(fixed_start(len(resampled), config), config.sampling_rate)
    return Stages(raw, sample_rate, trimmed, resampled, fixed, normalise_peak(fixed), start)


def mix_down(samples: npt.NDArray[np.float32]) -> Waveform:
    """Mean over the channels.

    Shape:
        samples (samples,) or (samples, channels) -> (samples,)

    >>> mix_down(np.array([[1, 0], [0.5, -0.5]], np.float32)).tolist()
    [0.5, 0.0]
    """
    if samples.ndim == 1:
        return samples
    return samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)


def trim(waveform: Waveform, sample_rate: int, top_db: float) -> Waveform:
    """Remove leading and trailing frames more than `top_db` below the loudest one, unless less than 0.1 s would be left."""
    first, last = kept_span(waveform, sample_rate, top_db)
    return waveform[first:last]


def kept_span(waveform: Waveform, sample_rate: int, top_db: float) -> tuple[int, int]:
    """(first sample that `trim` keeps, sample after the last)."""
    start, end = trim_bounds(waveform, seconds_to_samples(TRIM_HOP_SECONDS, sample_rate), top_db)
    too_short = end - start < seconds_to_samples(MIN_SECONDS, sample_rate)
    return (0, len(waveform)) if too_short else (start, end)


def trim_bounds(waveform: Waveform, hop_length: int, top_db: float) -> tuple[int, int]:
    """(first sample to keep, sample after the last). Frames of four hops are centred on every hop, with zeros around the clip.

    The bounds of `librosa.effects.trim(waveform, top_db=top_db, frame_length=4 * hop_length, hop_length=hop_length)`; each hop is squared
    and summed once, not once for each of the four frames that it belongs to.

    >>> tone = np.sin(np.arange(1600, dtype=np.float32))
    >>> trim_bounds(np.concatenate([np.zeros(1600, np.float32), tone, np.zeros(1600, np.float32)]), hop_length=100, top_db=30)
    (1500, 3400)
    """
    power = frame_power(hop_energy(waveform, hop_length), hop_length)
    floored = np.maximum(power, SILENT_POWER)
    loud = np.flatnonzero(floored > floored.max() * 10 ** (-top_db / 10))
    return int(loud[0]) * hop_length, min(len(waveform), (int(loud[-1]) + 1) * hop_length)


def hop_energy(waveform: Waveform, hop_length: int) -> npt.NDArray[np.float64]:
    """Sum of squares of every whole hop, followed by that of the rest, which may be empty.

    Shape:
        (samples,) -> (hops + 1,)

    >>> hop_energy(np.array([1, 1, 2, 2, 3], np.float32), 2).tolist()
    [2.0, 8.0, 9.0]
    """
    count = len(waveform) // hop_length
    whole = waveform[: count * hop_length].reshape(count, hop_length)
    rest = waveform[count * hop_length :]
    return np.append(np.einsum("ij,ij->i", whole, whole).astype(np.float64), rest @ rest)


def frame_power(energy: npt.NDArray[np.float64], hop_length: int) -> npt.NDArray[np.float64]:
    """Mean square of frames of four hops, centred on the start of every hop, with zeros around the clip.

    Shape:
        energy of `hop_energy`, (hops + 1,) -> (hops + 1,)
    """
    around = np.zeros(len(energy) + TRIM_HOPS_PER_FRAME - 1)
    around[2 : len(energy) + 2] = energy
    return np.convolve(around, np.ones(TRIM_HOPS_PER_FRAME), "valid") / (TRIM_HOPS_PER_FRAME * hop_length)


def resample(waveform: Waveform, sample_rate: int, target_rate: int) -> Waveform:
    """Resample with soxr at high quality (aliases below -140 dB)."""
    if sample_rate == target_rate:
        return waveform
    resampled: Waveform = soxr.resample(waveform, sample_rate, target_rate, quality="HQ")
    return resampled


def fix_duration(waveform: Waveform, config: AudioConfig) -> Waveform:
    """Crop a clip to the centre `config.duration` seconds; a shorter one is padded on both sides if `config.pad` is set.

    >>> fix_duration(np.ones(5, np.float32), AudioConfig(sampling_rate=4000, duration=0.2, pad=True)).shape
    (800,)
    """
    if config.duration is None:
        return waveform
    target = seconds_to_samples(config.duration, config.sampling_rate)
    start, missing = fixed_start(len(waveform), config), target - len(waveform)
    if missing > 0 and config.pad:
        return np.pad(waveform, (-start, missing + start))
    return waveform[start : start + target]


def fixed_start(length: int, config: AudioConfig) -> int:
    """Index of the first of `length` samples that `fix_duration` keeps; with padding, minus the number of zeros before the first sample.

    >>> [fixed_start(length, AudioConfig(sampling_rate=4000, duration=0.2, pad=True)) for length in (803, 800, 797)]
    [1, 0, -1]
    """
    if config.duration is None:
        return 0
    start = int((length - seconds_to_samples(config.duration, config.sampling_rate)) / 2)
    return start if config.pad else max(0, start)


def normalise_peak(waveform: Waveform) -> Waveform:
    """Scale to a peak magnitude of 1; digital silence is unchanged.

    >>> normalise_peak(np.array([0.25, -0.5], np.float32)).tolist()
    [0.5, -1.0]
    """
    peak = max(waveform.max(initial=0), -waveform.min(initial=0))
    return waveform / peak if peak > 0 else waveform
