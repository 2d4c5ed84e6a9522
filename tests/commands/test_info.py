"""`ser info` of runs and exported files, with what it may load."""

import json
from pathlib import Path

import pytest

from conftest import Ser
from places import ROOT
from processes import loaded_by
from ser.runs.run import Run
from workspace import metrics_of

STORED = ROOT / "tests/artefacts/runs"


def test_a_run_tells_what_it_is(finished: Run, ser: Ser) -> None:
    facts = json.loads(ser("info", finished.folder, "--json").out)
    metrics = metrics_of(finished)
    assert facts["kind"] == "run"
    assert facts["classes"] == metrics["classes"]
    assert facts["scores"]["uar"]["value"] == metrics["uar"]
    interval = metrics["intervals"]["uar"]
    assert [facts["scores"]["uar"][side] for side in ("low", "high")] == [interval["low"], interval["high"]]
    assert "commercial" in facts["licence"]
    assert facts["bytes"]["best.pth"] == finished.best.stat().st_size
    answer = ser("info", finished.folder)
    assert answer.code == 0
    assert f"UAR {100 * metrics['uar']:.1f} %" in answer.out


@pytest.mark.parametrize("name", ["spectral_crnn", "ssl_spectral_moe"])
def test_an_exported_file_tells_the_same_as_its_run(ser: Ser, name: str) -> None:
    run, exported = (json.loads(ser("info", STORED / name / file, "--json").out) for file in ("", "model.onnx"))
    same = ("family", "features", "sample_rate", "classes", "corpora", "licence", "weights")
    assert {key: run[key] for key in same} == {key: exported[key] for key in same}
    assert exported["kind"] == "exported model"


def test_an_unfinished_run_has_no_scores(ser: Ser, tmp_path: Path) -> None:
    (tmp_path / "cfg.json").write_bytes((STORED / "spectral_crnn/cfg.json").read_bytes())
    facts = json.loads(ser("info", tmp_path, "--json").out)
    assert facts["kind"] == "unfinished run"
    assert "scores" not in facts


@pytest.mark.parametrize("name", ["absent", "README.md", "."])
def test_what_is_no_model_is_exit_3(ser: Ser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").touch()
    answer = ser("info", name)
    assert (answer.code, len(answer.err.splitlines())) == (3, 1)


def test_an_exported_file_is_described_without_torch() -> None:
    program = f"""
import sys
from ser.cli import main
sys.argv = ["ser", "info", {str(STORED / "spectral_crnn/model.onnx")!r}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
    assert not loaded_by(program, {"torch", "scipy", "transformers"})
