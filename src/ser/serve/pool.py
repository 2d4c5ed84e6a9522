"""The processes that hear: started, warmed up, given one upload at a time, killed when the clock runs out, and replaced.

A pool of its own, because here a process must have its model before the first upload, must be killed in mid-work without taking another
upload with it, and its death must cost one retry. (anyio.to_process kills too, but starts a process with the first request that needs one,
loads nothing ahead, and tells nobody when one died.)
"""

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, Self, TypeVar

from ser.errors import ArtefactError, ConfigError, DataError, LockedError, SerError
from ser.serve.problems import Refused, no_room

log = logging.getLogger(__name__)

Found = TypeVar("Found")

CHUNK = 1 << 16
SIZE_BYTES = 8
MODULE = "ser.serve.worker"
ERRORS = {error.exit_code: error for error in (ConfigError, DataError, ArtefactError, LockedError)}
TRIES = 2
"""Of an upload whose worker died."""
WAITING_FOR_EACH = 32
"""Uploads that may wait, for each worker."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a worker that could not start is started again; each time twice as long."""
START_SECONDS = 300.0
"""For loading a model."""


class Died(Exception):
    """A worker ended in mid-work."""


class Left(Exception):
    """Nobody waits for the answer any more."""


async def stay() -> None:
    """Of somebody who never leaves."""
    await asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True)
class Heard:
    """What a worker says of an upload."""

    content: bytes
    """JSON."""
    seconds: float
    """Of the recording."""
    waited: float
    """Seconds until a worker was free."""
    worked: float
    """Seconds until it had answered."""


class Worker:
    """One process with the model."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.requests, self.answers = process, process.stdin, process.stdout
        self.facts: dict[str, Any] = {}
        self.ends = False
        """It has said that it hears no more."""

    @classmethod
    async def start(cls, command: Sequence[str]) -> Self:
        """
        Raises:
            SerError: it cannot have the model.
        """
        pipe = asyncio.subprocess.PIPE
        # a session of its own: Ctrl-C of the terminal is not for it
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=environment(), start_new_session=True)
        worker = cls(process)
        try:
            async with asyncio.timeout(START_SECONDS):
                worker.facts = json.loads(await worker.frame())
        except BaseException as error:
            await worker.end()
            if isinstance(error, Died | TimeoutError):
                raise DataError(f"a worker process ended before it had the model (exit code {process.returncode})") from None
            raise
        if "error" in worker.facts:
            await worker.end()
            raise ERRORS[worker.facts["exit_code"]](worker.facts["error"])
        return worker

    @property
    def alive(self) -> bool:
        """The end of its answers is known before its exit code is."""
        return self.process.returncode is None and not self.answers.at_eof()

    async def hear(self, upload: IO[bytes], size: int) -> tuple[bytes, float]:
        """JSON and seconds of audio.

        Raises:
            Died: it ended meanwhile.
            Refused: with the reason.
        """
        try:
            self.requests.write(size.to_bytes(SIZE_BYTES, "big"))
            while piece := upload.read(CHUNK):
                self.requests.write(piece)
                await self.requests.drain()
            await self.requests.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise Died from None
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
            raise Died from None

    def kill(self) -> None:
        """(`Process.kill` looks whether it is dead, and so may take its exit code away from whoever waits for it.)"""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)

    async def end(self) -> None:
        self.kill()
        await self.process.wait()
        self.requests.close()


def environment() -> dict[str, str]:
    """One thread for each process; the processes are what runs side by side."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


def worker_command(model: str, max_seconds: float, backbone: str | None = None) -> list[str]:
    """-P: nothing is imported from the folder where somebody stands."""
    return [sys.executable, "-P", "-m", MODULE, model, str(max_seconds), *([backbone] if backbone else [])]


class Pool:
    """The workers.

    Attributes:
        facts: what the model says of itself (`ser.serve.facts.Facts`, as a dictionary).
        restarts: workers that were replaced.
    """

    def __init__(self, command: Sequence[str], workers: int, timeout: float) -> None:
        """
        Args:
            timeout: seconds that an upload may wait for a worker, and seconds that it may be heard.
        """
        self.command, self.count, self.timeout = list(command), workers, timeout
        self.facts: dict[str, Any] = {}
        self.restarts = self.waiting = 0
        self.stopping = False
        self.workers: set[Worker] = set()
        self.idle: asyncio.Queue[Worker] = asyncio.Queue()
        self.keepers: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        return bool(self.workers)

    async def start(self) -> None:
        """Wait for the first worker; the others follow.

        Raises:
            SerError: it cannot have the model.
        """
        first = await Worker.start(self.command)
        self.facts = first.facts
        self.keepers = [asyncio.create_task(self.keep(first if number == 0 else None)) for number in range(self.count)]

    async def close(self) -> None:
        """End all workers. Nobody waits for one any more."""
        self.stopping = True
        for keeper in self.keepers:
            keeper.cancel()
        await asyncio.gather(*self.keepers, return_exceptions=True)

    async def keep(self, worker: Worker | None) -> None:
        """One place in the pool: a worker, and whenever it ended, another."""
        while True:
            worker = worker or await self.replacement()
            self.workers.add(worker)
            self.idle.put_nowait(worker)
            try:
                await worker.process.wait()
            finally:
                self.workers.discard(worker)
                await worker.end()
            worker = None
            self.restarts += 1

    async def replacement(self) -> Worker:
        """A new worker; where it cannot start, later."""
        pause = FIRST_PAUSE
        while True:
            try:
                worker = await Worker.start(self.command)
                if worker.facts == self.facts:
                    return worker
                await worker.end()
                log.warning("the model has changed; start the service again to use the new one")
            except (SerError, OSError) as error:
                log.warning("a worker process cannot start: %s", error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def hear(self, upload: IO[bytes], size: int, until_left: Callable[[], Coroutine[Any, Any, None]] = stay) -> Heard:
        """What the model says of a recording.

        By one worker, or by another if it dies: a system without memory may have chosen it for nothing that this upload did.

        Args:
            upload: a file; it is read twice if a worker dies.
            until_left: ends when nobody waits for the answer any more. A place in the queue is given up then; a worker that hears already
                goes on, for to start another takes longer.

        Raises:
            Refused: with the reason: of the recording; `timeout`; `unreadable`, if two workers died of it; `busy`.
            Left: before a worker was free.
        """
        begun = time.perf_counter()
        for _ in range(TRIES):
            worker = await self.take(until_left)
            taken = time.perf_counter()
            try:
                async with asyncio.timeout(self.timeout):
                    content, seconds = await self.heard_by(worker, upload, size)
            except TimeoutError:
                raise Refused("timeout", f"it was not heard within {self.timeout:g} s") from None
            except Died:
                if self.stopping:
                    raise Refused("busy", "the service stops") from None
                code = await worker.process.wait()
                log.warning("a worker process died (exit code %s) with an upload of %d bytes", code, size)
            else:
                return Heard(content, seconds, taken - begun, time.perf_counter() - taken)
        raise Refused("unreadable", "the process that decoded it died, twice")

    async def take(self, until_left: Callable[[], Coroutine[Any, Any, None]]) -> Worker:
        """
        Raises:
            Refused: busy.
            Left: before a worker was free.
        """
        later = {"Retry-After": str(max(1, round(self.timeout / 2)))}
        if self.waiting >= self.count * WAITING_FOR_EACH:
            raise Refused("busy", f"{self.waiting} uploads are waiting", later)
        self.waiting += 1
        try:
            return await unless(until_left(), self.free_worker())
        except TimeoutError:
            raise Refused("busy", f"no worker was free within {self.timeout:g} s", later) from None
        finally:
            self.waiting -= 1

    async def free_worker(self) -> Worker:
        """
        Raises:
            TimeoutError: there is none for too long.
        """
        async with asyncio.timeout(self.timeout):
            while not (worker := await self.idle.get()).alive:
                pass
            return worker

    async def heard_by(self, worker: Worker, upload: IO[bytes], size: int) -> tuple[bytes, float]:
        upload.seek(0)
        try:
            answer = await worker.hear(upload, size)
        except Refused:
            if worker.ends:
                worker.kill()
            else:
                self.idle.put_nowait(worker)
            raise
        except BaseException:  # it died, or the clock ran out: it must not answer the next one with what was meant for this
            worker.kill()
            raise
        self.idle.put_nowait(worker)
        return answer


async def unless(left: Coroutine[Any, Any, None], wanted: Coroutine[Any, Any, Found]) -> Found:
    """What is wanted, if nobody leaves before.

    Raises:
        Left: somebody did.
    """
    leaving, finding = asyncio.create_task(left), asyncio.create_task(wanted)
    try:
        await asyncio.wait({leaving, finding}, return_when=asyncio.FIRST_COMPLETED)
        if not finding.done():
            raise Left
        return finding.result()
    finally:
        leaving.cancel()
        finding.cancel()
