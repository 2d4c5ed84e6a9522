"""Packages that only extras install: whether they are installed, how to import them where they are needed, and how to install them."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from ser.errors import ConfigError

DISTRIBUTION = "ser-toolkit"
"""Name of the distribution in a source tree that is not installed."""
PROGRAM = "ser"
"""Command that the distribution installs."""
MAX_ERROR_LENGTH = 200
"""Characters of an import error that a message shows."""


def is_installed(*modules: str) -> bool:
    """Whether all of these modules can be found. Imports none of them.

    >>> is_installed("json", "csv"), is_installed("json", "a_package_that_nobody_has")
    (True, False)
    """
    return all(find_spec(module) is not None for module in modules)


def package_folder(module: str) -> Path | None:
    """The folder of an installed package, found without importing it; None where it is not installed."""
    spec = find_spec(module)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


@cache
def distribution_name() -> str:
    """Name under which this program is installed: that of the distribution whose command `ser` is `ser.cli:main`.

    The package `ser` may be provided by several distributions, since the name `ser` on PyPI belongs to another project.
    """
    scripts = entry_points(group="console_scripts", name=PROGRAM)
    names = {script.dist.name for script in scripts if script.dist is not None and script.module == "ser.cli"}
    return DISTRIBUTION if DISTRIBUTION in names or not names else min(names)


def install_hint(*extras: str) -> str:
    """The command that installs extras, or without any the program itself.

    >>> install_hint("viz", "export") == f"pip install '{distribution_name()}[export,viz]'"
    True
    """
    name = distribution_name()
    return f"pip install '{name}[{','.join(sorted(extras))}]'" if extras else f"pip install {name}"


def require(subject: str, modules: Sequence[str], extra: str, alternative: str = "") -> None:
    """Check that the modules of an extra are installed, before any work is done.

    Args:
        subject: what needs them; the first words of the message.
        modules: names of modules, all brought by `extra`.
        alternative: what to change in the config to do without the extra.

    Raises:
        ConfigError: one is not installed.

    >>> require("a song", ["json", "a_package_that_nobody_has"], "sing", "hum") # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ser.errors.ConfigError: a song needs a_package_that_nobody_has: pip install '...[sing]', or hum
    """
    absent = [module for module in modules if not is_installed(module)]
    if absent:
        otherwise = f", or {alternative}" if alternative else ""
        raise ConfigError(f"{subject} needs {' and '.join(absent)}: {install_hint(extra)}{otherwise}")


def import_optional(module: str, message: str) -> ModuleType:
    """Import a module that an extra brings.

    Args:
        module: its name.
        message: the text of the error where it is not installed; names who needs it, and the extra.

    Raises:
        ConfigError: it is not installed, or cannot be imported.

    >>> import_optional("a_package_that_nobody_has", f"--sing needs it: {install_hint('sing')}") # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ser.errors.ConfigError: --sing needs it: pip install '...[sing]'
    """
    try:
        return import_module(module)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            raise ConfigError(message) from None
        if error.__cause__ is not None and not isinstance(error.__cause__, Exception):
            raise error.__cause__ from None  # Ctrl-C, which a module written in C makes an ImportError of
        raise ConfigError(f"{module} cannot be imported: {' '.join(str(error).split())[:MAX_ERROR_LENGTH]}") from error
