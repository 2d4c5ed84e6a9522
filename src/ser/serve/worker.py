"""A process that holds a model and hears one upload after the other, until its parent closes the pipe or is gone.

It is started as `python -m ser.serve.worker MODEL SECONDS [BACKBONE]`. Uploads come on standard input, answers go where standard output
was; each is a frame: eight bytes that tell its length, and then so many.
"""

import json
import os
import signal
import struct
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import IO

import numpy as np

from ser.audio.containers import identify
from ser.audio.formats.base import Container
from ser.audio.reader import FileRecording
from ser.audio.recording import Samples
from ser.audio.source import Source
from ser.errors import AudioError, DataError, SerError
from ser.inference.formats import Outcome, record
from ser.inference.options import PredictOptions
from ser.inference.predictor import Predictor
from ser.serve.facts import Facts, facts_of
from ser.system.parallel import die_with

SIZE = struct.Struct(">Q")
CHUNK = 1 << 16
HEAD_ROOM = 1 << 30
"""Bytes of memory beyond those of the model at rest."""
WARM_SECONDS = 1.0
NO_MEMORY = "out of memory: send a shorter recording"


def main(model: str, max_seconds: float, backbone: str | None = None) -> None:
    """The life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    die_with(os.getppid())
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    silence_libraries()
    with suppress(BrokenPipeError, EOFError):
        try:
            predictor = Predictor.from_options(PredictOptions(model, backbone=backbone))
            facts = warm_up(Path(model), predictor)
        except (SerError, OSError) as error:
            put(answers, {"error": str(error), "exit_code": getattr(error, "exit_code", DataError.exit_code)})
            return
        limit_memory()
        put(answers, asdict(facts))
        serve(predictor, facts, requests, answers, max_seconds)


def silence_libraries() -> None:
    """What a decoder prints of broken bytes is no answer, and would be a log that strangers fill. Python's own errors still go there."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os.close(nothing)


def warm_up(path: Path, predictor: Predictor) -> Facts:
    """The first call of a network is the slowest; and a worker that has answered once can answer."""
    rate = predictor.model.audio.sampling_rate
    noise = np.random.default_rng(0).normal(0, 0.1, round(WARM_SECONDS * rate)).astype(np.float32)
    return facts_of(path, predictor, predictor.predict(noise, rate))


def limit_memory() -> None:
    """Of what is written to, not of what is mapped. Only the kernel of Linux keeps such a limit."""
    if sys.platform != "linux":
        return
    import resource

    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    limit = int(status["VmData"].split()[0]) * 1024 + HEAD_ROOM
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def serve(predictor: Predictor, facts: Facts, requests: IO[bytes], answers: IO[bytes], max_seconds: float) -> None:
    """Answer until there are no more uploads."""
    while header := requests.read(SIZE.size):
        pieces = arriving(requests, *SIZE.unpack(header))
        try:
            upload = kept(pieces)
        except OSError as error:
            deque(pieces, maxlen=0)
            put(answers, {"no_room": str(error)})
            continue
        with upload:
            try:
                found = predict(predictor, upload, max_seconds)
            except AudioError as error:
                put(answers, {"reason": error.reason, "detail": error.detail})
            except (MemoryError, DataError):
                put(answers, {"reason": "too-long", "detail": NO_MEMORY, "last": True})
                return  # with its memory in pieces: another worker takes over
            else:
                put(answers, {"seconds": found["seconds"]}, found | {"model": facts.beside_answers()})


def arriving(requests: IO[bytes], left: int) -> Iterator[bytes]:
    """So many bytes.

    Raises:
        EOFError: the parent is gone.
    """
    while left:
        piece = requests.read(min(CHUNK, left))
        if not piece:
            raise EOFError
        left -= len(piece)
        yield piece


def kept(pieces: Iterator[bytes]) -> IO[bytes]:
    """In a temporary file without a name.

    Raises:
        OSError: there is no room.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        file.writelines(pieces)
        file.flush()
    except BaseException:
        with suppress(OSError):
            file.close()
        raise
    return file


def predict(predictor: Predictor, upload: IO[bytes], max_seconds: float) -> dict[str, object]:
    """What the service answers, without what it says of the model.

    Raises:
        AudioError: the recording cannot be used, or is longer than that.
        DataError, MemoryError: out of memory.
    """
    source = Source.from_descriptor(upload.fileno(), os.fstat(upload.fileno()).st_size)
    recording = Upload(source, identify(source), max_seconds)
    found = record(Outcome("", predictor.predict_recording(recording)))
    del found["path"]
    return found


class Upload(FileRecording):
    """A recording that is refused before hours of it are decoded."""

    def __init__(self, source: Source, container: Container, max_seconds: float) -> None:
        """Errors as of `FileRecording`; too-long begins earlier."""
        super().__init__(source, container, PurePath())
        self.max_seconds = max_seconds
        self.check_length(self.num_samples)

    def check_length(self, samples: int) -> None:
        if samples > self.max_seconds * self.sample_rate:
            raise AudioError("too-long", f"{samples / self.sample_rate:.0f} s or more; at most {self.max_seconds:g} s are taken")

    def blocks(self) -> Iterator[Samples]:
        """Counted, because some headers do not tell how much follows."""
        count = 0
        for block in super().blocks():
            count += len(block)
            self.check_length(count)
            yield block


def put(answers: IO[bytes], *frames: dict[str, object]) -> None:
    """Each as JSON."""
    for frame in frames:
        content = json.dumps(frame, allow_nan=False).encode()
        answers.write(SIZE.pack(len(content)) + content)
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), *sys.argv[3:])
