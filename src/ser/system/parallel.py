"""Run tasks in child processes. If the system kills a worker, its task is retried once; the other tasks are not affected.

`ProcessPoolExecutor` and joblib lose every pending task when a worker is killed. Here each worker has its own pipe and holds one task at a
time, so the parent knows which task was lost.
"""

import ctypes
import logging
import os
import pickle
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeVar

from ser.errors import DataError

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
START_METHOD = "fork" if sys.platform == "linux" else "spawn"
PR_SET_PDEATHSIG = 1


def run_tasks(
    function: Callable[[T], R], tasks: Sequence[T], workers: int, name: Callable[[T], str], *, apart: bool = False
) -> Generator[tuple[int, R], None, None]:
    """Yield (index of the task, `function(task)`) as the tasks finish. With one worker or one task, run them in this process, in order.

    A task whose worker was killed is retried after the others, on its own, because the usual cause is too little memory. The workers are
    stopped when the iteration ends for any reason, including Ctrl-C and closing the generator.

    Args:
        name: text that names a task in messages.
        apart: whether to use a child process even for one worker or task, because this process must not import what the tasks import.

    Raises:
        DataError: the worker of a task was killed twice; the message has `name(task)`.
        Exception: any error of a task, with the worker's traceback as a note.
    """
    if min(workers, len(tasks)) <= 1 and not apart:
        yield from ((index, function(task)) for index, task in enumerate(tasks))
        return
    pool = Pool(function, tasks, name)
    try:
        yield from pool.run_indices(range(len(tasks)), workers)
        for index in list(pool.lost):
            yield from pool.run_indices([index], 1)
    finally:
        pool.stop()


@dataclass(slots=True)
class Worker:
    process: BaseProcess
    index: int
    """Index of its current task."""


class Pool(Generic[T, R]):
    """The workers of one call of `run_tasks`, keyed by their pipes."""

    def __init__(self, function: Callable[[T], R], tasks: Sequence[T], name: Callable[[T], str]) -> None:
        self.function, self.tasks, self.name = function, tasks, name
        self.busy: dict[Connection, Worker] = {}
        self.lost: list[int] = []

    def run_indices(self, indices: Iterable[int], workers: int) -> Iterator[tuple[int, R]]:
        """Run these tasks on at most `workers` workers; yield (index, result) as they finish."""
        waiting = deque(indices)
        for _ in range(min(workers, len(waiting))):
            self.start_worker(waiting.popleft())
        while self.busy:
            for connection in wait(list(self.busy)):
                assert isinstance(connection, Connection)
                index = self.busy[connection].index
                try:
                    succeeded, value = connection.recv()
                except (EOFError, OSError):
                    self.record_loss(connection)
                    if waiting:
                        self.start_worker(waiting.popleft())
                    continue
                if waiting:
                    self.assign(connection, waiting.popleft())
                else:
                    self.remove_worker(connection)
                if not succeeded:
                    raise value
                yield index, value

    def start_worker(self, index: int) -> None:
        """Start a worker and send it a task. Signals are blocked meanwhile: an interrupt must not leave an unregistered worker running."""
        context = get_context(START_METHOD)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            here, there = context.Pipe()
            # A forked child owns copies of these ends; left open they would keep its siblings waiting after the parent's death.
            foreign = [*self.busy, here] if START_METHOD == "fork" else []
            process = context.Process(target=worker_loop, args=(self.function, there, foreign, os.getpid()), daemon=True)  # type: ignore[attr-defined]
            process.start()
            there.close()
            self.busy[here] = Worker(process, index)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        self.assign(here, index)

    def assign(self, connection: Connection, index: int) -> None:
        """Send a task to an idle worker."""
        self.busy[connection].index = index
        with suppress(OSError):  # a worker that has just died is found when its result is received
            connection.send(self.tasks[index])

    def record_loss(self, connection: Connection) -> None:
        """Record that the worker of a task has died.

        Raises:
            DataError: the task was lost before.
        """
        index = self.busy[connection].index
        exitcode = self.remove_worker(connection)
        how = f"signal {-exitcode}" if exitcode < 0 else f"exit code {exitcode}"
        if index in self.lost:
            raise DataError(
                f"{self.name(self.tasks[index])}: the worker process was killed twice ({how}); "
                "the usual cause is too little memory: lower runtime.workers"
            )
        log.warning("%s: the worker process was killed (%s); the task will be retried at the end", self.name(self.tasks[index]), how)
        self.lost.append(index)

    def remove_worker(self, connection: Connection) -> int:
        """Close a worker's pipe, which ends it, and return its exit code."""
        worker = self.busy.pop(connection)
        connection.close()
        worker.process.join()
        return worker.process.exitcode or 0

    def stop(self) -> None:
        """End all workers, also those in the middle of a task."""
        for worker in self.busy.values():
            worker.process.terminate()
        for connection in list(self.busy):
            self.remove_worker(connection)


def worker_loop(function: Callable[[T], R], connection: Connection, foreign: Iterable[Connection], parent: int) -> None:
    """Receive tasks and send results until the parent closes the pipe or is gone. Ctrl-C is handled by the parent."""
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    for other in foreign:
        other.close()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            connection.send_bytes(run_pickled(function, connection.recv()))


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when the parent dies. Otherwise it would hold the inherited lock until its task ends.

    Only Linux supports this; elsewhere a worker ends after its current task.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # a C library without prctl
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it died before the kernel was asked


def run_pickled(function: Callable[[T], R], task: T) -> bytes:
    """Pickled (True, result) or (False, error)."""
    try:
        return pickle.dumps((True, function(task)))
    except Exception as error:
        trace = traceback.format_exc()
        error.add_note(trace)
        try:
            pickle.loads(packed := pickle.dumps((False, error)))
        except Exception:
            return pickle.dumps((False, RuntimeError(trace)))
        return packed
