"""The transform step against the plain librosa way, on the same real clips, alternating.

    python benchmarks/transform.py [data/raw] [--clips 600] [--repeats 5] [--everything 1] [--out table.md]

Needs the extract step. The plain way: librosa's load, trim, resample (soxr too) and three feature functions for each clip, one .npy for
each clip and feature. librosa's chroma estimates the tuning unless told not to; the second row tells it not to. Ours is the whole step:
decode, compare the hash, compute, write, fsync, checksum. `step` is the work alone; `process` adds imports and what librosa compiles on
its first clip, as whoever runs the step pays it.
With --everything 1 the last table tells the peak memory over all clips of the manifest.
"""

import json
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from real_clips import arguments, choose, measure, project, report
from ser.corpora.manifest import Utterance, read_manifest

PLAIN, PLAIN_UNTUNED, ONE, TWO = "librosa", "librosa, tuning 0", "ser, one process", "ser, two processes"


def plain_clip(path: Path, folder: Path, tuning: float | None) -> None:
    """As a notebook does it, at the shipped settings."""
    import librosa

    waveform, rate = librosa.load(path, sr=None)
    window = round(0.064 * rate)
    waveform, _ = librosa.effects.trim(waveform, top_db=30, frame_length=window, hop_length=window // 4)
    waveform = librosa.resample(waveform, orig_sr=rate, target_sr=16_000)
    start = max(0, (len(waveform) - 80_000) // 2)
    waveform = waveform[start : start + 80_000]
    waveform = waveform / np.abs(waveform).max()
    mel = librosa.power_to_db(librosa.feature.melspectrogram(y=waveform, sr=16_000, n_fft=1024, hop_length=256, n_mels=128))
    mfcc = librosa.feature.mfcc(y=waveform, sr=16_000, n_mfcc=40, n_fft=1024, hop_length=256)
    chroma = librosa.feature.chroma_stft(y=waveform, sr=16_000, n_fft=1024, hop_length=256, tuning=tuning)
    for name, feature in (("mel", mel), ("mfcc", mfcc), ("chroma", chroma)):
        np.save(folder / f"{path.stem}_{name}.npy", feature)


def run_plain(raw: Path, clips: list[Utterance], folder: Path, tuning: float | None) -> Callable[[], None]:
    plain_clip(raw / clips[0].path, folder, tuning)  # compiles

    def run() -> None:
        for clip in clips:
            plain_clip(raw / clip.path, folder, tuning)

    return run


def run_ours(raw: Path, clips: list[Utterance], folder: Path, workers: int) -> Callable[[], object]:
    from ser.pipeline.transform import transform

    config = project(folder, raw, clips, workers)
    return lambda: transform(config)


def cpu_seconds() -> float:
    """Of this process from its start, and of its children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def timed(run: Callable[[], object]) -> dict[str, float]:
    """Wall and CPU seconds of the step, CPU seconds of the process, peak memory in MB."""
    wall, step = time.perf_counter(), cpu_seconds()
    run()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": time.perf_counter() - wall, "step": cpu_seconds() - step, "process": cpu_seconds(), "memory": memory}


def in_this_process(found: Any) -> dict[str, float]:
    way, _, share = found.measure.partition("/")
    clips = choose(found.manifest, found.clips)
    if share:
        clips = read_manifest(found.manifest).utterances
        clips = clips[:: int(share)]
    if way.startswith(PLAIN):
        return timed(run_plain(found.raw, clips, found.folder, tuning=0.0 if way == PLAIN_UNTUNED else None))
    return timed(run_ours(found.raw, clips, found.folder, workers=2 if way == TWO else 1))


def in_a_fresh_folder(way: str, found: Any) -> dict[str, float]:
    folder = Path(tempfile.mkdtemp())
    try:
        return measure(__file__, way, folder, found)
    finally:
        shutil.rmtree(folder)


def speed_table(found: Any) -> list[str]:
    ways = (PLAIN, PLAIN_UNTUNED, ONE, TWO)
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for _ in range(found.repeats):
        for way in ways:
            runs[way].append(in_a_fresh_folder(way, found))

    def median(key: str, way: str) -> float:
        return statistics.median(run[key] for run in runs[way])

    def times(key: str, slow: str, fast: str) -> str:
        return f"{median(key, slow) / median(key, fast):.2f}"

    rows = [
        f"| {way} | {median('wall', way):.2f} | {median('step', way):.2f} | {median('process', way):.2f} | {median('memory', way):.0f} "
        f"| {times('step', PLAIN, way)} | {times('step', PLAIN_UNTUNED, way)} "
        f"| {times('process', PLAIN, way)} | {times('wall', ONE, way)} |"
        for way in ways
    ]
    return [
        f"{found.clips} real clips drawn from all corpora, no augmented copies; one thread for each process.",
        f"Median of {found.repeats} alternating runs.",
        "",
        "| way | wall s of step | CPU s of step | CPU s of process | peak MB | x librosa, step | x tuning 0, step | x librosa, process "
        "| x one process, wall |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
    ]


def memory_table(found: Any) -> list[str]:
    count = len(read_manifest(found.manifest))
    peaks = {count // share: in_a_fresh_folder(f"{ONE}/{share}", found)["memory"] for share in (8, 2, 1)}
    return ["", "| clips | peak MB of the process |", "|---|---|", *(f"| {clips} | {peak:.0f} |" for clips, peak in peaks.items())]


def main() -> None:
    found = arguments(__doc__, clips=600, repeats=5, everything=0)
    if found.measure:
        json.dump(in_this_process(found), sys.stdout)
        return
    report([*speed_table(found), *(memory_table(found) if found.everything else [])], found.out)


if __name__ == "__main__":
    main()
