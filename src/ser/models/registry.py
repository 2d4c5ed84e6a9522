"""The model families, by name."""

from collections.abc import Mapping

from torch import nn

from ser.config import ModelConfig
from ser.features.base import FeatureShape
from ser.models.spectral_crnn import SpectralCrnn
from ser.models.ssl_spectral_moe import SslSpectralMoe


def build_model(config: ModelConfig, shapes: Mapping[str, FeatureShape], num_classes: int) -> nn.Module:
    """The model of a config, with fresh weights.

    Args:
        config: family, features and widths.
        shapes: of the features that the store holds.
        num_classes: C.
    """
    chosen: dict[str, FeatureShape] = {name: shapes[name] for name in config.features}
    match config.name:
        case "spectral_crnn":
            return SpectralCrnn(config.spectral_crnn, chosen, num_classes)
        case "ssl_spectral_moe":
            return SslSpectralMoe(config.ssl_spectral_moe, chosen, num_classes)
