"""Log-mel, MFCC and chroma from one short-time Fourier transform, in numpy and scipy.

The results agree with librosa at equal settings (log-mel and MFCC within 1e-2, chroma within 1e-4). librosa computes in double precision.
Single precision is five times faster and as accurate, except if a band is about 75 dB below the mean of its frame, near the rounding noise
of the transform. Those few frames are transformed again in double precision.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.sparse

from ser.config import AudioConfig, FeaturesConfig
from ser.features.base import Frames
from ser.units import frame_rate, num_frames

CODE_VERSION = 1
"""Part of the store's fingerprint; to be raised if a change here or in `ser.audio.waveform` changes the features."""
POWER_FLOOR = 1e-10
"""Lower bound of a mel band before the logarithm, -100 dB."""
QUIET_BAND = 3e-8
"""Power of a band relative to its frame's mean power below which the frame is computed in double precision."""
NEGLIGIBLE_WEIGHT = 1e-9
"""Weights of a filter below this share of its largest weight are dropped."""
BLOCK_FRAMES = 128
"""Number of frames that are transformed at once: half a megabyte, which stays in the processor's cache and in the allocator. Arrays of
several megabytes would be mapped and unmapped at each step, which takes as long as the arithmetic."""

Waveform = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]


class SpectralExtractor:
    """Extracts the configured features, side by side in the order mel, mfcc, chroma.

    >>> extractor = SpectralExtractor(AudioConfig(), FeaturesConfig())
    >>> extractor.dims, extractor.frame_rate
    ({'mel': 128, 'mfcc': 40, 'chroma': 12}, 62.5)
    >>> [frames.shape for frames in extractor.extract([np.ones(16_000, np.float32), np.ones(1600, np.float32)])]
    [(63, 180), (7, 180)]
    """

    name = "spectral"

    def __init__(self, audio: AudioConfig, config: FeaturesConfig) -> None:
        rate, n_fft, mel = audio.sampling_rate, config.n_fft, config.mel
        self.config = config
        self.frame_rate = frame_rate(rate, config.hop_length)
        dims = {"mel": mel.n_mels, "mfcc": config.mfcc.n_mfcc, "chroma": config.chroma.n_chroma}
        self.dims: dict[str, int] = {name: dims[name] for name in config.types if name in dims}
        self.filters, mel_sums = filter_bank(rate, n_fft, mel.n_mels, mel.fmin, mel.fmax or rate / 2, config.chroma.n_chroma)
        self.quiet_band = (QUIET_BAND * mel_sums).astype(np.float32)
        self.window = hann(n_fft)

    def extract(self, waveforms: Sequence[Waveform]) -> list[Frames]:
        """Compute the features of several clips.

        Shape:
            each (samples,) -> (frames, sum of dims), float32
        """
        tape, starts = self.lay_out(waveforms)
        frames = np.lib.stride_tricks.sliding_window_view(tape, self.config.n_fft)[:: self.config.hop_length]
        features = np.empty((len(frames), sum(self.dims.values())), np.float32)
        for first in range(0, len(frames), BLOCK_FRAMES):
            block = slice(first, first + BLOCK_FRAMES)
            self.write_features(frames[block], features[block])
        ends = [start + num_frames(len(waveform), self.config.hop_length) for start, waveform in zip(starts, waveforms, strict=True)]
        return [features[start:end] for start, end in zip(starts, ends, strict=True)]

    def lay_out(self, waveforms: Sequence[Waveform]) -> tuple[Waveform, list[int]]:
        """Concatenate all clips with zeros between them, such that a frame is centred on every `hop_length`-th sample of each clip.

        Returns:
            The samples, (samples,), and the index of each clip's first frame. The few frames that overlap two clips are not used.
        """
        n_fft, hop_length = self.config.n_fft, self.config.hop_length
        slots = [-(-(len(waveform) + n_fft - n_fft // 2) // hop_length) for waveform in waveforms]
        starts = [0, *accumulate(slots)][:-1]
        tape = np.zeros(sum(slots) * hop_length + n_fft, np.float32)
        for start, waveform in zip(starts, waveforms, strict=True):
            first = start * hop_length + n_fft // 2
            tape[first : first + len(waveform)] = waveform
        return tape, starts

    def write_features(self, frames: Frames, out: Frames) -> None:
        """Compute the features of windowed frames into `out`.

        Shape:
            frames (frames, n_fft), out (frames, sum of dims)
        """
        n_mels, n_mfcc = self.config.mel.n_mels, self.config.mfcc.n_mfcc
        bands = self.bands(frames)
        log_mel = 10 * np.log10(np.maximum(bands[:, :n_mels], POWER_FLOOR))
        mfcc = scipy.fft.dct(log_mel, norm="ortho")[:, :n_mfcc]
        parts = {"mel": log_mel, "mfcc": mfcc, "chroma": normalise_chroma(bands[:, n_mels:-1])}
        np.concatenate([parts[name] for name in self.dims], axis=1, out=out)

    def bands(self, frames: Frames) -> Frames:
        """Energy in every mel band and every pitch class, and the mean power over the bins of the transform.

        Shape:
            (frames, n_fft) -> (frames, n_mels + n_chroma + 1)
        """
        bands = self.filtered(power_spectrum(frames * self.window.astype(np.float32)))
        quiet = (bands[:, : self.config.mel.n_mels] < self.quiet_band * bands[:, -1:]).any(axis=1)
        if quiet.any():
            bands[quiet] = self.filtered(power_spectrum(frames[quiet] * self.window).astype(np.float32))
        return bands

    def filtered(self, power: Frames) -> Frames:
        return np.ascontiguousarray((self.filters @ power.T).T)


@lru_cache(maxsize=4)  # called again for every shard
def filter_bank(rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float, n_chroma: int) -> tuple[scipy.sparse.csr_array, Matrix]:
    """All filters stacked (mel bands, pitch classes, the mean of all bins), and the sum of each mel filter's weights.

    Shape:
        (n_mels + n_chroma + 1, n_fft // 2 + 1), (n_mels,)
    """
    mel_bank = mel_filters(rate, n_fft, n_mels, fmin, fmax)
    mean = np.full((1, n_fft // 2 + 1), 1 / (n_fft // 2 + 1))
    filters = sparse_filters(np.concatenate([mel_bank, chroma_filters(rate, n_fft, n_chroma), mean]))
    return filters, mel_bank.sum(axis=1)


def sparse_filters(filters: Matrix) -> scipy.sparse.csr_array:
    """Filters as a sparse matrix, without negligible weights (97 % of a mel filter).

    The product with a sparse matrix takes a third of the time of a dense one. Its result for a frame does not depend on the other frames,
    whereas a BLAS product may differ in the last bit with them and with the number of threads.
    """
    kept = filters >= NEGLIGIBLE_WEIGHT * filters.max(axis=1, keepdims=True)
    return scipy.sparse.csr_array(np.where(kept, filters, 0).astype(np.float32))


def power_spectrum(frames: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Power spectrum in the precision of the frames.

    Shape:
        (frames, n_fft) -> (frames, n_fft // 2 + 1)
    """
    spectrum: npt.NDArray[np.complexfloating] = scipy.fft.rfft(frames)
    power: npt.NDArray[np.floating] = np.square(spectrum.real)
    power += np.square(spectrum.imag)
    return power


def normalise_chroma(chroma: Frames) -> Frames:
    """Scale the largest bin of each frame to 1; digital silence stays 0."""
    peak: Frames = chroma.max(axis=1, keepdims=True)
    peak[peak < np.finfo(np.float32).tiny] = 1
    return chroma / peak


def hann(length: int) -> Matrix:
    """Periodic Hann window.

    >>> hann(4).round(9).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


def hz_to_mel(hertz: npt.ArrayLike) -> Matrix:
    """Slaney's mel scale (Auditory Toolbox, 1998): linear below 1 kHz, 200/3 Hz a mel, logarithmic above, 27 mels for a factor of 6.4.

    >>> hz_to_mel([200, 1000, 6400]).tolist()
    [3.0, 15.0, 42.0]
    """
    hertz = np.asarray(hertz, np.float64)
    return np.where(hertz < 1000, hertz * 3 / 200, 15 + 27 * np.log(np.maximum(hertz, 1000) / 1000) / np.log(6.4))


def mel_to_hz(mels: npt.ArrayLike) -> Matrix:
    """Inverse of `hz_to_mel`.

    >>> mel_to_hz([3, 15, 42]).round(6).tolist()
    [200.0, 1000.0, 6400.0]
    """
    mels = np.asarray(mels, np.float64)
    return np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))


def mel_filters(sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> Matrix:
    """Triangular filters over the bins of the transform, evenly spaced in mel, each of area 1 over hertz (Slaney, `librosa.filters.mel`).

    Shape:
        (n_mels, n_fft // 2 + 1)
    """
    bins = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    edges = mel_to_hz(np.linspace(hz_to_mel(fmin), hz_to_mel(fmax), n_mels + 2))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.maximum(0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    filters: Matrix = triangles * 2 / (high - low)
    return filters


def chroma_filters(sample_rate: int, n_fft: int, n_chroma: int) -> Matrix:
    """Weight of each bin of the transform in each pitch class, C first, A = 440 Hz (Ellis 2007; `librosa.filters.chroma`, tuning 0).

    A Gaussian bump around the bin's pitch, as wide as the bin; the bumps of a bin have norm 1, weighted by another Gaussian
    over octaves that is centred on A5 and two octaves wide.

    Shape:
        (n_chroma, n_fft // 2 + 1)
    """
    hertz = np.arange(1, n_fft) * sample_rate / n_fft
    pitch = n_chroma * np.log2(hertz / (440 / 16))
    pitch = np.concatenate([[pitch[0] - 1.5 * n_chroma], pitch])  # 0 Hz has no pitch: half an octave away from bin 1, and broad
    width = np.append(np.maximum(np.diff(pitch), 1), 1)
    half = round(n_chroma / 2)
    distance = np.remainder(pitch - np.arange(n_chroma)[:, None] + half, n_chroma) - half
    bumps = np.exp(-0.5 * (2 * distance / width) ** 2)
    bumps /= np.linalg.norm(bumps, axis=0)
    bumps *= np.exp(-0.5 * ((pitch / n_chroma - 5) / 2) ** 2)
    filters: Matrix = np.roll(bumps, -3 * (n_chroma // 12), axis=0)[:, : n_fft // 2 + 1]
    return filters
