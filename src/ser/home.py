"""`~` in a path that a user gives: on a command line, in a config, in a variable of the environment or from Python.

A shell expands `~/x` as a word of its own, but not in `--model=~/x`, in quotes, in a config or in a systemd unit.
"""

import os
from pathlib import Path

from ser.errors import ConfigError
from ser.wording import printable


def expand_home(path: str) -> str:
    """The path with `~` or `~user` at its start replaced by the home folder; any other path as it is.

    An existing file named `~name` for which there is no such user is returned as it is: some programs name backups like this.

    Raises:
        ConfigError: there is no such user and no such file, or this user has no home folder.

    >>> expand_home("calls/~x.wav")
    'calls/~x.wav'
    """
    if not path.startswith("~"):
        return path
    expanded = os.path.expanduser(path)  # noqa: PTH111 - Path's raises a RuntimeError, and drops a trailing slash
    if not expanded.startswith("~") or os.path.lexists(path):
        return expanded
    name = path.partition("/")[0]
    reason = "this user has no home folder" if name == "~" else f"there is no user {name[1:]}"
    raise ConfigError(printable(f"{path}: {reason}; for a file with this name give ./{path}"))


def user_path(path: str | os.PathLike[str]) -> Path:
    """See `expand_home`."""
    return Path(expand_home(os.fspath(path)))
