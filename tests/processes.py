"""Child processes for tests of kills and signals."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path

PATIENCE = 240.0
"""Seconds until what must come is given up. Long, because a busy machine may take long, and only a defect waits to the end."""
FOR_EVER = 10 * PATIENCE
"""Seconds of what is to be ended from outside: more than anybody waits for its end."""
MOMENT = 0.2
"""Seconds of processor time that `slowness` takes."""

PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits that Ctrl-C is ignored
{patch}
from ser.cli import main
main()
"""

HEAVY = {"torch", "pandas", "librosa", "sklearn", "transformers", "matplotlib", "audiomentations", "onnxruntime"}
"""Packages that cost a process seconds or hundreds of megabytes."""


def in_a_child(function: Callable[[], object]) -> int:
    """The exit code of a forked process that calls `function`; -9 if it was killed."""
    process = get_context("fork").Process(target=function)
    with warnings.catch_warnings():
        # Python 3.12 warns of threads: the ones that libraries keep here hold no lock that the child needs
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def dying_at(count: int) -> Callable[[int], None]:
    """An `os.fsync` that kills its process instead of the call number `count`, counted from 0."""
    calls, fsync = iter(range(count)), os.fsync

    def counted(descriptor: int) -> None:
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(descriptor)

    return counted


def start(arguments: Sequence[str | Path], patch: str = "") -> subprocess.Popen[str]:
    """`ser` with these arguments as a process group of its own, after the statements of `patch`."""
    command = [sys.executable, "-c", PROGRAM.format(patch=patch), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)


def slowness() -> float:
    """How many times longer work takes here and now than on an idle machine, at least 1: what the clocks of a test are set by."""
    wall, processor = time.perf_counter(), time.process_time()
    while time.process_time() < processor + MOMENT:
        pass
    return max(1.0, (time.perf_counter() - wall) / MOMENT)


def eventually(fact: Callable[[], bool]) -> bool:
    """Wait for a fact that, once true, stays true: a busy machine may look late."""
    deadline = time.monotonic() + PATIENCE
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def loaded_by(program: str, packages: set[str] = HEAVY) -> set[str]:
    """Those of the packages that a new process has loaded after a program."""
    report = f"{program}\nimport sys, json\nprint(json.dumps(sorted(set(sys.modules))))"
    result = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return packages & set(json.loads(result.stdout.splitlines()[-1]))
