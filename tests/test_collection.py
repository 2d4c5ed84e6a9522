"""Every process collects the same tests in the same order: ids are words, and depend on no clock, hash, folder or content of a file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COLLECT = """
import json, sys, time
from pathlib import Path
import pytest

seconds, nanoseconds = time.time, time.time_ns
time.time, time.time_ns = lambda: seconds() + 86_461, lambda: nanoseconds() + 86_461_000_000_000

class Ids:
    def pytest_collection_finish(self, session):
        Path(sys.argv[1]).write_text(json.dumps([item.nodeid for item in session.items]))

sys.exit(pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *sys.argv[2:]], plugins=[Ids()]))
"""
"""A day and a minute later."""
LONGEST = 250


def test_a_later_process_with_other_hashes_and_folders_collects_the_same(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Else the processes of pytest-xdist differ, and the whole suite ends before its first test."""
    config, found = request.config, tmp_path / "found.json"
    chosen = [*config.args, "-k", config.option.keyword, "-m", config.option.markexpr]
    changed = {"PYTHONHASHSEED": "4711", "TMPDIR": str(tmp_path), "COLUMNS": "80"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | changed
    command = [sys.executable, "-c", COLLECT, str(found), *chosen]
    ended = subprocess.run(command, cwd=config.invocation_params.dir, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert json.loads(found.read_text()) == [item.nodeid for item in request.session.items]


def test_ids_can_be_read(request: pytest.FixtureRequest) -> None:
    ids = [item.nodeid for item in request.session.items]
    assert [name for name in ids if "\\x" in name or len(name) > LONGEST] == []
