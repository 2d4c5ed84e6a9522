"""Every code block of the documents runs, or says why it does not. (The cells of docs/tutorials run in `make docs`.)

A page's blocks run in order, in a folder that holds what they name: a finished run as runs/NAME, runs/A and runs/B, its exported file as
model.onnx, a recording as call.wav and in calls/, the corpora in data/raw, and a small config under the name of a shipped one. The marker
in front of a block that is not executed: `<!-- not executed: reason -->`.
"""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import Answer, Ser
from places import PACKAGE, ROOT, SAMPLE
from ser.audio.decode import read_audio
from ser.config_file import load_config
from ser.runs.run import Run
from workspace import FAST, Workspace

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(
    r"^(?:<!-- not executed: (?P<reason>[^\n]+?) -->\n)?```(?P<language>[^\n{]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
PROSE = ("", "text")
"""Languages of blocks that are not code: trees and synopses."""
SPOKEN = "1012_IOM_ANG_XX"
"""A clip of the sample."""


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: str
    line: int
    language: str
    code: str
    reason: str | None
    """Why it is not executed."""

    @property
    def place(self) -> str:
        return f"{self.page}, line {self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        line = text[: match.start("code")].count("\n") + 1
        yield Block(page.name, line, match["language"].strip(), match["code"], match["reason"])


ALL = {page.name: list(blocks_of(page)) for page in PAGES}
EXECUTED = {name: [block for block in blocks if block.reason is None and block.language not in PROSE] for name, blocks in ALL.items()}


def make_folder(folder: Path, prepared: Workspace, finished: Run) -> None:
    """What the pages name."""
    (folder / "data").mkdir()
    (folder / "data/raw").symlink_to(prepared.raw)
    shutil.copytree(prepared.processed, folder / "data/processed")
    for name in ("NAME", "A", "B"):
        shutil.copytree(finished.folder, folder / "runs" / name)
    small = FAST.format(raw="data/raw", root="data").replace("data/runs", "runs")
    (folder / "configs").mkdir()
    (folder / "configs/spectral_crnn.yaml").write_text(small.replace("extends: ", f"extends: {PACKAGE / 'configs'}/"))
    audio = read_audio(SAMPLE / f"{SPOKEN}.opus")
    (folder / "calls").mkdir()
    for name in ("call.wav", "calls/first.wav", "calls/second.wav"):
        soundfile.write(folder / name, audio.samples, audio.sample_rate)


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory, prepared: Workspace, finished: Run) -> Path:
    """The folder, with the exported model. Not to be changed."""
    from ser.export.onnx_file import export_run

    folder = tmp_path_factory.mktemp("documents")
    make_folder(folder, prepared, finished)
    export_run(Run(folder / "runs/NAME"), folder / "model.onnx")
    return folder


def run_shell(code: str, ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of ser, in this process; `cat FILE | ser ...` gives the file as standard input."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["cat"] and words[2:4] == ["|", "ser"]:
            monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(Path(words[1]).read_bytes())))
            words = words[3:]
        if words:
            assert words[0] == "ser", f"{line}: no command of ser: mark the block with the reason why it is not executed"
            answer: Answer = ser(*words[1:])
            assert answer.code == 0, f"{line}: {answer.err}"


@pytest.mark.slow
@pytest.mark.parametrize("page", [name for name, blocks in EXECUTED.items() if blocks])
def test_the_blocks_of_a_page_run(page: str, furnished: Path, tmp_path: Path, ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(furnished, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__", "samples": np.sin(np.arange(16_000, dtype=np.float32) / 20)}
    for block in EXECUTED[page]:
        if block.language == "bash":
            run_shell(block.code, ser, monkeypatch)
        elif block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.code, page, "exec"), names)
        elif block.language == "yaml":
            Path("mine.yaml").write_text(block.code, encoding="utf-8")
            load_config("mine.yaml")
        elif block.language == "json":
            json.loads(block.code)
        else:
            pytest.fail(f"{block.place}: {block.language} is not executed: mark the block with the reason")


@pytest.mark.parametrize("page", ALL)
def test_a_block_that_is_not_executed_has_a_reason_and_no_block_is_indented(page: str) -> None:
    assert not [block.place for block in ALL[page] if block.reason is not None and len(block.reason.split()) < 2]
    text = (ROOT / page if (ROOT / page).exists() else ROOT / "docs" / page).read_text(encoding="utf-8")
    outside = FENCE.sub("", text)
    assert not re.findall(r"\n\n {4}(?:ser|pip|make|python|curl) .*", outside)
    assert not re.findall("^<!-- not executed", outside, re.MULTILINE), "a marker stands right before its block"


def test_readme_and_pages_have_blocks_that_run() -> None:
    assert {block.language for block in EXECUTED["README.md"]} == {"bash", "python", "yaml"}
    assert sum(map(len, EXECUTED.values())) > 10
