#!/usr/bin/env python
"""Write constraints.txt: one version of every package that an extra of pyproject.toml brings, for every Python and system.

    python scripts/write_constraints.py              # keeps the versions of today, adds and removes what pyproject.toml asks for
    python scripts/write_constraints.py --upgrade    # takes the newest versions

The versions come from PyPI, by `uv pip compile` (extra `dev`). No index is written into the file, so that pip takes each version from
wherever it is configured to look: a build of torch 2.13.0 for the CPU is taken as well as the one of PyPI, which brings CUDA.
"""

import argparse
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
FILE = ROOT / "constraints.txt"
TORCH = "torch==2.13.0"
"""Version that the tests run with. Builds for the CPU alone exist for only a few versions on mirrors, so it is chosen by hand."""
HEAD = (
    "# The versions that the tests run with, of every extra: pip install -c constraints.txt -e '.[dev]'. Written by `make constraints`.\n"
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write constraints.txt from pyproject.toml.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions instead of those of the present file")
    text = compile_versions(parser.parse_args().upgrade)
    FILE.write_text(HEAD + text, encoding="utf-8")
    print(f"{FILE.name}: {len(text.splitlines())} packages")


def compile_versions(upgrade: bool) -> str:
    """`name==version ; marker`, one a line.

    Raises:
        SystemExit: uv is not installed, or finds no versions that fit together.
    """
    uv = which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        raise SystemExit("uv is not installed: pip install uv")
    with TemporaryDirectory() as folder:
        torch, out = Path(folder, "torch.txt"), Path(folder, "constraints.txt")
        torch.write_text(TORCH)
        if FILE.exists() and not upgrade:
            out.write_bytes(FILE.read_bytes())  # uv prefers the versions of the file that it replaces
        command: list[str | Path] = [
            uv, "pip", "compile", ROOT / "pyproject.toml", "--all-extras", "--universal", "--python-version", oldest_python(),
            "--constraints", torch, "--no-config", "--no-header", "--no-annotate", "--no-emit-index-url", "--quiet", "--output-file", out,
        ]  # fmt: skip
        if subprocess.run(command, env=without_own_wheels(), check=False).returncode:
            raise SystemExit("uv found no versions that fit together")
        return out.read_text(encoding="utf-8")


def oldest_python() -> str:
    """Of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["requires-python"]).removeprefix(">=")


def without_own_wheels() -> dict[str, str]:
    """The environment, without folders of wheels: a build that only this machine has must not get into the file."""
    return {name: value for name, value in os.environ.items() if name not in ("UV_FIND_LINKS", "UV_CONSTRAINT")}


if __name__ == "__main__":
    main()
