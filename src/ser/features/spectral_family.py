"""The family of spectral features: log-mel, MFCC and chroma, computed by `ser.features.spectral`."""

from collections.abc import Callable
from functools import partial

from ser.config import ExperimentConfig, FeaturesConfig
from ser.families import SPECTRAL
from ser.features.base import FeatureExtractor
from ser.features.family import AUDIO_KEYS, FeatureFamily, FeatureView, Trained
from ser.features.spectral import CODE_VERSION, SpectralExtractor
from ser.features.store import StoreSpec

CONFIG_KEYS: dict[str, bool | set[str]] = {
    "n_fft": True,
    "hop_length": True,
    "mel": {"n_mels", "fmin", "fmax"},
    "mfcc": {"n_mfcc"},
    "chroma": {"n_chroma"},
}
"""Settings of the section features that the features depend on."""

VIEWS = {
    "mel": FeatureView("log-mel", "dB", height=1.8),
    "mfcc": FeatureView("MFCC", "dB", height=1.35),
    "chroma": FeatureView("chroma", "share of largest", height=1.75),
}


class SpectralFamily(FeatureFamily):
    """Three features from one short-time Fourier transform, computed with numpy and scipy."""

    name = SPECTRAL
    code_version = CODE_VERSION

    @property
    def augmented_name(self) -> str:
        return "augmented"  # not the default name, because this family is older than the default

    def spec(self, config: ExperimentConfig) -> StoreSpec:
        extractor = self.make(config)
        ingredients = {
            "code_version": self.code_version,
            "audio": config.audio.model_dump(mode="json", include=AUDIO_KEYS),
            "features": {"types": list(extractor.dims), **config.features.model_dump(mode="json", include=CONFIG_KEYS)},
        }
        return StoreSpec(self.name, extractor.dims, extractor.frame_rate, config.features.dtype, ingredients)

    def make(self, config: ExperimentConfig) -> SpectralExtractor:
        return SpectralExtractor(config.audio, config.features)

    def rebuild(self, trained: Trained) -> Callable[[], FeatureExtractor]:
        return partial(SpectralExtractor, trained.audio, FeaturesConfig.model_validate(trained.store.ingredients["features"]))

    def view(self, feature: str, spec: StoreSpec, most_rows: int) -> FeatureView:
        return VIEWS[feature]


FAMILY = SpectralFamily()
