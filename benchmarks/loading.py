"""Loading: shuffled batches of 32 clips, three features, from the store against one .npy for each clip and feature.

    python benchmarks/loading.py [data/raw] [--clips 600] [--repeats 5] [--out table.md]

Needs the extract step. Both ways fill padded float32 arrays (32, frames, columns) of the same clips; files are in the page cache.
Batches a CPU-second, median over alternating processes.
"""

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from real_clips import arguments, choose, measure, project, report
from ser.features.store import FeatureStore
from ser.pipeline.stores import store_folder
from ser.pipeline.transform import transform

BATCH = 32
WAYS = ("one .npy for each clip and feature", "store")
Arrays = dict[str, NDArray[np.float32]]


def from_store(folder: Path) -> Callable[[Sequence[str]], Arrays]:
    store = FeatureStore.open(folder)
    columns = sum(store.dims.values())

    def batch(ids: Sequence[str]) -> Arrays:
        clips = [store.rows(clip) for clip in ids]
        block = np.zeros((len(ids), max(map(len, clips)), columns), np.float32)
        for row, clip in zip(block, clips, strict=True):
            row[: len(clip)] = clip
        return {name: block[..., first:last] for name, (first, last) in store.features.items()}

    return batch


def from_files(folder: Path, dims: dict[str, int]) -> Callable[[Sequence[str]], Arrays]:
    def batch(ids: Sequence[str]) -> Arrays:
        arrays = {}
        for name, dim in dims.items():
            clips = [np.load(folder / f"{clip}_{name}.npy") for clip in ids]
            arrays[name] = np.zeros((len(ids), max(map(len, clips)), dim), np.float32)
            for row, clip in zip(arrays[name], clips, strict=True):
                row[: len(clip)] = clip
        return arrays

    return batch


def write_files(store: FeatureStore, folder: Path) -> None:
    for clip in store:
        for name, feature in store.read(clip).items():
            np.save(folder / f"{clip}_{name}.npy", np.ascontiguousarray(feature))


def in_this_process(way: str, folder: Path, batches: int = 60) -> dict[str, float]:
    """One untimed pass over all batches, then a timed one."""
    (stored,) = folder.glob("features/*")
    store = FeatureStore.open(stored)
    load = from_store(stored) if way == "store" else from_files(folder, store.dims)
    generator, ids = random.Random(0), list(store)
    order = [generator.sample(ids, BATCH) for _ in range(batches)]
    checksum = sum(float(array.sum(dtype=np.float64)) for batch in order for array in load(batch).values())
    start = time.process_time()
    for batch in order:
        load(batch)
    return {"rate": batches / (time.process_time() - start), "checksum": checksum}


def alternate(folder: Path, found: Any) -> dict[str, list[dict[str, float]]]:
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(found.repeats):
        for way in WAYS:
            runs[way].append(measure(__file__, way, folder, found))
    return runs


def main() -> None:
    found = arguments(__doc__, clips=600, repeats=5)
    if found.measure:
        json.dump(in_this_process(found.measure, found.folder), sys.stdout)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = project(folder, found.raw, choose(found.manifest, found.clips))
        transform(config)
        write_files(FeatureStore.open(store_folder(config)), folder)
        runs = alternate(folder, found)
    assert len({round(run["checksum"]) for each in runs.values() for run in each}) == 1, "the two ways load different numbers"
    rate = {way: statistics.median(run["rate"] for run in runs[way]) for way in WAYS}
    rows = [f"| {way} | {rate[way]:.0f} | {rate[way] / rate[WAYS[0]]:.1f} |" for way in WAYS]
    head = f"{found.clips} real clips, shuffled batches of {BATCH}, mel, mfcc and chroma; median of {found.repeats} alternating processes."
    report([head, "", "| way | batches a CPU-second | times |", "|---|---|---|", *rows], found.out)


if __name__ == "__main__":
    main()
