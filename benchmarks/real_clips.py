"""What the benchmarks on real audio share: their arguments, the same clips for each way, and the table at the end."""

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ser.config import ExperimentConfig
from ser.corpora.manifest import Manifest, Utterance, read_manifest, write_manifest

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def arguments(description: str | None, clips: int, **options: Any) -> argparse.Namespace:
    """Ends the program where the audio or its manifest is absent. `options` are whole numbers with these defaults."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path, nargs="?", default=Path("data/raw"))
    parser.add_argument("--manifest", type=Path, default=Path("data/processed/manifest.csv"))
    parser.add_argument("--clips", type=int, default=clips)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    found = parser.parse_args()
    if not found.raw.is_dir() or not found.manifest.is_file():
        print(f"skipped: this benchmark needs {found.raw} and {found.manifest} (ser --steps extract)")
        sys.exit(0)
    return found


def choose(manifest: Path, count: int) -> list[Utterance]:
    """A random sample of all clips, each corpus with its own weight; the same on every call."""
    return random.Random(1).sample(read_manifest(manifest).utterances, count)


def choose_evenly(manifest: Path, count: int) -> list[Utterance]:
    """Equally many of each corpus, the same on every call."""
    utterances = read_manifest(manifest)
    corpora = sorted({utterance.corpus for utterance in utterances})
    return [u for corpus in corpora for u in random.Random(1).sample(utterances.select(corpus=corpus).utterances, count // len(corpora))]


def project(folder: Path, raw: Path, utterances: Iterable[Utterance], workers: int = 1) -> ExperimentConfig:
    """The defaults of the config (the shipped features, no augmented copies) on these clips alone, everything written below `folder`."""
    write_manifest(folder / "manifest.csv", Manifest(utterances))
    sections = {"project": {"raw_dir": str(raw), "processed_dir": str(folder)}, "runtime": {"workers": workers}}
    return ExperimentConfig.model_validate(sections)


def measure(script: str, way: str, folder: Path, found: argparse.Namespace) -> dict[str, Any]:
    """What `script --measure way` prints as JSON, in a process of its own with one thread for each library."""
    common = [str(found.raw), "--manifest", str(found.manifest), "--clips", str(found.clips)]
    command = [sys.executable, script, *common, "--measure", way, "--folder", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | ONE_THREAD)
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answer


def report(lines: Sequence[str], out: Path | None) -> None:
    """Print a table, and write it where `--out` says."""
    text = "\n".join(lines) + "\n"
    print(text)
    if out:
        out.write_text(text, encoding="utf-8")
