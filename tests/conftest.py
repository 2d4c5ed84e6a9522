"""One small world for the tests of the whole program: synthetic corpora, what the steps make of them, and a way to call `ser`."""

import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ser.cli import main
from ser.errors import ConfigError
from ser.runs.run import Run
from trees import write_trees
from workspace import Workspace, make_workspace

LONGEST_WORD = 80

CLOCK_AHEAD = 86_461
"""A day and a minute in seconds."""
COLLECTED_AHEAD = pytest.StashKey[int]()
"""Seconds by which the clock was ahead while this process collected."""

MEMORY = Path("/dev/shm")
"""A file system in memory. The tests write and sync some thirty thousand files, which on a disk takes longer than the tests themselves."""
MEMORY_NEEDED = 4 << 30
"""Bytes; a whole run of the tests takes a third of it."""


def pytest_configure() -> None:
    """Temporary folders go to memory where there is enough of it, unless the user sets the variable or `--basetemp`."""
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@contextmanager
def other_clock(worker: str) -> Iterator[int]:
    """In every second process of pytest-xdist the clock is ahead of the real one, by this number of seconds."""
    ahead = CLOCK_AHEAD if worker.startswith("gw") and int(worker[2:]) % 2 else 0
    seconds, nanoseconds = time.time, time.time_ns
    time.time, time.time_ns = lambda: seconds() + ahead, lambda: nanoseconds() + ahead * 10**9
    try:
        yield ahead
    finally:
        time.time, time.time_ns = seconds, nanoseconds


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Tests whose ids depend on the time would be collected otherwise by the next process, and end the run: see `test_collection.py`."""
    with other_clock(os.environ.get("PYTEST_XDIST_WORKER", "")) as ahead:
        session.config.stash[COLLECTED_AHEAD] = ahead
        return (yield)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Ids are words: where a value is data, the id is the argument's name, to which pytest adds a number.

    Bytes of a file may hold the time of day, and processes that collect in different seconds would then disagree about the tests.
    """
    is_word = not isinstance(val, str) or (val.isascii() and val.isprintable() and len(val) <= LONGEST_WORD)
    return None if is_word and not isinstance(val, bytes) else argname


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cell of a table is folded, however wide the terminal or the test's own process says it is."""
    monkeypatch.setenv("COLUMNS", "400")


@pytest.fixture(autouse=True)
def forget_verbosity() -> Iterator[None]:
    """How much a command logged in one test is nothing to the next."""
    yield
    logging.getLogger("ser").setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def without_silero(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most sounds of these tests are synthetic, and silero knows them from a voice. What is tested with it has a fixture of this name."""

    def missing() -> Path:
        raise ConfigError("not for this test")

    monkeypatch.setattr("ser.audio.vad_silero.find_file", missing)


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All four corpora, 252 clips. Not to be changed."""
    folder = tmp_path_factory.mktemp("corpora") / "raw"
    write_trees(folder)
    return folder


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, raw: Path) -> Workspace:
    """After extract, transform and load. Not to be changed: `workspace` is a copy that may be."""
    space = make_workspace(tmp_path_factory.mktemp("prepared"), raw)
    space.run("extract,transform,load")
    return space


@pytest.fixture(scope="session")
def finished(prepared: Workspace) -> Run:
    """A whole run on `prepared`. Not to be changed."""
    return prepared.train("finished", "train.epochs=8")


@pytest.fixture
def workspace(tmp_path: Path, prepared: Workspace) -> Workspace:
    """A copy of `prepared`, to be spoiled; the audio is shared, and must not be."""
    shutil.copytree(prepared.processed, tmp_path / "processed")
    return make_workspace(tmp_path, prepared.raw)


def make_savee(root: Path) -> Workspace:
    """56 clips of SAVEE (four speakers) in this folder."""
    write_trees(root / "raw", ["savee"])
    space = make_workspace(root, root / "raw")
    classes = "labels: {keep: [neutral, happy, sad, angry, fear, disgust, surprise]}\n"
    space.config_file.write_text(space.config_file.read_text() + classes)  # only RAVDESS has calm
    return space


@pytest.fixture
def savee(tmp_path: Path) -> Workspace:
    """56 clips of SAVEE (four speakers), with its own audio, to be spoiled. No step has run."""
    return make_savee(tmp_path)


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of huggingface_hub, on a machine without network."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("ser.features.backbone_files.hub_answers", lambda: False)
    return tmp_path / "hub"


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str


Ser = Callable[..., Answer]


@pytest.fixture
def ser(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Ser]:
    """Call `ser` with these arguments in this process. A traceback is not caught: it fails the test."""

    def call(*arguments: str | Path) -> Answer:
        monkeypatch.setattr(sys, "argv", ["ser", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return Answer(int(end.value.code or 0), captured.out, captured.err)

    root, own, terminate = logging.getLogger(), logging.getLogger("ser"), signal.getsignal(signal.SIGTERM)
    handlers, levels = root.handlers[:], (root.level, own.level)
    yield call
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])
    signal.signal(signal.SIGTERM, terminate)
