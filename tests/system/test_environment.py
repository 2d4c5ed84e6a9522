"""What dependencies read when they are loaded is settled before, and what they would do by themselves does not happen."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from places import SAMPLE
from ser.export.onnx_file import export_run
from ser.runs.run import Run
from ser.system.environment import ALREADY_CHOSEN, DEFAULTS, set_defaults

WATCH = """
import json, os, sys

class Watcher:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(json.dumps({{variable: os.environ.get(variable) for variable in {variables}}}), flush=True)
            os._exit(0)

sys.meta_path.insert(0, Watcher())
from ser.cli import main
sys.argv = ["ser", "--config", "demo.yaml", "--steps", "train"]
main()
"""
"""Ends where torch is looked for, and tells what the environment is then."""
ALONE = """
import json, os, sys, threading
asked, opened, done = [], set(), threading.Event()
sys.addaudithook(lambda name, arguments: asked.append(name) if name.startswith("socket.") else None)

def look():
    while not done.wait(0.002):
        for number in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{{number}}")
            except OSError:
                continue
            opened.update([target] if target.startswith("socket:") else [])

if os.path.isdir("/proc/self/fd"):
    threading.Thread(target=look).start()
try:
    {program}
except SystemExit as end:
    assert not end.code, end.code
finally:
    done.set()
open("asked.json", "w").write(json.dumps([asked, sorted(opened)]))
"""
"""Tells which calls of Python's socket module a program made, and which sockets of its process were open, of a library in C too."""
PREDICT = "from ser.cli import main; sys.argv = ['ser', 'predict', '--vad', '{voice}', '--model', '{model}', '{clip}']; main()"
WORKER = "from ser.serve.worker import main; main('{model}', 60.0)"
"""The life of a worker whose service is gone before it sends anything: it loads the model and silero, and warms both up."""


def environment(**changes: str) -> dict[str, str]:
    """As a user's shell has it: without what the defaults of the program would set, and without what the tests set."""
    ours = {*DEFAULTS, *(name for names in ALREADY_CHOSEN.values() for name in names), "CI"}
    return {name: value for name, value in os.environ.items() if name not in ours} | changes


@pytest.mark.parametrize("own", [{}, {"OMP_WAIT_POLICY": "active", "ORT_DISABLE_TELEMETRY": "0"}], ids=["none", "own"])
def test_they_are_set_before_torch_is_loaded_and_the_values_of_a_user_stay(own: dict[str, str], tmp_path: Path) -> None:
    watching = WATCH.format(variables=list(DEFAULTS))
    command = [sys.executable, "-c", watching]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment(**own), cwd=tmp_path)
    assert json.loads(result.stdout) == {**DEFAULTS, **own}


@pytest.mark.parametrize("name", ALREADY_CHOSEN["OMP_WAIT_POLICY"])
def test_whoever_tunes_the_spinning_by_another_variable_is_left_alone(name: str) -> None:
    own = {name: "200"}
    set_defaults(own)
    assert own == {name: "200", **{key: value for key, value in DEFAULTS.items() if key != "OMP_WAIT_POLICY"}}


@pytest.fixture(scope="module")
def exported(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_run(finished, path)
    return path


@pytest.mark.timing
@pytest.mark.parametrize(
    ("program", "voice", "form"),
    [(PREDICT, "silero", "file"), (PREDICT, "energy", "run"), (WORKER, "", "file")],
    ids=["file", "run", "worker"],
)
def test_no_dependency_writes_to_the_home_folder_or_opens_a_socket(
    exported: Path, finished: Run, tmp_path: Path, program: str, voice: str, form: str
) -> None:
    """`CI` is not set: onnxruntime keeps quiet where it is."""
    if voice == "silero":
        pytest.importorskip("silero_vad")
    clip = next(SAMPLE.rglob("*.opus"))
    model = exported if form == "file" else finished.folder
    alone = ALONE.format(program=program.format(voice=voice, model=model, clip=clip))
    home = tmp_path / "home"
    home.mkdir()
    variables = environment(HOME=str(home), TMPDIR=str(tmp_path))
    variables = {name: value for name, value in variables.items() if not name.startswith("XDG_")}
    subprocess.run(
        [sys.executable, "-c", alone], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, env=variables, cwd=tmp_path
    )
    assert json.loads((tmp_path / "asked.json").read_text()) == [[], []]
    assert not list(home.iterdir())
