"""Registry of the models."""

from collections.abc import Mapping

from torch import nn

from ser.config import ModelConfig
from ser.features.base import FeatureShape
from ser.models.spectral_crnn import SpectralCrnn
from ser.models.ssl_spectral_moe import SslSpectralMoe


def build_model(config: ModelConfig, shapes: Mapping[str, FeatureShape], num_classes: int) -> nn.Module:
    """Build the model of a config, with initial weights.

        Args:
            config: family, features and widths.
                    num_classes: C.
    shapes: shapes of the stored features.
            num_classes: C.
            num_classes: C.
    """
    chosen: dict[str, FeatureShape] = {name: shapes[name] for name in config.features}
    match config.name:
        case "spectral_crnn":
            return SpectralCrnn(config.spectral_crnn, chosen, num_classes)
        case "ssl_spectral_moe":
            return SslSpectralMoe(config.ssl_spectral_moe, chosen, num_classes)
