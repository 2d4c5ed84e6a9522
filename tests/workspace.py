"""A folder with a tiny config in which the whole program runs, and readers of what it leaves there."""

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ser.config import ExperimentConfig
from ser.config_file import load_config
from ser.pipeline.steps import run_steps
from ser.runs.run import Run

FAST = """
extends: spectral_crnn.yaml
project:
  raw_dir: '{raw}'
  processed_dir: '{root}/processed'
  runs_dir: '{root}/runs'
features: {{shard_clips: 64, mel: {{n_mels: 24}}, mfcc: {{n_mfcc: 12}}}}
augmentations: {{copies: 0}}
model:
  spectral_crnn: {{channels: [4, 8], branch_dim: 16, bottleneck_dim: 16, gru_dim: 16, dropout: 0.1}}
train: {{epochs: 3, batch_size: 16, learning_rate: 1e-2, device: cpu, precision: fp32}}
runtime: {{workers: 1, threads: 1}}
"""
"""The shipped config on a network so small that an epoch takes a fraction of a second; one thread, because results depend on it."""

FAST_MOE = """
extends: ssl_spectral_moe.yaml
project:
  raw_dir: '{raw}'
  processed_dir: '{root}/processed'
  runs_dir: '{root}/runs'
features: {{shard_clips: 64, mel: {{n_mels: 24}}, mfcc: {{n_mfcc: 12}}}}
ssl: {{model_id: '{backbone}', precision: fp32, device: cpu}}
labels: {{keep: [neutral, happy, sad, angry, fear, disgust, surprise]}}
augmentations: {{copies: 0}}
model:
  ssl_spectral_moe:
    ssl: {{dim: 16, heads: 2, ff_dim: 16, dropout: 0.1}}
    spectral: {{channels: [8, 16], kernel: 3, dropout: 0.1}}
    fusion_dim: 16
    gate_dim: 8
    dropout: 0.1
train: {{epochs: 2, batch_size: 8, learning_rate: 1e-2, device: cpu, precision: fp32}}
runtime: {{workers: 1, threads: 1}}
"""
"""The same of the other family, without calm, which only RAVDESS has."""

SPEED_ALONE = "augmentations={copies: 1, speed: [0.9, 1.1], noise_snr_db: null, pitch_semitones: null, stretch_rate: null}"
"""Settings for copies that are altered without the extra `augment`."""


@dataclass(frozen=True)
class Workspace:
    """A folder with a config of its own, and whatever the steps leave in it."""

    root: Path
    raw: Path

    @property
    def config_file(self) -> Path:
        return self.root / "fast.yaml"

    @property
    def processed(self) -> Path:
        return self.root / "processed"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def split(self) -> Path:
        return self.processed / "splits/default"

    @property
    def normaliser(self) -> Path:
        """Where only one config was loaded on the split."""
        (path,) = self.split.glob("normaliser-*.json")
        return path

    def config(self, *settings: str) -> ExperimentConfig:
        """With `key.sub=value` settings on top."""
        return load_config(self.config_file, settings)

    def run(self, steps: str, *settings: str, run_name: str | None = None, resume: bool = False) -> None:
        """The named steps, in this process; errors are raised."""
        run_steps(self.config(*settings), steps.split(","), run_name=run_name, resume=resume)

    def train(self, name: str, *settings: str) -> Run:
        """The train step alone, as a run of this name."""
        self.run("train", *settings, run_name=name)
        return Run(self.runs / name)


def make_workspace(root: Path, raw: Path, backbone: Path | None = None) -> Workspace:
    """With a backbone, of a mixture of experts."""
    space = Workspace(root, raw)
    template = FAST if backbone is None else FAST_MOE
    space.config_file.write_text(template.format(raw=raw, root=root, backbone=backbone))
    return space


Row = dict[str, str]


def rows_of(path: Path) -> list[Row]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def header_of(path: Path) -> list[str]:
    return path.read_text().splitlines()[0].split(",")


def history_of(run: Run) -> list[Row]:
    """Without the one column that may differ between equal runs."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows_of(run.history)]


def metrics_of(run: Run) -> dict[str, Any]:
    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is no strict JSON")

    content: dict[str, Any] = json.loads(run.metrics.read_text(), parse_constant=refuse)
    return content


def weights_of(run: Run) -> str:
    from ser.runs.checkpoint import digest, load_checkpoint  # torch: not for tests that need none

    return digest(load_checkpoint(run.best)["weights"])


def printed_rows(text: str) -> list[list[str]]:
    """The cells of the rows of the printed tables: what is between a rule of dashes and the next empty line."""
    rows = []
    spans: list[tuple[int, int]] = []
    for line in text.splitlines():
        if re.fullmatch(r"-+(  -+)*", line):
            spans = [match.span() for match in re.finditer("-+", line)]
        elif not line:
            spans = []
        elif spans:
            rows.append([line[first:last].strip() for first, last in spans])
    return rows
