"""The service under load: 2000 uploads, 32 in flight, a fifth of them broken. Is each answered, and does the memory stay?

    python benchmarks/service.py runs/eight/model.onnx [--requests 2000] [--in-flight 32] [--workers 2] [--out table.md]

Uploads are made from the sample that comes with ser: 0.5 s to 40 s, five sample rates, six containers. Ends with exit code 1 where a
request has no answer or a 5xx, or where the memory of the server or of its workers grows by more than a tenth (from 200 uploads on: before,
they have not seen the longest recording).
"""

import argparse
import asyncio
import io
import random
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import httpx
import numpy as np
import psutil
import soundfile
import soxr

from real_clips import report

COMMAND = "from ser.cli import main; main()"
RATES = (8_000, 16_000, 22_050, 44_100, 48_000)
FORMS = (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_24"))
SECONDS = (0.5, 1, 2, 3, 4, 5, 8, 15, 40)
MAX_SECONDS = 60
GOOD, BROKEN_SHARE = 120, 5
MOST_GROWTH, FROM = 0.1, 200


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", default=Path("runs/eight/model.onnx"))
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    found = parser.parse_args()
    if not found.model.exists():
        print(f"skipped: this benchmark needs {found.model} (ser export RUN)")
        sys.exit(0)
    return found


# what is sent


def speech() -> np.ndarray:
    """Three minutes of the sample, 16 kHz."""
    names = sorted(Path(str(files("ser"))).glob("sample/crema/**/*.opus"))
    return np.concatenate([soundfile.read(name, dtype="float32")[0] for name in names[:72]])


def good(count: int) -> list[bytes]:
    """Recordings of every length, rate and container."""
    source, chance = speech(), random.Random(1)
    found = []
    for number in range(count):
        form, subtype = FORMS[number % len(FORMS)]
        rate, seconds = chance.choice(RATES), chance.choice(SECONDS)
        start = chance.randrange(len(source) - int(seconds * 16_000))
        samples = soxr.resample(source[start : start + int(seconds * 16_000)], 16_000, rate)
        file = io.BytesIO()
        soundfile.write(file, samples.clip(-1, 1), rate, format=form, subtype=subtype)
        found.append(file.getvalue())
    return found


def broken(recordings: Sequence[bytes]) -> list[bytes]:
    chance = random.Random(2)
    wavs = [content for content in recordings if content.startswith(b"RIFF")]
    file = io.BytesIO()
    soundfile.write(file, np.full(16_000, np.nan, np.float32), 16_000, format="WAV", subtype="FLOAT")
    nan, long = file.getvalue(), io.BytesIO()
    soundfile.write(long, np.zeros((MAX_SECONDS + 9) * 8_000, np.float32), 8_000, format="FLAC")
    halves = [content[: len(content) // 2] for content in wavs[:8]]
    flipped = [bytes(byte if chance.random() < 0.99 else chance.randrange(256) for byte in content[:60_000]) for content in recordings[:12]]
    plain = [b"", b"RIFF", b"hello", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", nan, long.getvalue(), wavs[0][:44]]
    return [*plain, *halves, *flipped, *(chance.randbytes(10**power) for power in range(2, 6))]


def uploads(count: int) -> list[bytes]:
    recordings = good(GOOD)
    bad, chance = broken(recordings), random.Random(3)
    chosen = [chance.choice(bad if number % BROKEN_SHARE == 0 else recordings) for number in range(count)]
    chance.shuffle(chosen)
    return chosen


# who answers


@contextmanager
def service(model: Path, workers: int) -> Iterator[tuple[str, psutil.Process]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--port", str(port), "--workers", str(workers), "--max-seconds", str(MAX_SECONDS)]
    command = [sys.executable, "-c", COMMAND, "serve", str(model), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            httpx.Client(transport=httpx.HTTPTransport(retries=8)).get(f"{url}/healthz", timeout=60).raise_for_status()
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()


def memory(process: psutil.Process) -> tuple[float, float]:
    """Resident, of the server and of its workers, in MB."""
    return process.memory_info().rss / 1e6, sum(child.memory_info().rss for child in process.children(recursive=True)) / 1e6


@dataclass
class Course:
    """What came of the uploads."""

    statuses: list[int]
    reasons: Counter[str]
    times: list[float]
    memory: list[tuple[float, float]]
    """At a tenth, and at the end."""
    seconds: float = 0.0


async def send_all(url: str, process: psutil.Process, contents: Sequence[bytes], in_flight: int) -> Course:
    waiting, course = iter(enumerate(contents)), Course([], Counter(), [], [])

    async def send(client: httpx.AsyncClient) -> None:
        for number, content in waiting:
            begun = time.perf_counter()
            if number == len(contents) // 10:
                course.memory.append(memory(process))
            try:
                response = await client.post("/v1/predict", files={"file": ("x.wav", content)})
            except httpx.HTTPError as error:
                course.statuses.append(0)
                course.reasons[type(error).__name__] += 1
                continue
            course.times.append(time.perf_counter() - begun)
            course.statuses.append(response.status_code)
            course.reasons[reason_of(response)] += 1

    begun = time.perf_counter()
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=httpx.Limits(max_connections=in_flight)) as client:
        await asyncio.gather(*(send(client) for _ in range(in_flight)))
    course.memory.append(memory(process))
    course.seconds = time.perf_counter() - begun
    return course


def reason_of(response: httpx.Response) -> str:
    try:
        return str(response.json()["reason"] or "answered")
    except (ValueError, KeyError):
        return f"no reason with {response.status_code}"


def table(course: Course, contents: Sequence[bytes], in_flight: int, workers: int) -> list[str]:
    times = course.times if len(course.times) > 1 else [float("nan")] * 2
    median, high, highest = (statistics.quantiles(times, n=100)[percent - 1] * 1000 for percent in (50, 95, 99))
    (server, crew), (server_end, crew_end) = course.memory
    statuses = ", ".join(f"{count} x {status or 'none'}" for status, count in sorted(Counter(course.statuses).items()))
    reasons = ", ".join(f"{count} {reason}" for reason, count in course.reasons.most_common())
    megabytes = sum(map(len, contents)) / 1e6
    return [
        f"| {len(contents)} uploads ({megabytes:.0f} MB), {in_flight} in flight, {workers} workers | |",
        "|---|---|",
        f"| answers by status | {statuses} |",
        f"| by reason | {reasons} |",
        f"| uploads a second | {len(contents) / course.seconds:.0f} |",
        f"| ms until the answer: median, 95 %, 99 % | {median:.0f}, {high:.0f}, {highest:.0f} |",
        f"| MB of the server, at a tenth and at the end | {server:.0f}, {server_end:.0f} |",
        f"| MB of the workers, at a tenth and at the end | {crew:.0f}, {crew_end:.0f} |",
        f"| growth of the server, of the workers | {', '.join(f'{100 * share:+.1f} %' for share in growth(course))} |",
    ]


def growth(course: Course) -> tuple[float, float]:
    """Of the server and of its workers."""
    (server, crew), (server_end, crew_end) = course.memory
    return server_end / server - 1, crew_end / crew - 1


def main() -> None:
    found = arguments()
    contents = uploads(found.requests)
    with service(found.model, found.workers) as (url, process):
        course = asyncio.run(send_all(url, process, contents, found.in_flight))
    report(table(course, contents, found.in_flight, found.workers), found.out)
    unanswered = any(not status or status >= 500 for status in course.statuses) or len(course.statuses) != len(contents)
    sys.exit(int(unanswered or (len(contents) >= FROM and max(growth(course)) > MOST_GROWTH)))


if __name__ == "__main__":
    main()
