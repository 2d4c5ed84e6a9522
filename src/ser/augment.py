"""Altered copies of training clips: noise, pitch, speed. Needs the extra `augment`."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt

from ser.config import AugmentationsConfig
from ser.errors import ConfigError
from ser.manifest import copy_id

CODE_VERSION = 1
"""Part of the fingerprint of the copies' store: raise it when a change here changes what a copy sounds like."""

Waveform = npt.NDArray[np.float32]


class Augmenter:
    """Alters waveforms at one sample rate, (samples,) -> (samples,); changed speed changes their number.

    What a copy sounds like depends on the config's seed, the utterance and the number of the copy, not on what was altered before.

    Raises:
        ConfigError: the extra `augment` is not installed.
    """

    def __init__(self, config: AugmentationsConfig, sample_rate: int) -> None:
        self.seed, self.sample_rate = config.seed, sample_rate
        self.chain = build_chain(config)

    def alter(self, waveform: Waveform, utterance_id: str, copy: int) -> Waveform:
        with seeded(f"{self.seed}/{copy_id(utterance_id, copy)}"):
            altered: Waveform = self.chain(samples=waveform, sample_rate=self.sample_rate)
        return altered


def build_chain(config: AugmentationsConfig) -> Any:
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
    return library.Compose(steps)


def library_version() -> str:
    """Part of the augmented store's fingerprint; asked without importing the library, which costs 0.6 s and 100 MB.

    Raises:
        ConfigError: the extra `augment` is not installed.
    """
    try:
        return metadata.version("audiomentations")
    except metadata.PackageNotFoundError:
        raise missing_extra("audiomentations") from None


def import_audiomentations() -> Any:
    try:
        import audiomentations
    except ModuleNotFoundError as error:
        raise missing_extra(error.name) from None
    return audiomentations


def missing_extra(module: str | None) -> ConfigError:
    return ConfigError(f"augmentations.copies needs {module}, which is not installed: pip install 'ser[augment]'")


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
