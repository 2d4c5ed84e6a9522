"""The names of `import ser`: all can be reached and seen, and none costs anything before it is used."""

import importlib
import pkgutil
import re

import pytest

import ser
from processes import loaded_by
from ser.errors import SerError


@pytest.mark.parametrize("name", ser.__all__)
def test_every_public_name_is_reachable_and_documented(name: str) -> None:
    value = getattr(ser, name)
    assert name in dir(ser)
    if name != "__version__":
        assert value is getattr(importlib.import_module(f"ser.{ser.LAZY[name]}"), name)
        assert value.__module__ == f"ser.{ser.LAZY[name]}"
        assert value.__doc__


def test_the_table_holds_the_public_names_and_no_others() -> None:
    assert {*ser.LAZY, "__version__"} == {*ser.__all__} == {*dir(ser)}
    assert sorted(ser.__all__) == ser.__all__


def test_every_error_is_public() -> None:
    found, waiting = set(), [SerError]
    while waiting:
        error = waiting.pop()
        found.add(error.__name__)
        waiting += [child for child in error.__subclasses__() if child.__module__ == "ser.errors"]
    assert found <= {*ser.__all__}


def test_no_public_name_is_that_of_a_module() -> None:
    """An import of the module would put it in the place of the function."""
    assert not {module.name for module in pkgutil.iter_modules(ser.__path__)} & {*ser.__all__, *ser.ADVICE}


@pytest.mark.parametrize("name", ser.ADVICE)
def test_a_name_that_one_may_expect_gets_advice(name: str) -> None:
    importlib.import_module("ser.commands.predict")
    with pytest.raises(AttributeError, match=re.escape(ser.ADVICE[name])):
        getattr(ser, name)


def test_any_other_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match=r"^module 'ser' has no attribute 'nothing'$"):
        getattr(ser, "nothing")  # noqa: B009 - mypy knows that it is not there


def test_import_and_public_names_load_nothing_heavy() -> None:
    assert not loaded_by("import ser; dir(ser)", {"numpy", "pydantic", "torch", "pandas", "matplotlib", "rich"})
    assert not loaded_by("import ser\nfor name in ser.__all__: getattr(ser, name)")
