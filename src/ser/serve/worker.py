"""A worker process that loads a model and predicts one upload after the other, until its parent closes the pipe or ends.

It is started as `python -m ser.serve.worker MODEL SECONDS [BACKBONE]`. Uploads are read from standard input, answers are
written to what was standard output; each is a frame: eight bytes with its length, and then so many bytes.
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
"""Bytes of memory that a prediction may use in addition to the loaded model."""
WARM_SECONDS = 1.0
NO_MEMORY = "out of memory: send a shorter recording"


def main(model: str, max_seconds: float, backbone: str | None = None) -> None:
    """Load the model, report it, and answer uploads."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
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
    """Discard what decoders print about broken bytes: it is not an answer, and strangers could fill the log with it. Python's errors are
    kept."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os.close(nothing)


def warm_up(path: Path, predictor: Predictor) -> Facts:
    """Predict once: the first call of a network is the slowest, and it shows that the worker works."""
    rate = predictor.model.audio.sampling_rate
    noise = np.random.default_rng(0).normal(0, 0.1, round(WARM_SECONDS * rate)).astype(np.float32)
    return facts_of(path, predictor, predictor.predict(noise, rate))


def limit_memory() -> None:
    """Limit the memory that is written to, not the memory that is mapped. Only Linux enforces this limit."""
    if sys.platform != "linux":
        return
    import resource

    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    limit = int(status["VmData"].split()[0]) * 1024 + HEAD_ROOM
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def serve(predictor: Predictor, facts: Facts, requests: IO[bytes], answers: IO[bytes], max_seconds: float) -> None:
    """Answer uploads until there are no more."""
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
                return  # its memory may be fragmented: another worker replaces it
            else:
                put(answers, {"seconds": found["seconds"]}, found | {"model": facts.beside_answers()})


def arriving(requests: IO[bytes], left: int) -> Iterator[bytes]:
    """Read so many bytes.

    Raises:
        EOFError: the parent has ended.
    """
    while left:
        piece = requests.read(min(CHUNK, left))
        if not piece:
            raise EOFError
        left -= len(piece)
        yield piece


def kept(pieces: Iterator[bytes]) -> IO[bytes]:
    """Copy an upload into an unnamed temporary file.

    Raises:
        OSError: no space is left.
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
    """The service's answer, without the description of the model.

    Raises:
        AudioError: the recording cannot be used, or is too long.
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
        """Raises the errors of `FileRecording`, and too-long at a lower limit."""
        super().__init__(source, container, PurePath())
        self.max_seconds = max_seconds
        self.check_length(self.num_samples)

    def check_length(self, samples: int) -> None:
        if samples > self.max_seconds * self.sample_rate:
            raise AudioError("too-long", f"{samples / self.sample_rate:.0f} s or more; at most {self.max_seconds:g} s are accepted")

    def blocks(self) -> Iterator[Samples]:
        """The blocks, counted, because some headers do not state the duration."""
        count = 0
        for block in super().blocks():
            count += len(block)
            self.check_length(count)
            yield block


def put(answers: IO[bytes], *frames: dict[str, object]) -> None:
    """The answer as JSON."""
    for frame in frames:
        content = json.dumps(frame, allow_nan=False).encode()
        answers.write(SIZE.pack(len(content)) + content)
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), *sys.argv[3:])
