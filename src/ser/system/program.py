"""The name under which this program was started, as it can be typed again."""

import shutil
import sys
from pathlib import Path
from shlex import quote


def program() -> str:
    """`ser` where the shell finds it, else its path, such as `.venv/bin/ser`; or `python -m ser`."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{quote(sys.executable)} -m {called.parent.name}"
    if not called.is_file():
        return called.name
    found = shutil.which(called.name)
    if found is not None and Path(found).samefile(called):
        return called.name
    path = str(nearby(called.absolute()))
    return quote(path if "/" in path else f"./{path}")


def nearby(path: Path) -> Path:
    """Relative to the current folder where it is below it."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
