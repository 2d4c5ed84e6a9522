#!/usr/bin/env python3
"""Writes docs/configuration.md from the models of ser.config and the text under their fields.

    python scripts/write_configuration.py [--check]

With --check it writes nothing and fails where the page is not what it would write.
"""

import argparse
import inspect
import json
import sys
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ser.commands.config import field_texts
from ser.config import ExperimentConfig, known_feature
from ser.families import feature_names

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"

INTRODUCTION = """\
# Configuration

<!-- Written by scripts/write_configuration.py from src/ser/config.py: change that file, then run the script. -->

One YAML file describes an experiment; every key that it leaves out has the default below. `--config` takes a path, a name in `./configs`,
or a name that comes with the package: {shipped}.
A file may state only its differences to another one:

```yaml
extends: spectral_crnn.yaml
labels:
  merge: {{calm: neutral}}
train:
  epochs: 40
```

`--set train.epochs=40` (repeatable) goes on top of the file; `--epochs 40` is short for it. An unknown key, a wrong type, a number out
of range and settings that contradict each other stop the program with exit code 2 and a line that names the key, its value, its line
in the file, and the nearest valid key. `ser --config <file> --steps doctor` checks a config and what it needs.
"""

TYPE_NAMES = {int: "integer", float: "number", str: "text", bool: "`true`, `false`"}
BOUNDS = {"ge": "at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    return write_page(PAGE, page(), check=parser.parse_args().check)


def write_page(path: Path, text: str, check: bool) -> int:
    """Exit code: 1 where a check finds another page."""
    if check:
        current = path.exists() and path.read_text(encoding="utf-8") == text
        print(f"{path.name} is {'current' if current else f'stale: run scripts/{Path(sys.argv[0]).name}'}")
        return 0 if current else 1
    path.write_text(text, encoding="utf-8")
    return 0


def page() -> str:
    shipped = sorted((Path(inspect.getfile(ExperimentConfig)).parent / "configs").glob("*.yaml"))
    parts = [INTRODUCTION.format(shipped=", ".join(f"`{path.name}`" for path in shipped))]
    for name, field in ExperimentConfig.model_fields.items():
        parts.append(section(name, model_of(field), level=2))
    return "\n".join(parts)


def section(name: str, model: type[BaseModel], level: int) -> str:
    """Heading, sentence, table of the keys; then the sections within."""
    meanings = field_texts(model)
    rows = [
        ("key", "default", "range", "meaning"),
        *((f"`{key}`", default_of(field), range_of(field), meanings.get(key, "")) for key, field in plain_fields(model)),
    ]
    inner = [section(f"{name}.{key}", model_of(field), level + 1) for key, field in model.model_fields.items() if is_section(field)]
    return "\n".join([f"{'#' * level} `{name}`", inspect.getdoc(model) or "", "", *table(rows), "", *inner])


def plain_fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    return ((name, field) for name, field in model.model_fields.items() if not is_section(field))


def is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def model_of(field: FieldInfo) -> type[BaseModel]:
    assert is_section(field)
    return field.annotation  # type: ignore[return-value]


def default_of(field: FieldInfo) -> str:
    """As YAML has it."""
    return f"`{json.dumps(field.get_default())}`".replace('"', "")


def range_of(field: FieldInfo) -> str:
    return describe(field.annotation, field.metadata)


def describe(annotation: Any, constraints: Iterable[Any] = ()) -> str:
    """A type and its limits, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    limits = limits_of(constraints, "characters" if annotation is str else "items")
    if any(getattr(item, "func", None) is known_feature for item in [*constraints, *arguments[1:]]):
        kind, limits = ", ".join(f"`{name}`" for name in feature_names()), []
    elif origin is Annotated:
        kind = describe(arguments[0], [*unpacked(arguments[1:]), *constraints])
        limits = []
    elif origin is Literal:
        kind = ", ".join(f"`{value}`" for value in arguments)
    elif origin in (Union, types.UnionType):
        kind = " or ".join(describe(argument, constraints) for argument in arguments if argument is not type(None))
        kind += ", or `null`" if type(None) in arguments else ""
        limits = []
    elif origin is tuple:
        kind = f"list of {describe(arguments[0])}" if arguments[-1] is ... else f"{len(arguments)} times ({describe(arguments[0])})"
    elif origin is dict:
        kind = f"{describe(arguments[0])} → one of them"
    else:
        kind = TYPE_NAMES[annotation]
    return ", ".join([kind, *limits])


def unpacked(metadata: Iterable[Any]) -> Iterator[Any]:
    """A Field within Annotated holds its constraints in a list of its own."""
    for item in metadata:
        yield from item.metadata if isinstance(item, FieldInfo) else [item]


def limits_of(constraints: Iterable[Any], unit: str) -> list[str]:
    limits = []
    for constraint in constraints:
        limits += [text.format(getattr(constraint, name)) for name, text in BOUNDS.items() if hasattr(constraint, name)]
        if hasattr(constraint, "min_length"):
            limits.append(f"{constraint.min_length} or more" if constraint.min_length > 1 else "not empty")
        if hasattr(constraint, "max_length"):
            limits.append(f"at most {constraint.max_length} {unit}")
        if getattr(constraint, "pattern", None):
            limits.append(f"like `{constraint.pattern}`")
    return limits


def table(rows: Iterable[Iterable[object]]) -> list[str]:
    """Lines of a Markdown table; the first row is its head."""
    head, *body = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)]


if __name__ == "__main__":
    sys.exit(main())
