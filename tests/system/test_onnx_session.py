"""Sessions of onnxruntime: how they are set up, and what is said where there is none."""

import sys

import pytest

from ser.errors import ConfigError, DataError
from ser.system.onnx_session import SessionError, open_session
from ser.system.optional import install_hint


def test_what_is_no_model_is_refused_with_the_version_and_the_words_of_onnxruntime() -> None:
    import onnxruntime

    with pytest.raises(SessionError) as refused:
        open_session(b"hello", name="x.onnx")
    assert refused.value.version == onnxruntime.__version__
    assert "\n" not in refused.value.detail
    assert 0 < len(refused.value.detail) <= 200


def test_without_onnxruntime_it_is_said_who_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=f"^x.onnx needs onnxruntime: {install_hint()}$"):
        open_session(b"hello", name="x.onnx")


def test_too_little_memory_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("onnxruntime.InferenceSession", full)
    with pytest.raises(DataError, match=r"x\.onnx cannot be loaded"):
        open_session(b"hello", name="x.onnx")


def test_threads_optimisation_and_entries_reach_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    seen: list[onnxruntime.SessionOptions] = []

    def opened(_model: bytes, options: onnxruntime.SessionOptions, providers: list[str]) -> None:
        seen.append(options)
        assert providers == ["CPUExecutionProvider"]

    monkeypatch.setattr("onnxruntime.InferenceSession", opened)
    open_session(b"", name="x", threads=3, entries={"session.disable_quant_qdq": "1"})
    open_session(b"", name="x", optimise=False)
    first, second = seen
    assert (first.intra_op_num_threads, second.intra_op_num_threads) == (3, 1)
    assert first.get_session_config_entry("session.disable_quant_qdq") == "1"
    assert first.graph_optimization_level != second.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
