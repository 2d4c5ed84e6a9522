"""`ser serve` as a process, with workers that do as the last chunk of a recording says."""

import io
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx
import numpy as np
import psutil
import soundfile

from processes import PATIENCE, eventually, start

RATE = 16_000

WORKER = """
import os, sys, time
from pathlib import Path
from ser.audio import vad_silero as silero
from ser.errors import ConfigError
from ser.serve import worker

def missing():
    raise ConfigError("as tests/conftest.py")

def obedient(predictor, upload, max_seconds):
    upload.seek(0)
    word, _, value = upload.read().rpartition(b"note")[2][4:].decode("utf-8", "replace").strip().partition(" ")
    if word == "wait":
        Path(value + ".begun").touch()
        while not Path(value).exists():
            time.sleep(0.01)
    elif word == "die" or (word == "die-once" and not Path(value).exists()):
        Path(value).touch()
        os.kill(os.getpid(), 9)
    elif word == "fill":
        memory = bytearray(4 << 30)
    elif word == "stumble":
        raise KeyError(value)
    return predict(predictor, upload, max_seconds)

silero.find_file = missing
predict, worker.predict = worker.predict, obedient
worker.main(sys.argv[1], float(sys.argv[2]))
"""


def patch(worker: str = WORKER) -> str:
    """For `processes.start`: workers run this program."""
    return f"""
import ser.commands.serve as steps
usual = steps.worker_command
steps.worker_command = lambda *arguments: [*usual(*arguments)[:2], "-c", {worker!r}, *usual(*arguments)[4:]]
"""


def wav(samples: "np.ndarray", rate: int = RATE, order: str = "", subtype: str = "PCM_16", form: str = "WAV") -> bytes:
    """A file's bytes; an order stands in a chunk of its own at the end, which no reader of audio knows."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    content = file.getvalue()
    if order:
        note = order.encode().ljust(256)
        content += b"note" + struct.pack("<I", len(note)) + note
        content = content[:4] + struct.pack("<I", len(content) - 8) + content[8:]
    return content


@dataclass(frozen=True)
class Held:
    """A recording that keeps its worker until it is let go."""

    gate: Path
    """A file; where it exists, nothing is held."""

    @property
    def content(self) -> bytes:
        return wav(noise(1.0), order=f"wait {self.gate}")

    def begun(self) -> bool:
        """Whether a worker has it, or had it."""
        return self.gate.with_name(f"{self.gate.name}.begun").exists()

    def let_go(self) -> None:
        self.gate.touch()


def noise(seconds: float, rate: int = RATE, seed: int = 0) -> "np.ndarray":
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate)).astype(np.float32)


@dataclass(frozen=True)
class Service:
    url: str
    process: "Popen[str]"
    client: httpx.Client

    @property
    def port(self) -> int:
        return httpx.URL(self.url).port or 0

    def workers(self) -> list[psutil.Process]:
        children: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return children

    def post(self, content: bytes, **options: Any) -> httpx.Response:
        """As a form."""
        return self.client.post("/v1/predict", files={"file": ("x.wav", content)}, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def stop(self) -> int:
        """Its exit code."""
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode


@contextmanager
def serving(model: Path, *options: str, more: str = "") -> Iterator[Service]:
    """Until the end of the block; nothing is left of it then.

    Args:
        more: statements before it starts.
    """
    port = free_port()
    process = start(["serve", model, "--port", str(port), *options], patch() + more)
    url = f"http://127.0.0.1:{port}"
    service = Service(url, process, httpx.Client(base_url=url, timeout=PATIENCE))
    try:
        assert eventually(lambda: answers(service)), process.communicate()[1] if process.poll() is not None else "no answer"
        yield service
    finally:
        service.client.close()
        children = service.workers() if process.poll() is None else []
        service.stop()
        assert not psutil.wait_procs(children, timeout=PATIENCE)[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def answers(service: Service) -> bool:
    if service.process.poll() is not None:
        raise AssertionError(service.process.communicate()[1])
    try:
        return service.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False
