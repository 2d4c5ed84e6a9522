"""The allocator keeps its memory where glibc can be told to; too little memory is one error, whatever library reports it."""

import ctypes
import sys

import pytest
import torch

from ser.errors import DataError
from ser.system import memory
from ser.system.memory import keep_memory, memory_errors


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


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        MemoryError(),
    ],
)
def test_too_little_memory_names_the_setting(error: Exception) -> None:
    with pytest.raises(DataError, match=r"^out of memory: lower train\.batch_size$"), memory_errors("lower train.batch_size"):
        raise error


def test_what_torch_says_of_too_little_memory_on_the_cpu_is_known() -> None:
    with pytest.raises(DataError, match=r"^out of memory: lower train\.batch_size$"), memory_errors("lower train.batch_size"):
        torch.empty(2**50)


def test_another_error_of_torch_stays_itself() -> None:
    with pytest.raises(RuntimeError, match="must match"), memory_errors("lower train.batch_size"):
        torch.zeros(2) + torch.zeros(3)


def test_a_library_that_comes_too_late_is_no_lack_of_memory() -> None:
    assert not memory.is_out_of_memory(ImportError("libgomp.so.1: cannot allocate memory in static TLS block"))
    assert memory.is_out_of_memory(ImportError("x.so: failed to map segment from shared object"))
