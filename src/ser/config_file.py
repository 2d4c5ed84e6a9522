"""Read an ExperimentConfig from YAML, with errors that name the key, the value, the line and the nearest valid key."""

import difflib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, DocumentStartEvent, Event, ScalarEvent

from ser.config import ExperimentConfig
from ser.errors import ConfigError
from ser.home import expand_home

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Values = dict[str, Any]
"""Plain values of YAML under their keys; a section is a nested mapping."""
Origins = dict[str, str]
"""{dotted key: the place where it was set, as `file, line n`}"""

MAX_BYTES = 4_000_000
"""The largest config file; a config that lists every id of a published fold has some 300 kB."""
MAX_DEPTH = 12
"""The deepest nesting of sections and lists."""
MOST_SUGGESTED = 3
"""The highest number of keys with one name in several sections that a message suggests."""
CLOSE = 0.75
"""The similarity, at most 1, from which one name is taken for a misspelling of the other."""
STORED = "cfg.json"
"""Name of the config in the folder of a run."""
STORED_KEYS = {"config", "environment"}
"""Keys of that file."""
MAX_EXTENDS = 5
"""The longest chain of files that extend each other."""


def load_config(name: str | Path, settings: Sequence[str] = ()) -> ExperimentConfig:
    """Load the config of a path, a name in `./configs`, or a name shipped with the package, with `key.sub=value` settings on top.

    A file may state only its differences to another: `extends: spectral_crnn.yaml`. A folder of a run, or its cfg.json, is the config of
    that run.

    Raises:
        ConfigError: there is no such file, or a key or value in it is not valid.
    """
    return load_with_origins(name, settings)[0]


def load_with_origins(name: str | Path, settings: Sequence[str] = ()) -> tuple[ExperimentConfig, Origins]:
    """Like `load_config`, with the place where each key was set; keys with their defaults are left out."""
    merged, origins = read_layers(find_config(str(name)))
    return build(merged, origins, settings), origins


def override(config: ExperimentConfig, settings: Sequence[str]) -> ExperimentConfig:
    """A copy of a config with `key.sub=value` settings on top.

    Raises:
        ConfigError: a setting is not valid.
    """
    return build(config.model_dump(mode="json"), {}, settings)


def build(merged: Values, origins: Origins, settings: Sequence[str]) -> ExperimentConfig:
    """
    Args:
        merged: plain values; modified.
        origins: the place of each dotted key.
    """
    for setting in settings:
        apply_setting(merged, origins, setting)
    try:
        # As JSON, because pydantic's strictness (no text or truth value for a number) still accepts a list for a tuple there.
        return ExperimentConfig.model_validate_json(json.dumps(merged, default=str), strict=True)
    except ValidationError as error:
        problems = [problem for problem in error.errors() if not is_consequence(problem, error.errors())]
        raise ConfigError("\n".join(explain(problem, origins) for problem in problems)) from None


def find_config(name: str, asker: Path | None = None) -> Path:
    """Find the file of that name in the current folder, in ./configs or in the package; for `extends`, first beside the extending file, and
    never that file itself.

    Raises:
        ConfigError: it is in none of these places.
    """
    name = expand_home(name)
    shipped = Path(str(resources.files("ser"))) / "configs"
    folders = ([asker.parent] if asker else []) + [Path(), Path("configs"), shipped]
    spellings = [name] if name.endswith((".yaml", ".yml")) else [name, f"{name}.yaml", f"{name}/{STORED}"]
    try:
        for candidate in (folder / spelling for folder in folders for spelling in spellings):
            if candidate.is_file() and not (asker and candidate.samefile(asker)):
                return candidate
    except OSError as error:
        raise ConfigError(f"the config {name[:200]!r} cannot be read: {error.strerror}") from None
    folder = Path(name).parent
    if "/" in name:
        known = sorted(path.name for path in folder.glob("*.y*ml"))
        raise ConfigError(f"there is no file {name}{suggestion(Path(name).name, known)}")
    known = sorted({path.name for folder in (Path("configs"), shipped) for path in folder.glob("*.yaml")})
    raise ConfigError(
        f"there is no config {name!r} in this folder, in ./configs or in the package{suggestion(name, known)}; known: {', '.join(known)}"
    )


def read_layers(path: Path) -> tuple[Values, Origins]:
    """Merge a file with the files that it extends: (plain values, place of each dotted key)."""
    layers: list[tuple[Values, Origins]] = []
    current: Path | None = path
    while current is not None:
        if len(layers) == MAX_EXTENDS:
            raise ConfigError(f"{path} extends more than {MAX_EXTENDS} files in a row, or itself")
        values, origins = read_stored(current) if current.suffix == ".json" else read_yaml(current)
        base = values.pop("extends", None)
        if base is not None and not isinstance(base, str):
            raise ConfigError(f"{current}: extends: {base!r} is not the name of a config")
        layers.append((values, origins))
        current = None if base is None else find_config(base, current)
    merged: Values = {}
    places: Origins = {}
    for values, origins in reversed(layers):
        merge_into(merged, values)
        places |= origins
    return merged, places


def read_stored(path: Path) -> tuple[Values, Origins]:
    """The config in the cfg.json of a run, which also contains the environment of the run.

    Raises:
        ConfigError: it is not such a file.
    """
    try:
        content = json.loads(read_limited(path))
    except (ValueError, RecursionError):
        raise ConfigError(f"{path} is not valid JSON") from None
    if not isinstance(content, dict) or set(content) != STORED_KEYS or not isinstance(content["config"], dict):
        raise ConfigError(f"{path} is not the cfg.json of a run: it must contain {' and '.join(sorted(STORED_KEYS))}")
    return content["config"], dict.fromkeys(content["config"], str(path))


def merge_into(target: Values, source: Values) -> None:
    """Merge mappings key by key; any other value, and an empty mapping, replaces the old one."""
    for key, value in source.items():
        if isinstance(value, dict) and value and isinstance(target.get(key), dict):
            merge_into(target[key], value)
        else:
            target[key] = value


def read_yaml(path: Path) -> tuple[Values, Origins]:
    """Read one file: plain values, and `{dotted key: "file, line n"}`. YAML 1.2: `1e-3` is a number, `off` is text.

    Raises:
        ConfigError: the file is too large or nested too deeply, has aliases, tags or a duplicate key, or is not a mapping.
    """
    text = read_limited(path)
    loader = YAML(typ="rt")
    try:
        check_budget(str(path), loader.parse(io.StringIO(text)))
        document = loader.load(text)
    except YAMLError as error:
        raise ConfigError(explain_yaml(str(path), error)) from None
    if document is None:
        return {}, {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path} must contain sections, like `train:`, but is of type {type(plain(document)).__name__}")
    origins: Origins = {}
    collect_lines(path, document, "", origins)
    return plain(document), origins


def read_limited(path: Path) -> str:
    """The text of a file of at most MAX_BYTES; a byte order mark is dropped."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_BYTES} bytes, the most that a config may have")
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None


def explain_yaml(source: str, error: YAMLError) -> str:
    """The parser's error on one line."""
    if isinstance(error, MarkedYAMLError) and error.problem and error.problem_mark:
        return f"{source}, line {error.problem_mark.line + 1}: {' '.join(error.problem.split())}"
    return f"{source} is not valid YAML: {' '.join(str(error).split())}"


def check_budget(source: str, events: Iterable[Event]) -> None:
    """Refuse constructs that may use excessive memory, or that are read in unexpected ways."""
    depth = 0
    for event in events:
        depth += isinstance(event, CollectionStartEvent)
        depth -= isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ConfigError(f"{source} is nested deeper than {MAX_DEPTH} levels")
        line = event.start_mark.line + 1
        if isinstance(event, AliasEvent):
            raise ConfigError(f"{source}, line {line}: aliases are not used in configs; write the value out, or use extends")
        if isinstance(event, ScalarEvent) and event.value == "<<":
            raise ConfigError(f"{source}, line {line}: merge keys (<<) are not used in configs; use extends")
        if isinstance(event, DocumentStartEvent) and event.version not in (None, (1, 2)):
            raise ConfigError(f"{source}, line {line}: configs are YAML 1.2; drop the %YAML line")
        tag = getattr(event, "tag", None) if getattr(event, "ctag", None) is not None else None
        if tag:
            raise ConfigError(f"{source}, line {line}: tags ({tag}) are not used in configs")


def collect_lines(path: Path, node: Any, prefix: str, origins: Origins) -> None:
    """Record the line of every key and list item."""
    is_mapping = isinstance(node, dict)
    for key in node if is_mapping else range(len(node)):
        line = (node.lc.key(key) if is_mapping else node.lc.item(key))[0] + 1
        origins[f"{prefix}{key}"] = f"{path}, line {line}"
        if isinstance(node[key], (dict, list)):
            collect_lines(path, node[key], f"{prefix}{key}.", origins)


def plain(node: object) -> Any:
    """Convert the parser's number, text and mapping types to Python's."""
    if isinstance(node, dict):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def apply_setting(values: Values, origins: Origins, setting: str) -> None:
    """`train.epochs=3`; the right side is YAML: `[mel, mfcc]`, `null`, `1e-3`.

    Raises:
        ConfigError: there is no `=`, the key is too deep or passes through a value without keys, or the right side is not YAML.
    """
    key, sign, text = setting.partition("=")
    key = key.strip()
    if not sign or not all(key.split(".")):
        raise ConfigError(f"--set {setting!r}: expected key.sub=value, like train.learning_rate=1e-3")
    if key.count(".") >= MAX_DEPTH:
        raise ConfigError(f"--set {setting[:40]!r}...: nested deeper than {MAX_DEPTH} levels")
    value = parse_setting(setting, text)
    if isinstance(value, int | float) and takes_text(key):
        value = text.strip()  # a folder or a split may be called 2024
    *parents, last = key.split(".")
    section = values
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            raise ConfigError(f"--set {setting!r}: {parent} has no keys below it")
    merge_into(section, {last: value})
    remember_setting(origins, setting, key, value)


def parse_setting(setting: str, text: str) -> Any:
    """Parse the right side of a setting as YAML.

    Raises:
        ConfigError: it is not valid YAML.
    """
    loader = YAML(typ="rt")
    try:
        check_budget(f"--set {setting}", loader.parse(io.StringIO(text)))
        return plain(loader.load(text))
    except YAMLError:
        raise ConfigError(f"--set {setting!r}: {text!r} is not a YAML value") from None


def remember_setting(origins: Origins, setting: str, key: str, value: object) -> None:
    """Record the origin of a value and of each part of it, in place of those of the replaced value."""
    origins[key] = f"--set {setting}"
    if isinstance(value, dict) and value:  # merged into the existing section
        for name, part in value.items():
            remember_setting(origins, setting, f"{key}.{name}", part)
        return
    for other in [other for other in origins if other.startswith(f"{key}.")]:
        del origins[other]


def takes_text(key: str) -> bool:
    """Whether a key accepts text and no number.

    >>> takes_text("split.name"), takes_text("train.epochs"), takes_text("protocol.fold"), takes_text("no.such.key")
    (True, False, True, False)
    """
    *sections, last = key.split(".")
    model = section_at(sections)
    field = model.model_fields.get(last) if model else None
    kinds = {*(get_args(field.annotation) or [field.annotation])} if field else set()
    return kinds - {type(None)} == {str}


def is_consequence(problem: "ErrorDetails", problems: Sequence["ErrorDetails"]) -> bool:
    """Drop the error that a list is too short if one of its items is wrong: the error of the item is the cause."""
    depth = len(problem["loc"])
    return problem["type"] == "too_short" and any(len(p["loc"]) > depth and p["loc"][:depth] == problem["loc"] for p in problems)


def explain(problem: "ErrorDetails", origins: Origins) -> str:
    """One error of pydantic on one line."""
    location = [str(part) for part in problem["loc"] if part != "[key]"]
    reason = problem["msg"].removeprefix("Value error, ")
    place = find_place(location, reason, origins)
    where = f" ({place})" if place else ""
    key = quote_unprintable(".".join(location))
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key}{where}{suggest_key(location)}"
    reason = expected(problem["type"], problem["input"]) or reason
    subject = f"{key}: " if location else ""
    got = "" if isinstance(problem["input"], dict) or not location else f"; got {problem['input']!r}"
    return f"{subject}{reason[0].lower()}{reason[1:]}{got}{where}"


def expected(kind: str, given: object) -> str | None:
    """The expected value in terms of YAML, by the type of pydantic's error; None if pydantic's own text is clear.

    >>> expected("tuple_type", "happy, sad")
    'expected a list, like [happy, sad]'
    """
    match kind:
        case "model_type":
            return "expected keys below it"
        case "tuple_type":
            items = [item.strip() for item in str(given).split(",")] if isinstance(given, str | int | float) else ["first", "second"]
            return f"expected a list, like [{', '.join(items)}]"
        case "dict_type":
            return "expected pairs, like {calm: neutral}"
        case "string_type" if isinstance(given, int | float):
            return "expected text: put it into quotes"
    return None


def find_place(location: list[str], reason: str, origins: Origins) -> str:
    """The place of an error: that of a key in its reason, of the key itself, of a key below it, or of the section that contains it."""
    named = [[*location, word.strip(",:;")] for word in reason.split()]
    around = [location[:length] for length in range(len(location), 0, -1)]
    settings = [candidate for candidate in named if origins.get(".".join(candidate), "").startswith("--set")]
    for candidate in [*settings, *named, *around]:
        key = ".".join(candidate)
        if key in origins:
            return origins[key]
        if candidate == location:
            below = [place for origin, place in origins.items() if origin.startswith(f"{key}.")]
            if below:
                return below[0]
    return ""


def quote_unprintable(key: str) -> str:
    """A key in quotes and escaped if it is empty or has control characters."""
    return key if key and key.isprintable() else repr(key)


def suggest_key(location: list[str]) -> str:
    """For an unknown key: the same name in another section, the nearest name in its own, or the nearest anywhere.

    >>> suggest_key(["epochs"]), suggest_key(["train", "epoch"]), suggest_key(["corpora"]), suggest_key(["qwerty"])
    (': did you mean train.epochs?', ': did you mean epochs?', ': did you mean project.corpora or split.corpora?', '')
    """
    *sections, name = location
    everywhere = list(all_keys(ExperimentConfig))
    same = [key for key in everywhere if key.rpartition(".")[2] == name and "." in key]
    if same:
        return f": did you mean {' or '.join(same[:MOST_SUGGESTED])}?"
    model = section_at(sections)
    neighbours = {key: key for key in (model.model_fields if model else ())}
    last_names = {key.rpartition(".")[2]: key for key in everywhere}
    for names, cutoff in ((neighbours, CLOSE), (last_names, CLOSE), (neighbours, 0.5)):
        for found in difflib.get_close_matches(name, names, n=1, cutoff=cutoff):
            return f": did you mean {names[found]}?"
    return ""


def all_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted keys of a config, sections among them."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from all_keys(field.annotation, f"{prefix}{name}.")


def section_at(location: Sequence[str]) -> type[BaseModel] | None:
    """The class of a section; None where there is none."""
    model: type[BaseModel] = ExperimentConfig
    for part in location:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return None
        model = annotation
    return model


def suggestion(name: str, known: Iterable[str]) -> str:
    """
    >>> suggestion("epoch", ["epochs", "loss"])
    ': did you mean epochs?'
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f": did you mean {near[0]}?" if near else ""
