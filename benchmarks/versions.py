"""Two versions of this program, each with its own source folder, alternating: has a change cost speed?

    git worktree add ../old COMMIT
    python benchmarks/versions.py ../old/src src [--raw data/raw] [--corpora crema] [--repeats 9] [--out table.md]

Both run the same commands of `ser` (the steps on one worker and one thread, and a prediction by an exported file), every one in a new
process, imports included. Processor time of the process and its children; median, and in brackets the lowest and the highest. Without
--raw the audio is the embedded sample of CREMA-D. The ratio's spread is that of the paired repetitions.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from real_clips import ONE_THREAD, report

PROGRAM = "from ser.cli import main; main()"
PREDICTIONS = 5
"""Processes of `ser predict` in one measurement: one alone is over too soon."""


@dataclass(frozen=True)
class Version:
    """One source folder, and the folder that its runs write to."""

    source: Path
    folder: Path
    settings: Sequence[str]

    def ser(self, *arguments: str) -> float:
        """Seconds of processor time."""
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(self.source)}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments], check=False, cwd=self.folder, env=environment, capture_output=True, text=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if result.returncode:
            raise SystemExit(f"{self.source}: ser {' '.join(arguments)} failed:\n{result.stderr}")
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def steps(self, steps: str, *arguments: str) -> float:
        return self.ser("--config", "demo.yaml", "--steps", steps, *self.settings, *arguments)

    def transform(self) -> float:
        shutil.rmtree(self.folder / "processed" / "features", ignore_errors=True)
        return self.steps("transform")

    def load(self) -> float:
        return self.steps("load")

    def train(self) -> float:
        shutil.rmtree(self.folder / "runs", ignore_errors=True)
        return self.steps("train", "--epochs", "2", "--run-name", "run")

    def predict(self) -> float:
        return sum(self.ser("predict", "clip.wav", "--model", "model.onnx", "--format", "json") for _ in range(PREDICTIONS)) / PREDICTIONS


WAYS = {
    "transform": Version.transform,
    "load": Version.load,
    "two epochs of training": Version.train,
    "ser predict, exported": Version.predict,
}


def prepare(version: Version, clip: Path) -> None:
    """Everything that the measured commands need: one untimed pass through all of them."""
    version.folder.mkdir(parents=True)
    version.steps("extract")
    version.transform()
    version.load()
    version.train()
    version.ser("export", "runs/run", "--out", "model.onnx")
    shutil.copy(clip, version.folder / "clip.wav")
    version.predict()


def row(way: str, old: Sequence[float], new: Sequence[float]) -> str:
    ratios = [b / a for a, b in zip(old, new, strict=True)]
    cells = [f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]" for values in (old, new)]
    ratio = statistics.median(new) / statistics.median(old)
    return f"| {way} | {cells[0]} | {cells[1]} | {ratio:.3f} [{min(ratios):.3f}, {max(ratios):.3f}] |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--raw", type=Path)
    parser.add_argument("--corpora", default="crema")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path)
    found = parser.parse_args()
    raw = (found.raw or found.old / "ser" / "sample").resolve()
    clip = next(path for path in sorted(raw.rglob("*")) if path.suffix in (".wav", ".opus"))
    chosen = [f"project.corpora=[{found.corpora}]", f"project.raw_dir={raw}", "project.processed_dir=processed", "project.runs_dir=runs"]
    settings = [part for value in (*chosen, "runtime={workers: 1, threads: 1}") for part in ("--set", value)]
    with tempfile.TemporaryDirectory() as name:
        versions = [Version(path.resolve(), Path(name) / label, settings) for label, path in (("old", found.old), ("new", found.new))]
        for version in versions:
            prepare(version, clip)
        seconds: dict[str, tuple[list[float], list[float]]] = {way: ([], []) for way in WAYS}
        for repetition in range(found.repeats):
            for way, run in WAYS.items():
                for side in (0, 1) if repetition % 2 else (1, 0):
                    seconds[way][side].append(run(versions[side]))
    head = f"Seconds of processor time, median of {found.repeats} alternating processes; corpora: {found.corpora}."
    table = ["| | old | new | new / old |", "|---|---|---|---|", *(row(way, *both) for way, both in seconds.items())]
    report([head, "", *table], found.out)


if __name__ == "__main__":
    main()
