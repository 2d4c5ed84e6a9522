"""Altered copies of training clips: speed, noise, pitch, tempo. The last two need the extra `augment`."""

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
"""Part of the fingerprint of the store of augmented clips; to be raised if a change here changes every copy."""

NOISE_VERSION = 1
"""Part of the fingerprint of a store of clips with added noise. Earlier versions without it used audiomentations."""

Waveform = npt.NDArray[np.float32]


class Step(Protocol):
    """An alteration of audiomentations."""

    parameters: dict[str, float]
    """Parameters of the last copy by name; `should_apply` is whether the alteration was applied."""


class Chain(Protocol):
    """The part of audiomentations' `Compose` that is used here."""

    transforms: Sequence[Step]

    def __call__(self, samples: Waveform, sample_rate: int) -> Waveform: ...


class Augmenter:
    """Alters waveforms at one sample rate, (samples,) -> (samples,). A changed speed changes the number of samples.

    A copy depends only on the config's seed and on the copy's key, not on earlier calls.

    Raises:
        ConfigError: the config shifts pitch or stretches time, and the extra `augment` is not installed.
    """

    def __init__(self, config: AugmentationsConfig, sample_rate: int) -> None:
        self.seed, self.sample_rate = config.seed, sample_rate
        self.speed, self.noise_snr_db, self.probability = config.speed, config.noise_snr_db, config.probability
        self.chain = build_chain(config) if config.needs_library else None
        self.last: tuple[float, float | None] = (1.0, None)
        """Speed factor and signal-to-noise ratio in dB of the last copy; the ratio is None without noise."""

    def alter(self, waveform: Waveform, key: str) -> Waveform:
        """Return an altered copy.

        Args:
            key: id of the copy, see `ser.corpora.manifest.copy_id`.
        """
        with seeded(f"{self.seed}/{key}"):
            factor = draw(self.speed, self.probability)
            altered = change_speed(waveform, 1.0 if factor is None else factor, self.sample_rate)
            if self.chain is not None:
                altered = np.asarray(self.chain(samples=altered, sample_rate=self.sample_rate), np.float32)
            snr_db = draw(self.noise_snr_db, self.probability)
            if snr_db is not None:
                altered = add_noise(altered, snr_db)
        self.last = 1.0 if factor is None else factor, snr_db
        return altered

    def last_changes(self) -> str:
        """The alterations of the last copy as text, such as `speed x 0.930, noise at 22 dB` (the signal-to-noise ratio)."""
        factor, snr_db = self.last
        steps = [] if self.chain is None else self.chain.transforms
        made = {type(step).__name__: step.parameters for step in steps if step.parameters["should_apply"]}
        parts = [f"speed x {factor:.3f}"] if factor != 1.0 else []
        if "PitchShift" in made:
            parts.append(f"pitch {made['PitchShift']['num_semitones']:+.1f} semitones")
        if "TimeStretch" in made:
            parts.append(f"tempo x {made['TimeStretch']['rate']:.2f}")
        if snr_db is not None:
            parts.append(f"noise at {snr_db:.0f} dB")
        return ", ".join(parts) or "unaltered"


def draw(limits: tuple[float, float] | None, probability: float) -> float | None:
    """Draw a number between the limits from numpy's global generator with this probability, otherwise return None."""
    if limits is None or np.random.random() >= probability:  # noqa: NPY002
        return None
    return float(np.random.uniform(*limits))  # noqa: NPY002


def add_noise(waveform: Waveform, snr_db: float) -> Waveform:
    """Add white Gaussian noise from numpy's global generator at a signal-to-noise ratio in dB.

    The power of the signal is its variance, so a constant offset does not raise the noise.

    Shape:
        (samples,) -> (samples,)
    """
    power = float(waveform.var(dtype=np.float64)) if len(waveform) else 0.0
    deviation = (power / 10 ** (snr_db / 10)) ** 0.5
    return waveform + np.random.normal(0.0, deviation, len(waveform)).astype(np.float32)  # noqa: NPY002


def change_speed(waveform: Waveform, factor: float, sample_rate: int) -> Waveform:
    """Speed perturbation (Ko et al. 2015): pitch, formants and tempo change by the same factor, as with another vocal tract.

    Shape:
        (samples,) -> (samples / factor,)
    """
    if factor == 1.0:
        return waveform
    return np.asarray(soxr.resample(waveform, sample_rate * factor, sample_rate), np.float32)


def build_chain(config: AugmentationsConfig) -> Chain:
    """Chain of pitch shift and time stretching, as far as the config enables them; each is applied with `config.probability`."""
    library = import_audiomentations()
    p = config.probability
    steps = []
    if config.pitch_semitones:
        steps.append(library.PitchShift(*config.pitch_semitones, p=p))
    if config.stretch_rate:
        steps.append(library.TimeStretch(*config.stretch_rate, leave_length_unchanged=False, p=p))
    chain: Chain = library.Compose(steps)
    return chain


def library_version() -> str:
    """Version of audiomentations, part of the fingerprint of the augmented store. Importing it would take 0.6 s and 100 MB.

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
    return ConfigError(f"augmentations.pitch_semitones and stretch_rate need {module}, which is not installed: {install_hint('augment')}")


@contextmanager
def seeded(text: str) -> Iterator[None]:
    """Seed the global generators of Python and numpy from a digest of `text` during the block, then restore their states."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
