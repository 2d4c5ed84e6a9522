"""Altered copies of training clips: another voice, pitch, tempo, noise. All but the first need the extra `augment`."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from types import ModuleType
from typing import Protocol

import numpy as np
import numpy.typing as npt
import soxr

from ser.config import AugmentationsConfig
from ser.errors import ConfigError
from ser.system.optional import install_hint

CODE_VERSION = 1
"""Part of the fingerprint of the copies' store: raise it when a change here changes what a copy sounds like."""

Waveform = npt.NDArray[np.float32]


class Step(Protocol):
    """An alteration of audiomentations."""

    parameters: dict[str, float]
    """Of the last copy, by name; `should_apply` tells whether it was made at all."""


class Chain(Protocol):
    """What is used of audiomentations' `Compose`."""

    transforms: Sequence[Step]

    def __call__(self, samples: Waveform, sample_rate: int) -> Waveform: ...


class Augmenter:
    """Alters waveforms at one sample rate, (samples,) -> (samples,); changed speed changes their number.

    What a copy sounds like depends on the config's seed and the copy's key alone, not on what was altered before.

    Raises:
        ConfigError: the extra `augment` is not installed.
    """

    def __init__(self, config: AugmentationsConfig, sample_rate: int) -> None:
        self.seed, self.sample_rate = config.seed, sample_rate
        self.speed, self.probability = config.speed, config.probability
        self.chain = build_chain(config) if config.needs_library else None
        self.last: tuple[float, Waveform] = (1.0, np.zeros(0, np.float32))
        """Of the last copy: the factor of speed, and its samples."""

    def alter(self, waveform: Waveform, key: str) -> Waveform:
        """
        Args:
            key: the id of the copy, as of `ser.corpora.manifest.copy_id`.
        """
        with seeded(f"{self.seed}/{key}"):
            factor = draw_factor(self.speed, self.probability)
            altered = change_speed(waveform, factor, self.sample_rate)
            if self.chain is not None:
                altered = np.asarray(self.chain(samples=altered, sample_rate=self.sample_rate), np.float32)
        self.last = factor, altered
        return altered

    def last_changes(self) -> str:
        """What was done to the last copy: `pitch -1.3 semitones, tempo x 0.93, noise at 22 dB` (of signal to noise)."""
        factor, altered = self.last
        done = {} if self.chain is None else {type(step).__name__: step.parameters for step in self.chain.transforms}
        made = {name: values for name, values in done.items() if values["should_apply"]}
        parts = [f"speed x {factor:.3f}"] if factor != 1.0 else []
        if "PitchShift" in made:
            parts.append(f"pitch {made['PitchShift']['num_semitones']:+.1f} semitones")
        if "TimeStretch" in made:
            parts.append(f"tempo x {made['TimeStretch']['rate']:.2f}")
        if "AddGaussianSNR" in made:
            parts.append(f"noise at {signal_to_noise(altered, made['AddGaussianSNR']['noise_std']):.0f} dB")
        return ", ".join(parts) or "unaltered"


def signal_to_noise(noisy: Waveform, deviation: float) -> float:
    """dB, of a waveform to which noise of this standard deviation was added.

    >>> noise = np.random.default_rng(0).normal(0, 0.1, 100_000).astype(np.float32)
    >>> round(signal_to_noise(1 + noise, 0.1), 1)
    20.0
    """
    noise = deviation**2
    signal = max(float(np.square(noisy, dtype=np.float64).mean()) - noise, np.finfo(np.float64).tiny)
    return float(10 * np.log10(signal / noise))


def draw_factor(speed: tuple[float, float] | None, probability: float) -> float:
    """Of speed, from numpy's global generator; 1 leaves a clip as it is."""
    if speed is None or np.random.random() >= probability:  # noqa: NPY002
        return 1.0
    return float(np.random.uniform(*speed))  # noqa: NPY002


def change_speed(waveform: Waveform, factor: float, sample_rate: int) -> Waveform:
    """Speed perturbation (Ko et al. 2015): pitch, formants and tempo change by one factor, as with another vocal tract.

    Shape:
        (samples,) -> (samples / factor,)
    """
    if factor == 1.0:
        return waveform
    return np.asarray(soxr.resample(waveform, sample_rate * factor, sample_rate), np.float32)


def build_chain(config: AugmentationsConfig) -> Chain:
    """The alterations that the config does not switch off, each made with its probability."""
    library = import_audiomentations()
    p = config.probability
    steps = []
    if config.pitch_semitones:
        steps.append(library.PitchShift(*config.pitch_semitones, p=p))
    if config.stretch_rate:
        steps.append(library.TimeStretch(*config.stretch_rate, leave_length_unchanged=False, p=p))
    if config.noise_snr_db:
        steps.append(library.AddGaussianSNR(*config.noise_snr_db, p=p))
    chain: Chain = library.Compose(steps)
    return chain


def library_version() -> str:
    """Part of the augmented store's fingerprint; asked without importing the library, which costs 0.6 s and 100 MB.

    Raises:
        ConfigError: the extra `augment` is not installed.
    """
    try:
        return metadata.version("audiomentations")
    except metadata.PackageNotFoundError:
        raise missing_extra("audiomentations") from None


def import_audiomentations() -> ModuleType:
    try:
        import audiomentations
    except ModuleNotFoundError as error:
        raise missing_extra(error.name) from None
    module: ModuleType = audiomentations
    return module


def missing_extra(module: str | None) -> ConfigError:
    return ConfigError(f"augmentations.copies needs {module}, which is not installed: {install_hint('augment')}")


@contextmanager
def seeded(text: str) -> Iterator[None]:
    """Both global generators, which the library draws from, start from a digest of `text`; afterwards they go on as before."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
