"""The plain way from a file to probabilities, with librosa and eager torch, for `exported.py` to compare with.

    python benchmarks/plain.py runs/NAME/best.pth clip.wav

It takes the trained weights of a run, and librosa's functions one after the other. The network is the same in other words: as one would
first write it, ReLU before the pool and memory as it comes; with a last argument `ours`, it is that of the program, which computes the same
values in half the time.
"""

import sys
from pathlib import Path
from typing import Any

# before the other imports: numba, behind librosa, asks for the package coverage and would find the benchmark of that name
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]

# ruff: noqa: E402
import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ser.config import ModelConfig
from ser.features.base import FeatureShape
from ser.models.pooling import frame_mask
from ser.models.registry import build_model
from ser.models.spectral_crnn import CnnBranch, ConvBlock

RATE, N_FFT, HOP = 16_000, 1024, 256
"""The shipped settings, like all others below."""
CENTRE = 5 * RATE


def block_forward(block: ConvBlock, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    x = functional.max_pool2d(functional.relu(block.norm(block.conv(x))), (block.time_pool, block.freq_pool))
    lengths = (lengths // block.time_pool).clamp(min=1)
    return x * frame_mask(lengths, x.shape[2])[:, None, :, None], lengths


def branch_forward(branch: CnnBranch, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    x, lengths = block_forward(branch.block_a, x.transpose(1, 2)[:, None], lengths)
    x, lengths = block_forward(branch.block_b, x, lengths)
    return functional.gelu(branch.project(x.permute(0, 2, 3, 1).flatten(2))), lengths


class Plain:
    """The model of a checkpoint with the shipped settings of audio and features."""

    def __init__(self, path: str, network: str = "first") -> None:
        if network == "first":
            CnnBranch.forward = branch_forward  # type: ignore[method-assign, assignment]
        content = torch.load(path, weights_only=True)["content"]
        shapes = {name: FeatureShape(**shape) for name, shape in content["shapes"].items()}
        self.model = build_model(ModelConfig.model_validate(content["model"]), shapes, len(content["classes"])).eval()
        self.model.load_state_dict(content["weights"])
        normaliser = content["normalisers"]["spectral"]
        self.mean, self.deviation = normaliser["mean"], normaliser["deviation"]

    def hear(self, path: str) -> NDArray[np.float32]:
        """(C,) before calibration."""
        waveform, _ = librosa.load(path, sr=RATE)
        waveform, _ = librosa.effects.trim(waveform, top_db=30, frame_length=1024, hop_length=256)
        start = max(len(waveform) - CENTRE, 0) // 2
        waveform = waveform[start : start + CENTRE]
        frames = torch.from_numpy(self.features(waveform / np.abs(waveform).max()))
        rows = ((frames - self.mean) / self.deviation).T[None]
        features = dict(zip(("mel", "mfcc", "chroma"), rows.split((128, 40, 12), dim=1), strict=True))
        with torch.inference_mode():
            output: Any = self.model(features, dict.fromkeys(features, torch.tensor([rows.shape[2]])))
        probabilities: NDArray[np.float32] = output.logits.softmax(dim=-1)[0].numpy()
        return probabilities

    @staticmethod
    def features(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """(frames, 180)"""
        mel = librosa.power_to_db(
            librosa.feature.melspectrogram(y=waveform, sr=RATE, n_fft=N_FFT, hop_length=HOP), ref=1.0, amin=1e-10, top_db=None
        )
        mfcc = librosa.feature.mfcc(S=mel, n_mfcc=40)
        chroma = librosa.feature.chroma_stft(y=waveform, sr=RATE, n_fft=N_FFT, hop_length=HOP, tuning=0)
        return np.concatenate([mel, mfcc, chroma]).T.astype(np.float32)


if __name__ == "__main__":
    print(Plain(sys.argv[1], *sys.argv[3:]).hear(sys.argv[2]).tolist())
