#!/usr/bin/env python3
"""The parts of the documentation that are read from the program itself: commands, reason codes, wings and the Python API.

    python scripts/write_reference.py docs/_generated

`docs/conf.py` does it at every build, so these files are not committed. (docs/configuration.md and docs/data.md are: they are also read
where no site is built.)
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperCommand, TyperGroup

import ser
from ser import errors
from ser.cli import app
from ser.reasons import SKIP_REASONS, WARN_REASONS

PACKAGE = Path(ser.__file__).parent
TESTS = Path(__file__).parents[1] / "tests"
DATA = ("web", "configs", "sample")
"""Folders of the package that hold no Python."""


def commands() -> Iterator[str]:
    """Every command with its usage, its help and its options, in the order of `ser --help`."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    yield from command_page(root, "ser")


def command_page(command: TyperCommand | TyperGroup, name: str) -> Iterator[str]:
    context = typer.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield f"## `{name}`\n\n```text\n{usage}\n```\n\n{prose(command.help)}\n"
    records = [record for param in command.get_params(context) if (record := param.get_help_record(context))]
    if records:
        rows = "".join(f"| `{cell(names)}` | {cell(prose(text))} |\n" for names, text in records)
        yield f"| argument or option | meaning |\n|---|---|\n{rows}"
    for sub, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from command_page(below, f"{name} {sub}")


def prose(text: str | None) -> str:
    """Help as Markdown: an indented list of commands becomes a block of code, and nothing else is read as markup."""
    return "\n\n".join(paragraph_of(part) for part in (text or "").split("\n\n"))


def paragraph_of(text: str) -> str:
    lines = text.splitlines()
    commands = [line.strip() for line in lines if line.startswith("  ")]
    words = escaped("\n".join(line for line in lines if not line.startswith("  ")))
    return f"{words}\n\n```text\n{chr(10).join(commands)}\n```" if commands else words


def escaped(text: str) -> str:
    """Signs that Markdown would take for its own, outside of code.

    >>> print(escaped("`a_b` and MODEL_CARD.md"))
    `a_b` and MODEL\\_CARD.md
    """
    parts = text.split("`")
    parts[::2] = [re.sub(r"([<>\[\]*_])", r"\\\1", part) for part in parts[::2]]
    return re.sub(r"^#", r"\\#", "`".join(parts), flags=re.MULTILINE)


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def reasons() -> Iterator[str]:
    yield "## Why a file is not used\n\n" + table("code", SKIP_REASONS)
    yield "## Warnings about a file that is used\n\n" + table("code", WARN_REASONS)


def table(head: str, meanings: dict[str, str]) -> str:
    return f"| {head} | meaning |\n|---|---|\n" + "".join(f"| `{code}` | {meaning} |\n" for code, meaning in meanings.items())


def wings_in_order() -> list[str]:
    """As `WINGS` of tests/test_architecture.py has them, which the imports are tested against."""
    for node in ast.parse((TESTS / "test_architecture.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "WINGS":
            names = [getattr(element, "value", None) for element in getattr(node.value, "elts", ())]
            return [str(name) for name in names if name and (PACKAGE / str(name)).is_dir()]
    raise LookupError("tests/test_architecture.py has no WINGS")


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def first_sentence(path: Path) -> str:
    """Of the docstring of a module, on one line."""
    return re.split(r"(?<=\.) ", " ".join(docstring(path).split("\n\n")[0].split()))[0].rstrip(":")


def architecture() -> Iterator[str]:
    """A section for each wing: its docstring, and a row for each module."""
    for wing in wings_in_order():
        folder = PACKAGE / wing
        rows = "".join(
            f"| `{path.relative_to(folder)}` | {cell(first_sentence(path))} |\n"
            for path in sorted(folder.rglob("*.py"))
            if path.name != "__init__.py" and docstring(path)
        )
        yield f"## `{wing}`\n\n{docstring(folder / '__init__.py')}\n\n| module | content |\n|---|---|\n{rows}"
    yield "## Top level\n\nWords that every wing uses.\n\n| module | content |\n|---|---|\n" + "".join(
        f"| `{path.name}` | {cell(first_sentence(path))} |\n" for path in sorted(PACKAGE.glob("*.py")) if path.name != "__init__.py"
    )


def api() -> Iterator[str]:
    """An autodoc directive for each public name of `ser`, then for the errors."""
    yield "```{eval-rst}\n.. automodule:: ser\n   :no-members:\n```\n"
    for name in public_names():
        value = getattr(ser, name)
        kind = "class" if isinstance(value, type) else "function"
        if value.__module__ != errors.__name__:
            yield f"## `ser.{name}`\n\n{autodoc(kind, value)}"
    yield f"## Errors\n\n```{{eval-rst}}\n.. automodule:: {errors.__name__}\n   :members:\n   :show-inheritance:\n```\n"


def public_names() -> list[str]:
    """What `ser.__all__` has, classes and functions alone."""
    return [name for name in getattr(ser, "__all__", ("Predictor", "Prediction")) if callable(getattr(ser, name))]


def autodoc(kind: str, value: object) -> str:
    place = f"{value.__module__}.{getattr(value, '__qualname__', '')}"
    members = "   :members:\n" if kind == "class" else ""
    return f"```{{eval-rst}}\n.. auto{kind}:: {place}\n{members}```\n"


PAGES = {"cli": commands, "reasons": reasons, "architecture": architecture, "api": api}


def write_reference(folder: Path) -> None:
    """Write every page; a file whose content has not changed keeps its time."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, parts in PAGES.items():
        path, text = folder / f"{name}.md", "\n".join(parts())
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_reference(Path(sys.argv[1]))
