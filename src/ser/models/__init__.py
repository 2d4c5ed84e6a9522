"""The model families. Torch only: a model knows no file and no corpus."""

from collections.abc import Mapping

from torch import nn

from ser.config import ModelConfig
from ser.models.base import ModelOutput
from ser.models.spectral_crnn import SpectralCrnn

__all__ = ["ModelOutput", "build_model"]


def build_model(config: ModelConfig, dims: Mapping[str, int], frame_rate: float, num_classes: int) -> nn.Module:
    """The model of a config, with fresh weights; there is one family so far.

    Args:
        config: family and widths.
        dims: {feature: rows} of what the store holds.
        frame_rate: of those features, in hertz.
        num_classes: C.
    """
    return SpectralCrnn(config.spectral_crnn, {name: dims[name] for name in config.features}, frame_rate, num_classes)
