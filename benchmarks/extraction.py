"""A backbone's hidden states: ours against plain transformers, on the same clips, alternating, with as many threads.

    python benchmarks/extraction.py [data/raw] [--whisper FOLDER] [--clips 40] [--repeats 3] [--threads 2] [--out table.md]

The plain way is that of the library's own examples: one clip at a time in fp32, every hidden state, Whisper padded to 30 s by its feature
extractor; its threads share each operation. Ours runs as the transform step runs it: forked processes of one thread each, Whisper on the
clip's own length, in fp32 and in bf16. The backbones are a local Whisper (../shared/models/whisper-base-encoder; left out where absent)
and a WavLM of the base size with random weights. Loading and decoding are no part of the times. Without data/raw the clips are noise.

The other tables compare the numbers, frame by frame: the lowest and the mean cosine of each hidden state. Whisper on a clip's own length
is another computation than on 30 s, so there the row against transformers tells what the padding changes, not an error.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from real_clips import report
from ser.audio.decode import read_audio
from ser.audio.waveform import prepare
from ser.config import AudioConfig, SslConfig
from ser.system.parallel import run_tasks

Array = npt.NDArray[np.float32]

RATE = 16_000
PLAIN, OURS, ROUNDED = "transformers, fp32", "ser, fp32", "ser, bf16"
WAYS = (PLAIN, OURS, ROUNDED)
TASK_CLIPS = 4
COMPARED = 12
"""Clips whose numbers are compared."""


def clips(raw: Path, count: int) -> list[Array]:
    """A random sample of the corpora as the transform step prepares them, else noise of 1.5 to 5 s; the same on every call."""
    files = sorted(raw.rglob("*.wav"))
    if not files:
        generator = np.random.default_rng(1)
        return [generator.normal(0, 0.1, generator.integers(RATE * 3 // 2, RATE * 5)).astype(np.float32) for _ in range(count)]
    read = [read_audio(path) for path in random.Random(1).sample(files, count)]
    return [prepare(audio.samples, audio.sample_rate, AudioConfig()).prepared for audio in read]


def save_wavlm(folder: Path) -> None:
    """Random weights; the speed does not depend on them."""
    import torch
    import transformers

    library: Any = transformers
    library.logging.disable_progress_bar()
    torch.manual_seed(0)
    library.WavLMModel(library.WavLMConfig()).save_pretrained(folder)
    library.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder)


def plain_way(model: Path) -> Callable[[Array], list[Array]]:
    """Hidden states of a clip, each (frames, dim), as the library's examples compute them."""
    import torch
    import transformers

    library: Any = transformers
    features = library.AutoFeatureExtractor.from_pretrained(model)
    config = library.AutoConfig.from_pretrained(model)
    whisper: Any = transformers.models.whisper.modeling_whisper.WhisperEncoder
    network = (whisper if config.model_type == "whisper" else library.AutoModel).from_pretrained(model, dtype=torch.float32).eval()

    def states(clip: Array) -> list[Array]:
        with torch.no_grad():
            inputs = features(clip, sampling_rate=RATE, return_tensors="pt")
            return [state[0].numpy() for state in network(**inputs, output_hidden_states=True).hidden_states]

    return states


def ssl_config(model: Path, way: str, **settings: Any) -> SslConfig:
    return SslConfig.model_validate({"model_id": str(model), "device": "cpu", "precision": way[-4:], **settings})


def extract_ours(config: SslConfig, group: list[Array]) -> int:
    """A worker's task."""
    import torch

    from ser.features.backbone import BackboneExtractor

    torch.set_num_threads(1)
    return len(BackboneExtractor(config, RATE).extract(group))


def seconds(model: Path, way: str, threads: int, sample: list[Array]) -> float:
    """Wall seconds of all clips."""
    import torch

    from ser.features.backbone import BackboneExtractor
    from ser.system.memory import keep_memory

    if way == PLAIN:
        torch.set_num_threads(threads)
        states = plain_way(model)
        states(sample[0])  # the first call is slower
        start = time.perf_counter()
        for clip in sample:
            states(clip)
        return time.perf_counter() - start
    keep_memory()
    config = ssl_config(model, way)
    BackboneExtractor(config, RATE)
    by_length = sorted(sample, key=len, reverse=True)
    start = time.perf_counter()
    tasks = [by_length[first : first + TASK_CLIPS] for first in range(0, len(sample), TASK_CLIPS)]
    for _ in run_tasks(partial(extract_ours, config), tasks, threads, name=lambda group: f"{len(group)} clips"):
        pass
    return time.perf_counter() - start


def cosines(model: Path, sample: list[Array]) -> dict[str, list[list[float]]]:
    """{what is compared: [lowest and mean of each hidden state]}."""
    import torch

    from ser.features.backbone import BackboneExtractor

    torch.set_num_threads(1)
    plain = plain_way(model)
    exact, rounded = (BackboneExtractor(ssl_config(model, way, time_pool=1), RATE) for way in (OURS, ROUNDED))
    found: dict[str, list[Array]] = {"fp32 against transformers": [], "bf16 against fp32": []}
    for clip in sample:
        ours, ours_rounded = (extractor.extract([clip])[0] for extractor in (exact, rounded))
        shape = (len(ours), len(exact.states), -1)
        theirs = np.stack([state[: len(ours)] for state in plain(clip)], axis=1)
        found["fp32 against transformers"].append(cosine(ours.reshape(shape), theirs))
        found["bf16 against fp32"].append(cosine(ours_rounded.reshape(shape), ours.reshape(shape)))
    together = {what: np.concatenate(parts) for what, parts in found.items()}
    return {what: np.stack([each.min(axis=0), each.mean(axis=0)], axis=1).tolist() for what, each in together.items()}


def cosine(a: Array, b: Array) -> Array:
    """
    Shape:
        (frames, states, dim) twice -> (frames, states)
    """
    return np.asarray((a * b).sum(2) / np.linalg.norm(a, axis=2) / np.linalg.norm(b, axis=2))


def in_a_process_of_its_own(what: str, model: Path, found: argparse.Namespace) -> Any:
    """Threads and memory policy act on a whole process."""
    options = ["--clips", str(found.clips), "--threads", str(found.threads), "--measure", what, "--model", str(model)]
    command = [sys.executable, __file__, str(found.raw), *options]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def measure(found: argparse.Namespace) -> Any:
    sample = clips(found.raw, found.clips)
    if found.measure in WAYS:
        return seconds(found.model, found.measure, found.threads, sample)
    return cosines(found.model, sample[:COMPARED])


def speed_rows(name: str, model: Path, found: argparse.Namespace, audio_seconds: float) -> list[str]:
    runs: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(found.repeats):
        for way, times in runs.items():
            times.append(in_a_process_of_its_own(way, model, found))
    wall = {way: statistics.median(times) for way, times in runs.items()}
    spread = {way: f"{audio_seconds / max(times):.1f} to {audio_seconds / min(times):.1f}" for way, times in runs.items()}
    return [f"| {name} | {way} | {audio_seconds / wall[way]:.1f} | {spread[way]} | {wall[PLAIN] / wall[way]:.2f} |" for way in WAYS]


def cosine_rows(name: str, model: Path, found: argparse.Namespace) -> list[str]:
    compared: dict[str, list[list[float]]] = in_a_process_of_its_own("cosines", model, found)
    return [
        f"| {name} | {what} | " + " | ".join(f"{lowest:.4f} / {mean:.4f}" for lowest, mean in states) + " |"
        for what, states in compared.items()
    ]


def tables(models: dict[str, Path], found: argparse.Namespace) -> list[str]:
    sample = clips(found.raw, found.clips)
    total = sum(map(len, sample)) / RATE
    real = "real clips" if any(found.raw.rglob("*.wav")) else "clips of noise"
    lines = [
        f"{len(sample)} {real}, {total:.0f} s; {found.threads} threads each way; median and range of {found.repeats} alternating runs.",
        "",
        "| backbone | way | x real time | range | ratio to transformers |",
        "|---|---|---|---|---|",
        *(row for name, model in models.items() for row in speed_rows(name, model, found, total)),
    ]
    for name, model in models.items():
        rows = cosine_rows(name, model, found)
        states = rows[0].count("|") - 3
        lines += [
            "",
            "| backbone | cosine, lowest / mean | " + " | ".join(map(str, range(states))) + " |",
            "|---" * (states + 2) + "|",
            *rows,
        ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path, nargs="?", default=Path("data/raw"))
    parser.add_argument("--whisper", type=Path, default=Path("../shared/models/whisper-base-encoder"))
    for option, default in (("clips", 40), ("repeats", 3), ("threads", 2)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    found = parser.parse_args()
    if found.measure:
        json.dump(measure(found), sys.stdout)
        return
    with tempfile.TemporaryDirectory() as folder:
        save_wavlm(Path(folder))
        models = {"Whisper base": found.whisper} if found.whisper.is_dir() else {}
        report(tables({**models, "WavLM base, random": Path(folder)}, found), found.out)


if __name__ == "__main__":
    main()
