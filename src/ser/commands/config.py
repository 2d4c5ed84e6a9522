"""`ser config show` and `ser config schema`."""

import ast
import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

from ser import config as models
from ser.config import ExperimentConfig
from ser.config_file import Origins, load_with_origins

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
"""Text that YAML reads as text without quotes, except for `RESERVED`."""
RESERVED = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
"""Words that some version of YAML does not read as text."""
COMMENT_COLUMN = 44
"""Column of the comments after shorter lines."""

Schema = dict[str, object]
Lines = Iterator[tuple[str, str]]
"""(line of YAML, dotted key)"""


def show_config(name: str, settings: Sequence[str]) -> None:
    """Print the resolved config. Raises the errors of `ser.config_file.load_config`."""
    config, origins = load_with_origins(name, settings)
    for line, key in yaml_lines(config.model_dump(mode="json")):
        origin = origin_of(key, origins)
        print(f"{line:<{COMMENT_COLUMN}}  # {origin}" if origin else line)


def yaml_lines(values: Mapping[str, object], prefix: str = "", indent: str = "") -> Lines:
    """The lines of a mapping in YAML 1.2, with lists on one line, as in JSON, which is a subset of it."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{scalar(key)}:", ""
            yield from yaml_lines(value, f"{prefix}{key}.", f"{indent}  ")
        else:
            yield f"{indent}{scalar(key)}: {scalar(value)}", f"{prefix}{key}"


def scalar(value: object) -> str:
    """
    >>> scalar(["mel", None, 1e-05]), scalar("off"), scalar("data/raw"), scalar("2024")
    ('[mel, null, 1e-05]', '"off"', 'data/raw', '"2024"')
    """
    if isinstance(value, list):
        return f"[{', '.join(map(scalar, value))}]"
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in RESERVED:
        return value
    return json.dumps(value, ensure_ascii=not isinstance(value, str) or not value.isprintable())


def origin_of(key: str, origins: Origins) -> str:
    """The place where the key, or the nearest section that contains it, was set; empty for a default.

    >>> origin_of("a.b.c", {"a.b": "x.yaml, line 3"}), origin_of("a.d", {"a": "x.yaml, line 1", "a.b": "x.yaml, line 2"})
    ('x.yaml, line 3', '')
    """
    parts = key.split(".")
    for length in range(len(parts), 0, -1):
        section = ".".join(parts[:length])
        if section in origins and (length == len(parts) or not any(other.startswith(f"{section}.") for other in origins)):
            return origins[section].removeprefix(f"{Path(str(resources.files('ser')))}/configs/").replace("\n", " ")
    return ""


# -- the schema -----------------------------------------------------------------------------


def print_schema() -> None:
    print(json.dumps(schema(), indent=2))


def schema() -> Schema:
    """The JSON Schema of a config file, with the docstring of each field; no key is required, because a file may extend another."""
    content: Schema = ExperimentConfig.model_json_schema()
    definitions = content["$defs"]
    assert isinstance(definitions, dict)
    for name, definition in [*definitions.items(), (ExperimentConfig.__name__, content)]:
        definition.pop("required", None)
        texts = field_texts(getattr(models, name))
        for field, property_schema in definition["properties"].items():
            if field in texts:
                property_schema["description"] = texts[field]
    extends = {"type": "string", "description": "Another config that this one changes."}
    properties = content["properties"]
    assert isinstance(properties, dict)
    content["properties"] = {"extends": extends, **properties}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **content}


def field_texts(model: type) -> dict[str, str]:
    """The text below each field of a class and of its base classes in this program, on one line."""
    (definition,) = ast.parse(inspect.getsource(model)).body
    assert isinstance(definition, ast.ClassDef)
    texts = {field: text for base in model.__bases__ if base.__module__.startswith("ser.") for field, text in field_texts(base).items()}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            texts[field.target.id] = " ".join(str(text.value.value).split())
    return texts
