"""spectral_crnn: one CNN branch for each spectral feature, fusion, bidirectional GRU, attention pooling.

    mel    -> CnnBranch ┐
    mfcc   -> CnnBranch ┼ concat -> bottleneck -> BiGRU -> attention pooling -> dropout -> classifier
    chroma -> CnnBranch ┘

Convolutional recurrent networks: Sainath et al. 2015 (CLDNN), Choi et al. 2017 (CRNN). Padding does not change the result: lengths are
reduced with the pooling, padding is reset to zero after every block, and the sequences of the GRU are packed.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ser.config import SpectralCrnnConfig
from ser.features.base import FeatureShape
from ser.models.base import ModelOutput
from ser.models.pooling import AttentionPooling, frame_mask


class ConvBlock(nn.Module):
    """Convolution, batch norm, max-pool and ReLU; padding is reset to zero.

    The max-pool is before the ReLU. The result is the same because both are monotone, and the ReLU is applied to fewer values.
    """

    def __init__(self, in_channels: int, out_channels: int, pool: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.freq_pool, self.time_pool = pool

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """
        Shape:
            x: (B, in_channels, T, F), lengths: (B,) -> (B, out_channels, T // time_pool, F // freq_pool), pooled lengths (B,)
        """
        x = functional.max_pool2d(self.norm(self.conv(x)), (self.time_pool, self.freq_pool)).relu()
        lengths = (lengths // self.time_pool).clamp(min=1)
        return x * frame_mask(lengths, x.shape[2])[:, None, :, None], lengths


class CnnBranch(nn.Module):
    """Two convolution blocks over one feature, then a linear layer with GELU at each time step."""

    def __init__(self, config: SpectralCrnnConfig, rows: int) -> None:
        super().__init__()
        first, second = config.channels
        (freq_a, _), (freq_b, _) = config.pools
        # A feature of few rows (chroma has 12) keeps at least one of them.
        freq_a = min(freq_a, rows)
        freq_b = min(freq_b, rows // freq_a)
        self.block_a = ConvBlock(1, first, (freq_a, config.pools[0][1]))
        self.block_b = ConvBlock(first, second, (freq_b, config.pools[1][1]))
        self.project = nn.Linear(second * (rows // freq_a // freq_b), config.branch_dim)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """
        Shape:
            x: (B, rows, T), lengths: (B,) -> (B, T', branch_dim), pooled lengths (B,)
        """
        x = x.transpose(1, 2)[:, None].to(memory_format=torch.channels_last)
        x, lengths = self.block_a(x, lengths)
        x, lengths = self.block_b(x, lengths)
        steps = x.permute(0, 2, 3, 1).flatten(2)  # (B, T', F' x channels): a view, as the channels are innermost
        return functional.gelu(self.project(steps)), lengths


class SpectralCrnn(nn.Module):
    """The network spectral_crnn.

    Args:
        config: sizes of the layers.
        shapes: {feature: rows and frame rate} in the order of the branches; the frame rate is the same for all.
        num_classes: C.
    """

    def __init__(self, config: SpectralCrnnConfig, shapes: Mapping[str, FeatureShape], num_classes: int) -> None:
        super().__init__()
        self.dims = {name: shape.rows for name, shape in shapes.items()}
        self.time_pool = config.pools[0][1] * config.pools[1][1]
        self.step_rate = next(iter(shapes.values())).frame_rate / self.time_pool
        self.branches = nn.ModuleDict({name: CnnBranch(config, rows) for name, rows in self.dims.items()})
        fused = config.branch_dim * len(shapes)
        self.bottleneck = nn.Sequential(
            nn.Linear(fused, config.bottleneck_dim), nn.GELU(), nn.Dropout(config.dropout), nn.LayerNorm(config.bottleneck_dim)
        )
        self.gru = nn.GRU(config.bottleneck_dim, config.gru_dim, config.gru_layers, batch_first=True, bidirectional=True)
        self.pooling = AttentionPooling(2 * config.gru_dim)
        self.classifier = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(2 * config.gru_dim, num_classes))

    def forward(self, features: Mapping[str, Tensor], lengths: Mapping[str, Tensor]) -> ModelOutput:
        """
        Shape:
            features: {name: (B, rows, T)}, lengths: {name: (B,)}, equal for all names: spectral features share one frame grid
        """
        x, frames = stack_branches([features[name] for name in self.dims], lengths[next(iter(self.dims))], self.time_pool)
        branches = [self.branches[name](x[:, index, :rows], frames) for index, (name, rows) in enumerate(self.dims.items())]
        steps = branches[0][1]
        sequence = self.recur(self.bottleneck(torch.cat([branch for branch, _ in branches], dim=-1)), steps)
        embedding, weights = self.pooling(sequence, frame_mask(steps, sequence.shape[1]))
        logits = self.classifier(embedding).float()
        return ModelOutput(logits, embedding, None, {"spectral": weights}, {"spectral": self.step_rate})

    def recur(self, sequence: Tensor, steps: Tensor) -> Tensor:
        """
        Shape:
            sequence: (B, T', bottleneck_dim), steps: (B,) -> (B, T', 2 gru_dim)
        """
        packed = pack_padded_sequence(sequence, steps.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=sequence.shape[1])[0]


def stack_branches(features: Sequence[Tensor], lengths: Tensor, min_frames: int) -> tuple[Tensor, Tensor]:
    """Stack the inputs of all branches, with zeros for padding, and long enough that one step is left after pooling.

    Shape:
        features: each (B, rows, T), lengths: (B,) -> (B, branches, largest rows, max(T, min_frames)), lengths (B,)
    """
    frames = features[0].shape[-1]
    most = max(feature.shape[1] for feature in features)
    extra = max(min_frames - frames, 0)
    stacked = torch.stack([functional.pad(feature, (0, extra, 0, most - feature.shape[1])) for feature in features], dim=1)
    return stacked * frame_mask(lengths, frames + extra)[:, None, None], lengths
