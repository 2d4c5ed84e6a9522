"""The server's handle of a worker process: start it, give it an upload, kill it (`ser.serve.worker` is its program)."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Self

from ser.errors import ArtefactError, ConfigError, DataError, LockedError
from ser.serve.problems import Refused, no_room

CHUNK = 1 << 16
SIZE_BYTES = 8
MODULE = "ser.serve.worker"
ERRORS = {error.exit_code: error for error in (ConfigError, DataError, ArtefactError, LockedError)}
START_SECONDS = 300.0
"""Seconds for loading a model."""


class WorkerDied(Exception):
    """A worker ended during its work."""


class Worker:
    """One worker process with the model."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.requests, self.answers = process, process.stdin, process.stdout
        self.facts: dict[str, object] = {}
        """The description of the model (`ser.serve.facts.Facts`, as a dictionary)."""
        self.ends = False
        """Whether it accepts no more uploads."""

    @classmethod
    async def start(cls, command: Sequence[str]) -> Self:
        """
        Raises:
            SerError: it cannot load the model.
        """
        pipe = asyncio.subprocess.PIPE
        # in a session of its own, so that Ctrl-C in the terminal does not reach it
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=environment(), start_new_session=True)
        worker = cls(process)
        try:
            async with asyncio.timeout(START_SECONDS):
                facts = json.loads(await worker.frame())
        except BaseException as error:
            await worker.end()
            if isinstance(error, WorkerDied | TimeoutError):
                raise DataError(f"a worker process ended while it loaded the model (exit code {process.returncode})") from None
            raise
        if "error" in facts:
            await worker.end()
            raise ERRORS[facts["exit_code"]](facts["error"])
        worker.facts = facts
        return worker

    @property
    def alive(self) -> bool:
        """Wait for the exit code, which is known later than the end of its answers."""
        return self.process.returncode is None and not self.answers.at_eof()

    async def predict(self, upload: IO[bytes], size: int) -> tuple[bytes, float]:
        """Predict an upload: JSON and seconds of audio.

        Raises:
            WorkerDied: it ended meanwhile.
            Refused: with the reason.
        """
        try:
            self.requests.write(size.to_bytes(SIZE_BYTES, "big"))
            while piece := upload.read(CHUNK):
                self.requests.write(piece)
                await self.requests.drain()
            await self.requests.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise WorkerDied from None
        head = json.loads(await self.frame())
        self.ends = head.get("last", False)
        if "no_room" in head:
            raise no_room(head["no_room"])
        if "reason" in head:
            raise Refused(head["reason"], head["detail"])
        return await self.frame(), head["seconds"]

    async def frame(self) -> bytes:
        try:
            size = int.from_bytes(await self.answers.readexactly(SIZE_BYTES), "big")
            return await self.answers.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            raise WorkerDied from None

    def kill(self) -> None:
        """(`Process.kill` polls the process first, and so could take its exit code away from a waiting caller.)"""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)

    async def end(self) -> None:
        self.kill()
        await self.process.wait()
        self.requests.close()


def environment() -> dict[str, str]:
    """One thread for each process; the processes run in parallel."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


def worker_command(model: str, max_seconds: float, backbone: str | None = None) -> list[str]:
    """-P: nothing is imported from the current folder."""
    return [sys.executable, "-P", "-m", MODULE, model, str(max_seconds), *([backbone] if backbone else [])]
