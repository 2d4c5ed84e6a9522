"""Names are the field's nouns and verbs, functions are short, and types are named: the worst of what was once here does not come back."""

import ast
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from places import PACKAGE, ROOT

TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
OTHERS = [path for folder in ("tests", "benchmarks", "scripts") for path in sorted((ROOT / folder).rglob("*.py"))]

FORBIDDEN = {
    "of": "the noun of the thing",
    "hear": "infer or predict",
    "hear_all": "infer_clips",
    "told": "what was read, given or reported",
    "look": "check, find or measure",
    "listed": "join_words",
    "Ear": "FeatureInput",
    "Heard": "ClipOutput",
    "Spoken": "ClipOutput",
    "Said": "ClipOutput",
    "Verdict": "ClipOutput",
}
"""Name: what to call it instead."""
ONCE = ("printable", "describe")
"""Functions that were here several times, each a little different."""
RIDDLES = {
    r"^\s*Of (?!the )": "a noun phrase or a sentence",
    r"suffice": "is enough",
    r"digest does not fit": "checksum mismatch",
    r"can be believed": "can be trusted",
    r"nothing to hear": "no input",
    r"nobody speaks": "no speech",
    r"(?<!here )\b(is|are) no (?!longer\b)": "is not a",
    r"\b(stands|stand) (behind|before|beside|in|on|at)\b": "is",
    r"\btold from\b": "distinguished from, or detected",
    r"\bnot to be had\b": "cannot be downloaded",
    r"\basks for\b": "has, requires or includes",
    r"\b(whoever|somebody)\b": "the user, the caller, the client",
    r"\b[Ee]rrors as of\b": "raises the errors of",
    r"\bhears\b": "infers or predicts",
}
"""Pattern in a docstring or message: what to write instead."""
MOST_ANY = 119
MOST_STATEMENTS = 30
"""Of a function, those of the functions inside it included, its docstring not."""


def named(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """(name, line) of every variable, argument, attribute that is set, function and class."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def statements(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """
    >>> statements(next(functions(ast.parse("def f():\\n    if a:\\n        return b\\n    return c"))))
    3
    """
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return sum(isinstance(node, ast.stmt) for statement in body for node in ast.walk(statement))


def texts(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """(text, line) of every string: docstrings, messages, and the constant parts of f-strings.

    >>> list(texts(ast.parse('f"{a} is bad"')))
    [(' is bad', 1)]
    """
    yield from ((node.value, node.lineno) for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_no_forbidden_name_is_used() -> None:
    found = [(path, line, name) for path, tree in TREES.items() for name, line in named(tree) if name in FORBIDDEN]
    assert not [f"{path}, line {line}: {name}, say {FORBIDDEN[name]}" for path, line, name in found]


@pytest.mark.parametrize("pattern", RIDDLES)
def test_docstrings_and_messages_are_plain(pattern: str) -> None:
    found = [
        f"{path}, line {line}: {' '.join(text.split())[:100]!r}, write {RIDDLES[pattern]}"
        for path, tree in TREES.items()
        for text, line in texts(tree)
        if re.search(pattern, text)
    ]
    assert not found, "\n".join(found)


def test_no_preposition_is_a_variable_elsewhere() -> None:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in OTHERS}
    assert not [f"{path}, line {line}" for path, tree in trees.items() for name, line in named(tree) if name == "of"]


@pytest.mark.parametrize("name", ONCE)
def test_one_function_has_this_name(name: str) -> None:
    found = [f"{path}, line {function.lineno}" for path, tree in TREES.items() for function in functions(tree) if function.name == name]
    assert len(found) <= 1, found


def test_types_are_named() -> None:
    uses = Counter(
        str(path.relative_to(PACKAGE))
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "Any"
    )
    assert uses.total() <= MOST_ANY, uses.most_common(5)


def test_functions_are_short() -> None:
    long = [
        f"{path}, line {function.lineno}: {statements(function)}"
        for path, tree in TREES.items()
        for function in functions(tree)
        if statements(function) > MOST_STATEMENTS
    ]
    assert not long


def test_every_constant_stands_on_a_line_of_its_own() -> None:
    """So that each has a docstring of its own."""
    stacked = [
        f"{path}, line {node.lineno}"
        for path, tree in TREES.items()
        for node in tree.body
        if isinstance(node, ast.Assign) and any(isinstance(target, ast.Tuple) for target in node.targets)
    ]
    assert not stacked
