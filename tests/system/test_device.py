"""Device, precision, threads: what the config names is used or refused, never replaced."""

import pytest
import torch

from ser.config import RuntimeConfig, TrainConfig
from ser.errors import ConfigError
from ser.system import device as device_module
from ser.system.device import choose_device, prepare_process, resolved, use_bf16

CPU, CUDA, MPS = (torch.device(name) for name in ("cpu", "cuda", "mps"))


def hardware(monkeypatch: pytest.MonkeyPatch, cuda: bool = False, mps: bool = False, bf16: bool = False) -> None:
    """Pretend that the machine has these."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16 and not including_emulation)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)


@pytest.mark.parametrize(
    ("asked", "cuda", "mps", "expected"),
    [
        ("auto", False, False, CPU),
        ("auto", True, False, CUDA),
        ("auto", False, True, CPU),
        ("cpu", True, True, CPU),
        ("cuda", True, False, CUDA),
        ("mps", False, True, MPS),
    ],
)
def test_the_device_is_what_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: str, cuda: bool, mps: bool, expected: torch.device
) -> None:
    hardware(monkeypatch, cuda, mps)
    assert choose_device(TrainConfig.model_validate({"device": asked})) == expected


@pytest.mark.parametrize("asked", ["cuda", "mps"])
def test_a_device_that_is_not_here_is_an_error(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    hardware(monkeypatch)
    with pytest.raises(ConfigError, match=rf"train\.device {asked} is not available on this machine"):
        choose_device(TrainConfig.model_validate({"device": asked}))


@pytest.mark.parametrize(
    ("precision", "device", "supported", "expected"),
    [
        ("fp32", CPU, True, False),
        ("bf16", CPU, False, True),
        ("auto", CPU, True, True),
        ("auto", CPU, False, False),
        ("auto", CUDA, True, True),
        ("auto", CUDA, False, False),
        ("auto", MPS, True, False),
    ],
)
def test_bfloat16_where_it_was_asked_for_or_has_instructions(
    monkeypatch: pytest.MonkeyPatch, precision: str, device: torch.device, supported: bool, expected: bool
) -> None:
    hardware(monkeypatch, bf16=supported)
    assert use_bf16(TrainConfig.model_validate({"precision": precision}), device) is expected


@pytest.mark.parametrize(("threads", "expected"), [(3, 3), (None, 5)])
def test_threads_are_those_of_the_config_or_one_for_each_core(monkeypatch: pytest.MonkeyPatch, threads: int | None, expected: int) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(device_module, "available_cores", lambda: 5)
    monkeypatch.setattr(device_module, "keep_memory", lambda: None)
    prepare_process(RuntimeConfig(threads=threads))
    assert asked == [expected]


def test_a_gpu_would_compute_in_true_fp32_with_kernels_that_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(device_module, "keep_memory", lambda: None)
    for flag, opposite in (("deterministic", False), ("benchmark", True), ("allow_tf32", True)):
        monkeypatch.setattr(cudnn, flag, opposite)
    before, matmul.allow_tf32 = matmul.allow_tf32, True  # nothing that monkeypatch can put back
    try:
        prepare_process(RuntimeConfig())
        assert (cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32) == (True, False, False, False)
    finally:
        matmul.allow_tf32 = before


def test_what_was_resolved_is_named() -> None:
    assert resolved(torch.device("cuda", 1), bf16=True) == {"device": "cuda", "precision": "bf16", "threads": torch.get_num_threads()}
