"""Progress: a bar on a terminal or in a notebook, plain lines in a log."""

import io
import logging
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from ser.system import progress


class Screen(io.StringIO):
    """A terminal that remembers what was written to it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock whose hands the test moves: its only entry is the time in seconds."""
    now = [100.0]
    monkeypatch.setattr("ser.system.progress.time.monotonic", lambda: now[0])
    return now


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_log_gets_a_line_at_most_every_ten_seconds_and_one_at_the_end(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ser.system.progress")
    with progress.track("transform", 100, "clips") as advance:
        for _ in range(25):
            clock[0] += 1.0
            advance(4)
    assert messages(caplog) == [
        "transform: 40 of 100, 4 clips/s",
        "transform: 80 of 100, 4 clips/s",
        "transform: 100 of 100, 4 clips/s",
    ]


def test_seconds_of_audio_are_told_in_multiples_of_real_time_with_the_time_left(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ser.system.progress")
    with progress.track("transform ssl", 0.1 * 3000, progress.AUDIO) as advance:
        for _ in range(3000):
            clock[0] += 0.008
            advance(0.1)
    assert messages(caplog) == [
        "transform ssl: 125 of 300 s of audio, 12.5 x real time, 0:00:14 left",
        "transform ssl: 250 of 300 s of audio, 12.5 x real time, 0:00:04 left",
        "transform ssl: 300 of 300 s of audio, 12.5 x real time",
    ]


def test_work_that_takes_no_time_is_no_division_by_zero(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ser.system.progress")
    with progress.track("load", 1, "clips") as advance:
        advance(1)
    assert len(messages(caplog)) == 1


def test_nothing_to_do_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ser.system.progress")
    with progress.track("transform", 0, "clips"):
        pass
    assert not caplog.records


@pytest.mark.parametrize(("unit", "speed"), [("clips", "25 clips/s"), (progress.AUDIO, "25.0 x real time")])
def test_a_terminal_gets_a_bar_with_the_speed(clock: list[float], monkeypatch: pytest.MonkeyPatch, unit: str, speed: str) -> None:
    screen = Screen()
    console = Console(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr("ser.system.progress.Console", lambda stderr: console)
    with progress.track("transform", 50, unit) as advance:
        clock[0] += 2.0
        advance(50)
    assert "transform" in screen.getvalue()
    assert "50/50" in screen.getvalue()
    assert speed in screen.getvalue()


@pytest.mark.parametrize(("steps", "left"), [(1, "0:04:30 left"), (2, "0:03:00 left")])
@pytest.mark.parametrize("unit", ["clips", progress.AUDIO])
def test_the_bar_tells_the_time_left_however_rarely_the_work_moves_on(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, unit: str, steps: int, left: str
) -> None:
    """What stands there at the end is drawn in any case."""
    screen = Screen()
    monkeypatch.setattr("ser.system.progress.Console", lambda stderr: Console(file=screen, force_terminal=True, width=120))
    with progress.track("transform ssl", 100, unit) as advance:
        for _ in range(steps):
            clock[0] += 90.0
            advance(25)
    assert left in screen.getvalue()


def test_colour_that_is_forced_makes_no_terminal_of_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the cells of a notebook."""
    pipe = io.StringIO()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("ser.system.progress.Console", lambda stderr: Console(file=pipe))
    with progress.track("extract", 2, "files") as advance:
        advance(2)
    assert pipe.getvalue() == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_an_exception_in_the_work_passes_through(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    console = Console(file=Screen(), force_terminal=terminal)
    monkeypatch.setattr("ser.system.progress.Console", lambda stderr: console)
    with pytest.raises(ZeroDivisionError), progress.track("transform", 2, "clips"):
        raise ZeroDivisionError


# -- notebooks ----------------------------------------------------------------------------


class Cell:
    """What IPython shows below a cell: the outputs, each as it was last updated, and how many messages that took."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, str]] = []
        self.messages = 0

    def display(self, output: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw
        assert display_id
        place = len(self.outputs)
        self.outputs.append(output)

        def update(changed: dict[str, str], *, raw: bool) -> None:
            assert raw
            self.messages += 1
            self.outputs[place] = changed

        return SimpleNamespace(update=update)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    """The process is the kernel of a notebook."""
    shown = Cell()
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    vars(ipython).update(get_ipython=lambda: SimpleNamespace(kernel=object()), display=display)
    vars(display).update(display=shown.display)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def test_a_notebook_gets_one_output_that_is_updated(clock: list[float], cell: Cell, capsys: pytest.CaptureFixture[str]) -> None:
    with progress.track("epoch <1>", 100, "clips") as advance:
        for _ in range(100):
            clock[0] += 0.1
            advance(1)
    (output,) = cell.outputs
    assert output["text/plain"] == "epoch <1>: 100 of 100, 10 clips/s"
    assert 'value="100" max="100"' in output["text/html"]
    assert "epoch &lt;1&gt;" in output["text/html"]
    assert cell.messages < 45, "at most four a second, and the last one"
    assert capsys.readouterr() == ("", "")


def test_a_notebook_shows_how_far_an_interrupted_work_went(clock: list[float], cell: Cell) -> None:
    with pytest.raises(KeyboardInterrupt), progress.track("extract", 10, "files") as advance:  # noqa: PT012
        clock[0] += 0.1
        advance(3)
        raise KeyboardInterrupt
    assert cell.outputs[0]["text/plain"] == "extract: 3 of 10, 30 files/s"


def test_a_notebook_shows_nothing_for_nothing(cell: Cell) -> None:
    with progress.track("extract", 0, "files"):
        pass
    assert not cell.outputs


def test_a_shell_in_a_terminal_is_no_notebook(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", SimpleNamespace, raising=False)
    with progress.track("extract", 2, "files") as advance:
        advance(2)
    assert not cell.outputs
