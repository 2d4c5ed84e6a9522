"""Packages that only extras bring, imported where they are needed."""

from importlib import import_module
from typing import Any

from ser.errors import ConfigError

SHOWN = 200
"""Characters of an error in a message."""


def optional(name: str, absent: str) -> Any:
    """The package `name`.

    Args:
        absent: said where it is not installed; names who needs it, and the extra.

    Raises:
        ConfigError: it is not installed, or cannot be imported.

    >>> optional("a_package_that_nobody_has", "--sing needs it: pip install 'ser[sing]'")
    Traceback (most recent call last):
    ser.errors.ConfigError: --sing needs it: pip install 'ser[sing]'
    """
    try:
        return import_module(name)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            raise ConfigError(absent) from None
        if error.__cause__ is not None and not isinstance(error.__cause__, Exception):
            raise error.__cause__ from None  # Ctrl-C, which a module written in C makes an ImportError of
        raise ConfigError(f"{name} cannot be imported: {' '.join(str(error).split())[:SHOWN]}") from error
