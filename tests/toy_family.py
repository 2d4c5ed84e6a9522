"""A third family of features, as short as one can be: the energy of each frame and by how much it rises."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from pydantic import BaseModel

from ser.audio.waveform import Waveform
from ser.config import ExperimentConfig
from ser.families import FamilyEntry
from ser.features.base import Frames
from ser.features.family import AUDIO_KEYS, FeatureFamily, Trained
from ser.features.store import StoreSpec
from ser.units import frame_rate, num_frames

ENTRY = FamilyEntry("toy_family", ("energy",))
"""Its line of the table."""


class Settings(BaseModel):
    """What its numbers depend on."""

    sample_rate: int
    hop_length: int


class EnergyExtractor:
    """Mean square of each hop, and the difference to the hop before."""

    name = "energy"

    def __init__(self, config: Settings) -> None:
        self.config = config
        self.dims = {"energy": 2}
        self.frame_rate = frame_rate(config.sample_rate, config.hop_length)

    def extract(self, waveforms: Sequence[Waveform]) -> list[Frames]:
        return [self.energy(waveform) for waveform in waveforms]

    def energy(self, waveform: Waveform) -> Frames:
        hop = self.config.hop_length
        frames = num_frames(len(waveform), hop)
        padded = np.zeros(frames * hop, np.float32)
        padded[: len(waveform)] = waveform
        energy = np.square(padded.reshape(frames, hop)).mean(axis=1)
        return np.stack([energy, np.diff(energy, prepend=0)], axis=1).astype(np.float32)


class EnergyFamily(FeatureFamily):
    """A description of its store, an extractor, and how to make it again; for the rest the defaults."""

    name = "energy"
    code_version = 1

    def spec(self, config: ExperimentConfig) -> StoreSpec:
        extractor = self.make(config)
        audio = config.audio.model_dump(mode="json", include=AUDIO_KEYS)
        ingredients = {"code_version": self.code_version, "audio": audio, "energy": extractor.config.model_dump()}
        return StoreSpec(self.name, extractor.dims, extractor.frame_rate, "float32", ingredients)

    def make(self, config: ExperimentConfig) -> EnergyExtractor:
        return EnergyExtractor(Settings(sample_rate=config.audio.sampling_rate, hop_length=config.features.hop_length))

    def rebuild(self, trained: Trained) -> Callable[[], EnergyExtractor]:
        return partial(EnergyExtractor, Settings.model_validate(trained.store.ingredients["energy"]))


FAMILY = EnergyFamily()
