"""A pool of worker processes: each is started, warmed up, given one upload at a time, killed at its time limit, and replaced.

Written here because a worker must load its model before the first upload, must be killed during its work without affecting another upload,
and its death must cause one retry. (anyio.to_process also kills, but it starts a process at the first request that needs one, loads nothing
beforehand, and does not report the death of a process.)
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import IO, TypeVar

from ser.errors import SerError
from ser.serve.problems import Refused
from ser.serve.worker_process import Worker, WorkerDied

log = logging.getLogger(__name__)

Found = TypeVar("Found")
Waiting = Coroutine[object, object, Found]

TRIES = 2
"""Tries of an upload whose worker died."""
WAITING_FOR_EACH = 32
"""Uploads that may wait per worker."""
FIRST_PAUSE = 0.5
"""Seconds before a worker that could not start is started again; each time twice as long."""
LONGEST_PAUSE = 30.0
"""The longest such pause in seconds."""


class Left(Exception):
    """The client has closed its connection."""


async def stay() -> None:
    """A client that never closes its connection."""
    await asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True)
class PoolAnswer:
    """The answer of a worker for an upload."""

    content: bytes
    """JSON."""
    seconds: float
    """Seconds of the recording."""
    waited: float
    """Seconds until a worker was free."""
    worked: float
    """Seconds until it had answered."""


class Pool:
    """A pool of workers.

    Attributes:
        facts: the description of the model (`ser.serve.facts.Facts`, as a dictionary).
        restarts: workers that were replaced.
    """

    def __init__(self, command: Sequence[str], workers: int, timeout: float) -> None:
        """
        Args:
            timeout: seconds that an upload may wait for a worker, and seconds that its prediction may take.
        """
        self.command, self.count, self.timeout = list(command), workers, timeout
        self.facts: dict[str, object] = {}
        self.restarts = self.waiting = 0
        self.stopping = False
        self.workers: set[Worker] = set()
        self.idle: asyncio.Queue[Worker] = asyncio.Queue()
        self.keepers: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        return bool(self.workers)

    async def start(self) -> None:
        """Start the workers and wait for the first.

        Raises:
            SerError: it cannot load the model.
        """
        first = await Worker.start(self.command)
        self.facts = first.facts
        self.keepers = [asyncio.create_task(self.keep(first if number == 0 else None)) for number in range(self.count)]

    async def close(self) -> None:
        """End all workers, when no upload waits for one."""
        self.stopping = True
        for keeper in self.keepers:
            keeper.cancel()
        await asyncio.gather(*self.keepers, return_exceptions=True)

    async def keep(self, worker: Worker | None) -> None:
        """Keep one place in the pool filled: start a worker, and another whenever it has ended."""
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
        """Start a worker; if that fails, try again later."""
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

    async def predict(self, upload: IO[bytes], size: int, until_left: Callable[[], Waiting[None]] = stay) -> PoolAnswer:
        """Predict a recording.

        If the worker dies, another tries once more: a system without memory may have killed it for a reason unrelated to the upload.

        Args:
            upload: a file; it is read twice if a worker dies.
            until_left: ends when the client has closed its connection. A place in the queue is given up then; a worker that has begun goes
                on, because starting another takes longer.

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
                    content, seconds = await self.predict_with(worker, upload, size)
            except TimeoutError:
                raise Refused("timeout", f"the prediction took longer than {self.timeout:g} s") from None
            except WorkerDied:
                if self.stopping:
                    raise Refused("busy", "the service is stopping") from None
                code = await worker.process.wait()
                log.warning("a worker process died (exit code %s) with an upload of %d bytes", code, size)
            else:
                return PoolAnswer(content, seconds, taken - begun, time.perf_counter() - taken)
        raise Refused("unreadable", "the worker process died twice on this recording")

    async def take(self, until_left: Callable[[], Waiting[None]]) -> Worker:
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
            TimeoutError: no worker is free in time.
        """
        async with asyncio.timeout(self.timeout):
            while not (worker := await self.idle.get()).alive:
                pass
            return worker

    async def predict_with(self, worker: Worker, upload: IO[bytes], size: int) -> tuple[bytes, float]:
        upload.seek(0)
        try:
            answer = await worker.predict(upload, size)
        except Refused:
            if worker.ends:
                worker.kill()
            else:
                self.idle.put_nowait(worker)
            raise
        except BaseException:  # it died, or the time is over: it must not answer the next upload with the result of this one
            worker.kill()
            raise
        self.idle.put_nowait(worker)
        return answer


async def unless(left: Waiting[None], wanted: Waiting[Found]) -> Found:
    """Await a result, unless the client closes its connection before.

    Raises:
        Left: the client closed its connection.
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
