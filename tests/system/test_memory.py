"""The allocator keeps its memory where glibc lets itself be told, and is left alone elsewhere."""

import ctypes
import sys

import pytest

from ser.system import memory
from ser.system.memory import keep_memory


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is of glibc")
@pytest.mark.parametrize(("largest", "threshold"), [(2**31 - 1, 2**30), (2**25, 2**25)], ids=["glibc", "glibc before 2.35"])
def test_the_allocator_keeps_as_much_as_it_can_be_told_to(monkeypatch: pytest.MonkeyPatch, largest: int, threshold: int) -> None:
    settings: dict[int, int] = {}

    class Library:
        @staticmethod
        def mallopt(parameter: int, value: int) -> int:
            taken = parameter != memory.M_MMAP_THRESHOLD or value <= largest
            settings.update({parameter: value} if taken else {})
            return int(taken)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library)
    keep_memory()
    assert settings == {memory.M_MMAP_THRESHOLD: threshold, memory.M_TRIM_THRESHOLD: 2**31 - 1}


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def refuse(name: str) -> None:
        raise error(name)

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    keep_memory()


def test_another_system_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", None)
    keep_memory()
