"""An exported file is read whole or not at all, and with next to nothing."""

import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from ser.errors import ArtefactError, AudioError, ConfigError, DataError
from ser.export.onnx_file import export_run
from ser.features.batching import batches_by_length
from ser.inference.exported import Exported
from ser.inference.seal import SEAL, UNSEALED, check_seal, seal
from ser.runs.run import Run
from ser.system.onnx_session import Session
from ser.system.optional import install_hint

HEAVY = {"torch", "pandas", "librosa", "sklearn", "transformers", "matplotlib", "onnx", "scipy", "typer"}

PROGRAM = """
import json, sys
from pathlib import Path
import numpy as np
from ser.audio.decode import read_audio
from ser.inference.exported import Exported
from ser.audio.screening import Screener
model = Exported.load(Path(sys.argv[1]))
spoken = model.infer(np.sin(np.arange(8000, dtype=np.float32)), 8000)
print(json.dumps([sorted(sys.modules), spoken.probabilities.sum()]))
"""


@pytest.fixture(scope="module")
def path(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_run(finished, found)
    return found


def test_hearing_a_file_loads_neither_torch_nor_librosa(path: Path) -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=True)
    loaded, total = json.loads(result.stdout)
    assert not HEAVY & set(loaded)
    assert total == pytest.approx(1)
    assert not result.stderr


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_flipped_bit_is_found(path: Path, tmp_path: Path, share: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 4
    spoiled = tmp_path / "model.onnx"
    spoiled.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"corrupted \(checksum mismatch\)"):
        Exported.load(spoiled)


def test_a_flipped_bit_in_the_digest_itself_is_found(path: Path) -> None:
    content = path.read_bytes()
    match = SEAL.search(content)
    assert match
    for changed in (b"0" if match[1][:1] != b"0" else b"1", b"\xff"):
        with pytest.raises(ArtefactError):
            check_seal(path, BytesIO(content[: match.start(1)] + changed + content[match.start(1) + 1 :]))


@pytest.mark.parametrize("kept", [0, 1, 1000, -65, -1])
def test_a_cut_file_is_refused(path: Path, tmp_path: Path, kept: int) -> None:
    cut = tmp_path / "model.onnx"
    cut.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ArtefactError, match=r"is corrupted|is not a model exported by this program"):
        Exported.load(cut)


def foreign(**metadata: str) -> bytes:
    """A sound ONNX file of somebody else."""
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "ab"]
    graph = helper.make_graph([helper.make_node("Relu", ["a"], ["b"])], "foreign", ports[:1], ports[1:])
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    helper.set_model_props(built, metadata)
    content: bytes = built.SerializeToString()
    return content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (foreign(), "is not a model exported by this program"),
        (b"RIFF", "is not a model exported by this program"),
        (seal(b"garbage " + UNSEALED), "cannot be loaded by onnxruntime"),
        (seal(foreign(seal=UNSEALED.decode())), "cannot be read by this version: export the model again"),
        (seal(foreign(seal=UNSEALED.decode(), format="1", classes="{")), "cannot be read by this version: export the model again"),
        (seal(foreign(seal=UNSEALED.decode(), format="2")), "has format 2, this version reads formats up to 1: update ser"),
    ],
)
def test_any_other_file_is_refused_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(content)
    with pytest.raises(ArtefactError, match=words) as error:
        Exported.load(other)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="does not exist"):
        Exported.load(tmp_path / "model.onnx")


def test_without_onnxruntime_the_file_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=f"{path.name} needs onnxruntime: {install_hint()}"):
        Exported.load(path)


RUNTIME = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
ALLOCATE = "BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 1"
FULL = [RUNTIME.Fail(ALLOCATE), RUNTIME.RuntimeException("Exception caught: std::bad_alloc"), MemoryError()]


@pytest.mark.parametrize("error", FULL, ids=repr)
def test_too_little_memory_to_hear_is_said(path: Path, error: Exception) -> None:
    class Full:
        def run(self, *_: Any) -> Any:
            raise error

    model = Exported.load(path)
    model.session = cast(Session, Full())
    with pytest.raises(DataError, match="out of memory: use shorter clips"):
        model.infer(np.ones(1000, np.float32), 16_000)


def test_too_little_memory_for_a_batch_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("ser.inference.exported.stack", full)
    with pytest.raises(DataError, match="out of memory"):
        Exported.load(path).infer(np.ones(1000, np.float32), 16_000)


@pytest.mark.parametrize("error", FULL, ids=repr)
def test_too_little_memory_to_load_is_no_damage(path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr("onnxruntime.InferenceSession", full)
    with pytest.raises(DataError, match=r"out of memory: .*model\.onnx cannot be loaded"):
        Exported.load(path)


def test_what_else_goes_wrong_in_onnxruntime_is_not_hidden(path: Path) -> None:
    model = Exported.load(path)
    with pytest.raises(RUNTIME.InvalidArgument):
        list(model.run([np.ones((3, 3), np.float32)]))


MEMORY = """
import resource, sys
from pathlib import Path
import onnxruntime
from ser.inference.exported import Exported
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
Exported.load(Path(sys.argv[1]))
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


def test_a_large_file_is_not_twice_in_memory(path: Path, tmp_path: Path) -> None:
    """As one with a backbone inside."""
    from onnx import helper, load, numpy_helper

    model, large = load(path), tmp_path / "large.onnx"
    model.graph.node.append(helper.make_node("Cast", ["lengths"], ["wide_0"], to=1))
    model.graph.node.append(helper.make_node("Unsqueeze", ["wide_0", "last"], ["wide_1"]))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "last"))
    for layer, shape in enumerate([(1, 2_000), *([(2_000, 2_000)] * 3)], 1):
        model.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), f"weights_{layer}"))
        model.graph.node.append(helper.make_node("MatMul", [f"wide_{layer}", f"weights_{layer}"], [f"wide_{layer + 1}"]))
    model.graph.output.append(helper.make_tensor_value_info("wide_5", 1, ["clips", 2_000]))
    (entry,) = (entry for entry in model.metadata_props if entry.key == "seal")
    entry.value = UNSEALED.decode()
    large.write_bytes(seal(model.SerializeToString()))
    size = large.stat().st_size
    assert size > 48e6
    grown = int(subprocess.run([sys.executable, "-c", MEMORY, str(large)], capture_output=True, text=True, check=True).stdout)
    assert grown < 2 * size


def test_a_name_that_is_no_text_is_loaded(path: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"mod\xff.onnx")
    shutil.copy(path, odd)
    assert Exported.load(odd).classes == Exported.load(path).classes


def test_what_is_no_number_is_no_answer(path: Path) -> None:
    """As where the frames of a backbone are too large for half precision."""
    model = Exported.load(path)
    real = model.session

    class Overflowing:
        def run(self, *arguments: Any) -> Any:
            return [np.full_like(output, np.nan) for output in real.run(*arguments)]

    model.session = cast(Session, Overflowing())
    with pytest.raises(AudioError, match="not-finite: a value inside the model"):
        model.infer(np.ones(1000, np.float32), 16_000)


def test_no_clips_are_no_answers(path: Path) -> None:
    assert Exported.load(path).infer_clips([]) == []


def test_every_clip_stands_in_one_batch() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 50).tolist()
    found = list(batches_by_length(lengths, 200))
    assert sorted(index for batch in found for index in batch) == list(range(50))
    assert all(len(batch) * max(lengths[index] for index in batch) <= 200 for batch in found)
