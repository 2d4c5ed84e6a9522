"""ssl_spectral_moe: an expert for the frames of a frozen speech backbone and one for each spectral feature, weighed by a gate.

    ssl    -> SslExpert      ┐
    mel    -> SpectralExpert ┤  vectors of one size ─┬─> gate (softmax over experts) ┐
    mfcc   -> SpectralExpert ┤                       └─> weighted sum ───────────────┴─> LayerNorm -> MLP classifier
    chroma -> SpectralExpert ┘

Mixture of experts with a dense gate: Jacobs et al. 1991. Learned mean of the hidden states: Peters et al. 2018 (ELMo), Yang et al. 2021
(SUPERB). Padding does not change the result: it is zero before every convolution, masked in attention, and has weight 0 in pooling.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ser.config import SpectralExpertConfig, SslExpertConfig, SslSpectralMoeConfig
from ser.families import entry_of
from ser.features.base import FeatureShape
from ser.models.base import ModelOutput
from ser.models.pooling import AttentiveStatistics, frame_mask


class LayerMix(nn.Module):
    """Mean of several hidden states, weighted by a learned softmax; initially the unweighted mean.

    The scores are multiplied by `GAIN`. Without it they would learn too slowly at the learning rate of the other weights, because
    optimisers such as Adam change all parameters by about the same amount in a step.
    """

    GAIN = 20.0

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(layers))

    def weights(self) -> Tensor:
        """(layers,), summing to 1."""
        return (self.GAIN * self.scores).softmax(dim=0)

    def forward(self, states: Tensor) -> Tensor:
        """
        Shape:
            states: (B, T, layers x dim), layer after layer -> (B, T, dim)
        """
        batch, frames, columns = states.shape
        layers = len(self.scores)
        weights = self.weights().to(states.dtype)
        return torch.matmul(weights, states.reshape(batch, frames, layers, columns // layers))


class SslExpert(nn.Module):
    """Layer mix, projection, small Transformer encoder and attentive statistics.

    There is no positional encoding, because the backbone's frames contain the position.
    """

    def __init__(self, config: SslExpertConfig, shape: FeatureShape, fusion_dim: int, dropout: float) -> None:
        super().__init__()
        self.step_rate = shape.frame_rate
        self.mix = (
            LayerMix(shape.layers) if shape.layers > 1 else None
        )  # with a single state the score would be a parameter without gradient
        self.project = nn.Sequential(
            nn.Linear(shape.rows // shape.layers, config.dim), nn.LayerNorm(config.dim), nn.GELU(), nn.Dropout(config.dropout)
        )
        self.encoder = transformer(config.dim, config.heads, config.ff_dim, config.layers, config.dropout)
        self.pooling = AttentiveStatistics(config.dim)
        self.head = expert_head(2 * config.dim, fusion_dim, dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """
        Shape:
            x: (B, layers x dim, T), lengths: (B,) -> vector (B, fusion_dim), attention (B, T)
        """
        states = x.transpose(1, 2)
        sequence = self.project(states if self.mix is None else self.mix(states))
        mask = frame_mask(lengths, sequence.shape[1])
        pooled, attention = self.pooling(self.encoder(sequence, mask), mask)
        return self.head(pooled), attention

    def layer_weights(self) -> list[float]:
        """Weights of the hidden states, in order."""
        return [1.0] if self.mix is None else self.mix.weights().tolist()


class SpectralExpert(nn.Module):
    """Convolutions over time that each halve the frame rate, an optional small Transformer encoder, and attentive statistics."""

    def __init__(self, config: SpectralExpertConfig, shape: FeatureShape, fusion_dim: int, dropout: float) -> None:
        super().__init__()
        widths = (shape.rows, *config.channels)
        dim = config.channels[-1]
        self.step_rate = shape.frame_rate / 2 ** len(config.channels)
        self.blocks = nn.ModuleList(ConvBlock(inner, outer, config.kernel, config.dropout) for inner, outer in pairwise(widths))
        self.encoder = transformer(dim, config.heads, 2 * dim, config.layers, config.dropout)
        self.pooling = AttentiveStatistics(dim)
        self.head = expert_head(2 * dim, fusion_dim, dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """
        Shape:
            x: (B, rows, T), lengths: (B,) -> vector (B, fusion_dim), attention (B, T')
        """
        x = x * frame_mask(lengths, x.shape[-1])[:, None]
        for block in self.blocks:
            x, lengths = block(x, lengths)
        mask = frame_mask(lengths, x.shape[-1])
        pooled, attention = self.pooling(self.encoder(x.transpose(1, 2), mask), mask)
        return self.head(pooled), attention


class ConvBlock(nn.Module):
    """Convolution over time with stride 2, layer norm over the channels of each step (independent of padding), GELU and dropout."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, kernel, stride=2, padding=kernel // 2)
        self.norm = nn.LayerNorm(out_channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """
        Shape:
            x: (B, in_channels, T), zero on padding, lengths: (B,) -> (B, out_channels, ceil(T / 2)), zero on padding, halved lengths (B,)
        """
        x = self.norm(self.conv(x).transpose(1, 2)).transpose(1, 2)
        lengths = (lengths + 1) // 2
        return self.dropout(functional.gelu(x)) * frame_mask(lengths, x.shape[-1])[:, None], lengths


class Transformer(nn.Module):
    """Pre-norm encoder layers (Xiong et al. 2020) with padding masked in attention."""

    def __init__(self, dim: int, heads: int, ff_dim: int, layers: int, dropout: float) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(dim, heads, ff_dim, dropout, activation="gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(dim), enable_nested_tensor=False)

    def forward(self, sequence: Tensor, mask: Tensor) -> Tensor:
        """
        Shape:
            sequence: (B, T, dim), mask: (B, T) -> (B, T, dim)
        """
        encoded: Tensor = self.layers(sequence, src_key_padding_mask=~mask)
        return encoded


class NoTransformer(nn.Module):
    """Identity, used instead of a Transformer with 0 layers."""

    def forward(self, sequence: Tensor, _mask: Tensor) -> Tensor:
        return sequence


def transformer(dim: int, heads: int, ff_dim: int, layers: int, dropout: float) -> nn.Module:
    return Transformer(dim, heads, ff_dim, layers, dropout) if layers else NoTransformer()


def expert_head(dim: int, fusion_dim: int, dropout: float) -> nn.Module:
    """(B, dim) -> (B, fusion_dim)"""
    return nn.Sequential(
        nn.LayerNorm(dim),
        nn.Dropout(dropout),
        nn.Linear(dim, fusion_dim),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Linear(fusion_dim, fusion_dim),
    )


class Gate(nn.Module):
    """Softmax weights of the experts, computed from all their vectors, and the weighted sum."""

    def __init__(self, experts: int, fusion_dim: int, gate_dim: int) -> None:
        super().__init__()
        self.scores = nn.Sequential(
            nn.LayerNorm(experts * fusion_dim), nn.Linear(experts * fusion_dim, gate_dim), nn.GELU(), nn.Linear(gate_dim, experts)
        )

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """
        Shape:
            vectors: (B, E, fusion_dim) -> mixture (B, fusion_dim), weights (B, E)
        """
        weights = self.scores(vectors.flatten(1)).float().softmax(dim=-1)
        return torch.einsum("be,bed->bd", weights, vectors), weights


class Concatenation(nn.Module):
    """Baseline for the gate: a linear layer on the concatenated vectors of all experts. It does not weight experts."""

    def __init__(self, experts: int, fusion_dim: int) -> None:
        super().__init__()
        self.join = nn.Linear(experts * fusion_dim, fusion_dim)

    def forward(self, vectors: Tensor) -> tuple[Tensor, None]:
        """
        Shape:
            vectors: (B, E, fusion_dim) -> (B, fusion_dim), None
        """
        return self.join(vectors.flatten(1)), None


class SslSpectralMoe(nn.Module):
    """The network ssl_spectral_moe.

    Args:
        config: sizes of the layers and choices.
        shapes: {feature: rows, frame rate and layers} in the order of the experts.
        num_classes: C.
    """

    def __init__(self, config: SslSpectralMoeConfig, shapes: Mapping[str, FeatureShape], num_classes: int) -> None:
        super().__init__()
        self.experts = nn.ModuleDict({name: make_expert(config, name, shape) for name, shape in shapes.items()})
        count, dim = len(shapes), config.fusion_dim
        self.fusion = Gate(count, dim, config.gate_dim) if config.fusion == "gate" else Concatenation(count, dim)
        self.norm = nn.LayerNorm(dim)
        self.classifier = nn.Sequential(
            nn.Dropout(config.dropout), nn.Linear(dim, dim), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(dim, num_classes)
        )
        self.aux_expert = config.aux_expert
        self.aux_classifier = nn.Linear(dim, num_classes) if config.aux_expert else None
        self.attention_rate = {name: float(expert.step_rate) for name, expert in self.experts.items()}  # type: ignore[arg-type]

    def forward(self, features: Mapping[str, Tensor], lengths: Mapping[str, Tensor]) -> ModelOutput:
        """
        Shape:
            features: {name: (B, rows, T)}, lengths: {name: (B,)}; every feature has its own T
        """
        results = {name: expert(features[name], lengths[name]) for name, expert in self.experts.items()}
        vectors = torch.stack([vector for vector, _ in results.values()], dim=1)
        mixture, gate = self.fusion(vectors)
        embedding = self.norm(mixture)
        aux = self.aux_classifier(results[self.aux_expert][0]).float() if self.aux_expert and self.aux_classifier else None
        attention = {name: weights for name, (_, weights) in results.items()}
        return ModelOutput(self.classifier(embedding).float(), embedding, gate, attention, self.attention_rate, aux)

    def layer_weights(self) -> list[float] | None:
        """Weights of the backbone's hidden states, in order; None without an SSL expert."""
        weights = [expert.layer_weights() for expert in self.experts.values() if isinstance(expert, SslExpert)]
        return weights[0] if weights else None


def make_expert(config: SslSpectralMoeConfig, name: str, shape: FeatureShape) -> nn.Module:
    if entry_of(name).contextual:
        return SslExpert(config.ssl, shape, config.fusion_dim, config.dropout)
    return SpectralExpert(config.spectral, shape, config.fusion_dim, config.dropout)
