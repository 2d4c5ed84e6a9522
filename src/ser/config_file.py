"""YAML -> ExperimentConfig, with errors that name the key, the value, the line and the nearest good key."""

import difflib
import io
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from ser.config import ExperimentConfig
from ser.errors import ConfigError

MAX_BYTES = 4_000_000
"""A config that lists every id of a published fold has some 300 kB."""
MAX_DEPTH = 12
MAX_EXTENDS = 5


def load_config(name: str | Path, settings: Sequence[str] = ()) -> ExperimentConfig:
    """The config of a path, of a name in `./configs`, or of a name shipped with the package, with `key.sub=value` settings on top.

    A file may state only its differences to another: `extends: spectral_crnn.yaml`.

    Raises:
        ConfigError: no such file, or something in it that cannot be followed.
    """
    path = find_config(str(name))
    merged, origins = read_layers(path)
    for setting in settings:
        apply_setting(merged, origins, setting)
    try:
        return ExperimentConfig.model_validate(merged)
    except ValidationError as error:
        raise ConfigError("\n".join(explain(problem, origins) for problem in error.errors()) or str(error)) from None


def find_config(name: str) -> Path:
    """
    Raises:
        ConfigError: none of the three places has it.
    """
    shipped = Path(str(resources.files("ser"))) / "configs"
    spellings = [name] if name.endswith((".yaml", ".yml")) else [name, f"{name}.yaml"]
    for folder in (Path(), Path("configs"), shipped):
        for spelling in spellings:
            if (folder / spelling).is_file():
                return folder / spelling
    known = sorted({path.name for folder in (Path("configs"), shipped) for path in folder.glob("*.yaml")})
    raise ConfigError(f"no config {name!r} here, in ./configs or in the package{suggestion(name, known)}; known: {', '.join(known)}")


def read_layers(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """A file over the files that it extends: (plain values, where each dotted key stands)."""
    layers: list[tuple[dict[str, Any], dict[str, str]]] = []
    current: Path | None = path
    while current is not None:
        if len(layers) == MAX_EXTENDS:
            raise ConfigError(f"{path} extends more than {MAX_EXTENDS} files in a row, or itself")
        values, origins = read_yaml(current)
        base = values.pop("extends", None)
        if base is not None and not isinstance(base, str):
            raise ConfigError(f"{current}: extends: {base!r} is not the name of a config")
        layers.append((values, origins))
        current = None if base is None else find_base(current, base)
    merged: dict[str, Any] = {}
    places: dict[str, str] = {}
    for values, origins in reversed(layers):
        merge_into(merged, values)
        places |= origins
    return merged, places


def find_base(path: Path, name: str) -> Path:
    """A base config stands beside the file that extends it, or where any config may stand."""
    beside = path.parent / name
    return beside if beside.is_file() and beside != path else find_config(name)


def merge_into(target: dict[str, Any], source: dict[str, Any]) -> None:
    """Mappings merge key by key; everything else replaces."""
    for key, value in source.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            merge_into(target[key], value)
        else:
            target[key] = value


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """One file: plain values, and `{dotted key: "file, line n"}`. YAML 1.2: `1e-3` is a number, `off` is text.

    Raises:
        ConfigError: too large, nested too deep, aliases, tags, a key twice, or no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{path} has {len(text)} bytes; a config has at most {MAX_BYTES}")
    loader = YAML(typ="rt")
    try:
        check_budget(path, loader.parse(io.StringIO(text)))
        document = loader.load(text)
    except YAMLError as error:
        raise ConfigError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from None
    if document is None:
        return {}, {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path} must hold sections, like `train:`; it holds {type(document).__name__}")
    origins: dict[str, str] = {}
    collect_lines(path, document, "", origins)
    return plain(document), origins


def check_budget(path: Path, events: Iterable[Any]) -> None:
    """Refuse what could blow up while it is built."""
    depth = 0
    for event in events:
        depth += isinstance(event, CollectionStartEvent)
        depth -= isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ConfigError(f"{path} is nested deeper than {MAX_DEPTH} levels")
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent):
            raise ConfigError(f"{path}, line {line}: aliases are not used in configs; write the value out, or use extends")
        if getattr(event, "ctag", None) is not None and getattr(event, "tag", None):
            raise ConfigError(f"{path}, line {line}: tags ({event.tag}) are not used in configs")


def collect_lines(path: Path, node: Any, prefix: str, origins: dict[str, str]) -> None:
    """Remember the line of every key and list item."""
    is_mapping = isinstance(node, dict)
    for key in node if is_mapping else range(len(node)):
        line = (node.lc.key(key) if is_mapping else node.lc.item(key))[0] + 1
        origins[f"{prefix}{key}"] = f"{path}, line {line}"
        if isinstance(node[key], (dict, list)):
            collect_lines(path, node[key], f"{prefix}{key}.", origins)


def plain(node: Any) -> Any:
    """The parser's own number, text and mapping types as Python's."""
    if isinstance(node, dict):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def apply_setting(values: dict[str, Any], origins: dict[str, str], setting: str) -> None:
    """`train.epochs=3`; the right side is YAML: `[mel, mfcc]`, `null`, `1e-3`.

    Raises:
        ConfigError: no `=`, a path through something that has no keys, or no YAML on the right.
    """
    key, sign, text = setting.partition("=")
    if not sign or not all(key.split(".")):
        raise ConfigError(f"--set {setting!r}: expected key.sub=value, like train.learning_rate=1e-3")
    loader = YAML(typ="rt")
    try:
        check_budget(Path(f"--set {setting}"), loader.parse(io.StringIO(text)))
        value = plain(loader.load(text))
    except YAMLError:
        raise ConfigError(f"--set {setting!r}: {text!r} is no YAML value") from None
    *parents, last = key.split(".")
    section = values
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            raise ConfigError(f"--set {setting!r}: {parent} has no keys below it")
    section[last] = value
    origins[key] = f"--set {setting}"


def explain(problem: Any, origins: dict[str, str]) -> str:
    """One pydantic problem as one line."""
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    place = next((origins[".".join(location[:n])] for n in range(len(location), 0, -1) if ".".join(location[:n]) in origins), "")
    where = f" ({place})" if place else ""
    if problem["type"] == "extra_forbidden":
        good = keys_of(ExperimentConfig, location[:-1])
        return f"unknown key {key}{where}{suggestion(location[-1], good)}"
    reason = problem["msg"].removeprefix("Value error, ")
    reason = reason[0].lower() + reason[1:]
    got = "" if isinstance(problem["input"], dict) else f"; got {problem['input']!r}"
    return f"{key or 'config'}: {reason}{got}{where}"


def keys_of(model: type[BaseModel], location: list[str]) -> list[str]:
    """The keys that are allowed at a place."""
    for part in location:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)


def suggestion(name: str, known: Iterable[str]) -> str:
    """
    >>> suggestion("epoch", ["epochs", "loss"])
    ': did you mean epochs?'
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f": did you mean {near[0]}?" if near else ""
