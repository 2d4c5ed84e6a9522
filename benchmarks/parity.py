"""One model, one answer? The largest differences in a calibrated probability on real clips, by corpus.

    python benchmarks/parity.py [data/raw] --run runs/eight [--clips 240] [--out table.md]

The reference is torch on all clips of a corpus in one call. Beside it: torch on each clip alone; the exported file, all clips in one call,
and each alone; and by both, every window of a recording that joins the clips against the same span heard as a recording of its own. Ends
with exit code 1 where one of them exceeds 1e-4.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from real_clips import choose_evenly, report
from ser.audio.decode import read_audio
from ser.audio.waveform import mix_down, resample
from ser.export.onnx_file import export_run
from ser.inference.clip_output import Clip
from ser.inference.load_model import load_model
from ser.inference.prediction import Model
from ser.inference.predictor import Predictor
from ser.runs.run import Run

TOLERANCE = 1e-4
RATE = 22_050
WINDOW = 4.0
WAYS = ("torch, alone", "exported, together", "exported, alone", "torch, windows", "exported, windows")


def probabilities(model: Model, clips: Sequence[Clip]) -> np.ndarray:
    return np.stack([spoken.probabilities for spoken in model.infer_clips(clips)])


def alone(model: Model, clips: Sequence[Clip]) -> np.ndarray:
    return np.concatenate([probabilities(model, [clip]) for clip in clips])


def windows(model: Model, clips: Sequence[Clip]) -> float:
    """Windows that do not overlap, so that nothing is averaged; but for the last, which ends with the speech and reaches into another."""
    long = np.concatenate([resample(mix_down(samples), rate, RATE) for samples, rate in clips])
    worst = 0.0
    for passage in Predictor(model, WINDOW, hop=WINDOW).predict(long, RATE).timeline[:-2]:
        span = long[round(passage.start * RATE) : round(passage.end * RATE)]
        of_span = Predictor(model, WINDOW).predict(span, RATE).probabilities
        worst = max(worst, *(abs(of_span[name] - value) for name, value in passage.probabilities.items()))
    return worst


def differences(by_torch: Model, exported: Model, clips: Sequence[Clip]) -> list[float]:
    expected = probabilities(by_torch, clips)
    others = (alone(by_torch, clips), probabilities(exported, clips), alone(exported, clips))
    return [*(float(np.abs(other - expected).max()) for other in others), windows(by_torch, clips), windows(exported, clips)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path, nargs="?", default=Path("data/raw"))
    parser.add_argument("--manifest", type=Path, default=Path("data/processed/manifest.csv"))
    parser.add_argument("--run", type=Path, default=Path("runs/eight"))
    parser.add_argument("--clips", type=int, default=240)
    parser.add_argument("--out", type=Path)
    found = parser.parse_args()
    if not (found.manifest.is_file() and (found.run / "best.pth").is_file()):
        print(f"skipped: this benchmark needs {found.manifest} and a finished run in {found.run}")
        return
    lines, worst = [f"| corpus | clips | {' | '.join(WAYS)} |", "|---" * (2 + len(WAYS)) + "|"], 0.0
    with tempfile.TemporaryDirectory() as folder:
        exported = export_run(Run(found.run), Path(folder) / "model.onnx")
        by_torch = load_model(found.run, None)
        chosen = choose_evenly(found.manifest, found.clips)
        for corpus in sorted({clip.corpus for clip in chosen}):
            audio = [read_audio(found.raw / clip.path) for clip in chosen if clip.corpus == corpus]
            measured = differences(by_torch, exported, [(clip.samples, clip.sample_rate) for clip in audio])
            worst = max(worst, *measured)
            lines.append(f"| {corpus} | {len(audio)} | {' | '.join(f'{value:.1e}' for value in measured)} |")
    report(lines, found.out)
    sys.exit(int(not worst <= TOLERANCE))


if __name__ == "__main__":
    main()
