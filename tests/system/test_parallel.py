"""Tasks over processes: every result once, a killed worker costs a retry, nothing is left behind."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from processes import FOR_EVER, PATIENCE, eventually, is_alive
from ser.errors import AudioError, DataError, LockedError, SerError
from ser.system.files import exclusive_lock
from ser.system.parallel import run_tasks

pytestmark = pytest.mark.timing


def square(number: int) -> int:
    return number * number


def process_id(_task: object) -> int:
    return os.getpid()


def die_first(marker_dir: Path, times: int, task: int) -> int:
    """Task 2 kills its own worker the first `times` times."""
    attempts = list(marker_dir.iterdir())
    if task == 2 and len(attempts) < times:
        (marker_dir / f"attempt{len(attempts)}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def fail_on(error: Exception, task: int) -> int:
    if task == 3:
        raise error
    return task


def results(function: Callable[[int], int], tasks: range, workers: int) -> dict[int, int]:
    found = list(run_tasks(function, tasks, workers, name="task {}".format))
    assert len(dict(found)) == len(found), "a result came twice"
    return dict(found)


@pytest.mark.parametrize("workers", [1, 2, 3, 9])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_task_gives_its_result_once(workers: int, count: int) -> None:
    assert results(square, range(count), workers) == {n: n * n for n in range(count)}


def test_one_worker_or_one_task_stays_in_this_process() -> None:
    assert set(results(process_id, range(3), 1).values()) == {os.getpid()}
    assert set(results(process_id, range(1), 4).values()) == {os.getpid()}


def test_two_workers_are_two_other_processes() -> None:
    def slow(_task: int) -> int:
        time.sleep(0.1)
        return os.getpid()

    pids = set(results(slow, range(4), 2).values())
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert not any(map(is_alive, pids))


def test_a_killed_worker_costs_one_retry_and_the_rest_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert results(partial(die_first, tmp_path, 1), range(8), 2) == {n: n for n in range(8)}
    assert "task 2: the worker process was killed (signal 9)" in caplog.text


def test_a_task_that_kills_its_worker_twice_is_named_after_the_rest_is_done(tmp_path: Path) -> None:
    tasks = run_tasks(partial(die_first, tmp_path, 9), range(8), 2, name="task {}".format)
    done = [next(tasks)[0] for _ in range(7)]
    with pytest.raises(DataError, match=r"task 2: the worker process was killed twice \(signal 9\)"):
        next(tasks)
    assert sorted(done) == [0, 1, 3, 4, 5, 6, 7]


def test_kill_9_from_outside_is_survived() -> None:
    def wait_for_the_kill(task: int) -> tuple[int, int]:
        time.sleep(0.05)
        return task, os.getpid()

    tasks = range(12)
    found: dict[int, int] = {}
    for index, (task, pid) in run_tasks(wait_for_the_kill, tasks, 2, name=str):
        if not found:
            os.kill(pid, signal.SIGKILL)
        found[index] = task
    assert found == {n: n for n in tasks}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "error", [AudioError("silent", "a.wav"), DataError("no manifest"), ValueError("a defect"), OSError(28, "No space left")]
)
def test_what_a_task_raises_is_raised_here(error: Exception, workers: int) -> None:
    with pytest.raises(type(error)) as caught:
        results(partial(fail_on, error), range(8), workers)
    assert str(caught.value) == str(error)
    assert {k: v for k, v in vars(caught.value).items() if k != "__notes__"} == {k: v for k, v in vars(error).items() if k != "__notes__"}


def test_an_error_from_a_worker_carries_its_traceback() -> None:
    with pytest.raises(DataError) as caught:
        results(partial(fail_on, DataError("x")), range(8), 2)
    assert "in fail_on" in "".join(caught.value.__notes__)


def test_apart_even_one_task_runs_in_another_process() -> None:
    ((_, here),) = run_tasks(process_id, [1], 1, name=str)
    ((_, there),) = run_tasks(process_id, [1], 1, name=str, apart=True)
    assert here == os.getpid() != there


def test_an_error_or_result_that_cannot_travel_is_an_error_not_a_hang() -> None:
    class Local(Exception):
        pass

    with pytest.raises(RuntimeError, match="Local: here"):
        results(partial(fail_on, Local("here")), range(8), 2)
    with pytest.raises((AttributeError, pickle.PicklingError, RuntimeError)):
        list(run_tasks(lambda task: lambda: task, range(4), 2, name=str))


@pytest.mark.parametrize("kind", [*SerError.__subclasses__(), *DataError.__subclasses__()])
def test_every_error_of_the_program_survives_pickling(kind: type[SerError]) -> None:
    error = AudioError("silent", "a.wav") if kind is AudioError else kind("message")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_closing_early_leaves_no_child() -> None:
    def slow_after_the_first(task: int) -> int:
        if task >= 2:
            time.sleep(FOR_EVER)
        return os.getpid()

    generator = run_tasks(slow_after_the_first, range(4), 2, name=str)
    _, pid = next(generator)
    generator.close()
    assert not is_alive(pid)


SCRIPT = """
import os, signal, sys, time
from ser.system.parallel import run_tasks

def task(number):
    if number >= 2:
        time.sleep(seconds)
    return os.getpid()

seconds = float(sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits that Ctrl-C is ignored
try:
    for _, pid in run_tasks(task, range(6), 2, name=str):
        print(pid, flush=True)
except KeyboardInterrupt:
    sys.exit(130)
"""


AT_ONCE = FOR_EVER if sys.platform == "linux" else 0.5
"""Seconds of a task that would still run if the kernel did not end the workers with their parent."""


@pytest.mark.parametrize(
    ("stop", "seconds", "code"), [(signal.SIGINT, FOR_EVER, 130), (signal.SIGTERM, AT_ONCE, -15), (signal.SIGKILL, AT_ONCE, -9)]
)
def test_a_stopped_parent_leaves_no_child(stop: signal.Signals, seconds: float, code: int) -> None:
    """Wherever they are: after Ctrl-C the parent ends its workers, after an uncaught signal the kernel does."""
    command = [sys.executable, "-c", SCRIPT, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        assert parent.stdout is not None
        pids = {int(parent.stdout.readline()) for _ in range(2)}
        os.killpg(parent.pid, stop) if stop == signal.SIGINT else parent.send_signal(stop)
        assert parent.wait(timeout=PATIENCE) == code
    assert eventually(lambda: not any(map(is_alive, pids)))


LOCKED_SCRIPT = f"""
import os, sys, time
from pathlib import Path
from ser.system.files import exclusive_lock
from ser.system.parallel import run_tasks

def task(number):
    os.write(1, b"%d\\n" % number)  # at once, or the lines of two workers may mix
    time.sleep({FOR_EVER})

with exclusive_lock(Path(sys.argv[1])):
    list(run_tasks(task, range(4), 2, name=str))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers end with the task that they hold")
def test_the_lock_of_a_killed_parent_is_free_at_once_though_its_workers_were_busy(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"

    def is_free() -> bool:
        try:
            with exclusive_lock(lock):
                return True
        except LockedError:
            return False

    with subprocess.Popen([sys.executable, "-c", LOCKED_SCRIPT, str(lock)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert {parent.stdout.readline() for _ in range(2)} == {"0\n", "1\n"}
        assert not is_free()
        parent.kill()
        parent.wait(timeout=PATIENCE)
    assert eventually(is_free)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers end with the task that they hold")
def test_a_worker_whose_parent_died_before_the_kernel_was_asked_ends_too() -> None:
    command = [sys.executable, "-c", "import os; from ser.system.parallel import die_with; die_with(os.getppid() + 1); print('alive')"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
