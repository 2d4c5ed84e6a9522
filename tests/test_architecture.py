"""Imports run one way: from a wing to those that stand before it in `WINGS`, and inside a wing without a cycle.

A new file needs no line here. It stands in the wing whose docstring (`src/ser/<wing>/__init__.py`) says what it does.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from places import PACKAGE

TOP = "top level"
WINGS = (
    TOP, "system", "audio", "features", "runs", "models", "corpora", "splits", "evaluation",
    "training", "inference", "export", "report", "pipeline", "serve", "commands", "api", "cli",
)  # fmt: skip
SIBLINGS = ({"training", "inference"}, {"commands", "api"})
"""Neither of a pair imports the other."""

CORE = {"numpy", "pydantic", "rich", "ruamel", "scipy", "soundfile", "soxr", "torch", "typer"}
"""The dependencies of pyproject.toml that are always there; all others are imported inside the functions that need them."""

TORCH = {"models", "training", "runs.checkpoint", "system.device", "features.backbone", "inference.recogniser"}
"""Wings and modules that may import torch when they are imported."""

NEVER = {"librosa", "sklearn", "pandas"}
"""References in tests; their import costs seconds and hundreds of megabytes."""

PURE = {
    "evaluation.metrics": {"errors"},
    "evaluation.intervals": {"errors", "evaluation.metrics"},
    "evaluation.confidence": {"evaluation.metrics"},
    "evaluation.calibration": {"config", "errors", "evaluation.confidence", "evaluation.metrics", "system.files"},
    "evaluation.calibration_fit": {"config", "evaluation.calibration", "evaluation.confidence", "evaluation.metrics"},
    "training.losses": {"config", "errors", "models.base"},
    "training.specaugment": {"config", "errors", "units"},
}
"""Formulas: all that each of these may know of this program."""
MODELS_KNOW = {"config", "errors", "families", "units", "features.base"}
"""And each other: a network knows no file and no corpus."""

BEFORE_ALL = ("__init__", "system.environment")
"""The package sets variables of the environment before any module of it is imported; that module imports none of the package."""

FILES_OF_FAMILIES = {"features.backbone", "features.ssl_family", "export.graph.backbone", "export.graph.spectral"}
"""What may know a family of features by its name; everyone else asks `ser.features.registry`."""
NAMES_OF_FAMILIES = {"SSL", "SPECTRAL", "ssl", "spectral", "BackboneExtractor", "SpectralExtractor"}

MOST_AT_THE_TOP = 11


def module_name(path: Path) -> str:
    """`corpora.crema` of src/ser/corpora/crema.py; a package goes by its folder's name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1]) if parts[-1] == "__init__" and len(parts) > 1 else ".".join(parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
PACKAGES = [name for name, path in MODULES.items() if path.name == "__init__.py" and name != "__init__"]


def wing(module: str) -> str:
    """
    >>> wing("export.graph.layers"), wing("config"), wing("cli"), wing("__main__")
    ('export', 'top level', 'cli', 'cli')
    """
    first = "cli" if module == "__main__" else module.partition(".")[0]
    return first if first in WINGS else TOP


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path, *, at_import_only: bool = False, types: bool = True) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of everything that a file imports, or only of what it imports as soon as it is imported itself, or all but
    what it imports for its types alone."""
    waiting: list[ast.AST] = [parse(path)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: imports are absolute here"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif not skipped(node, at_import_only, types):
            waiting.extend(ast.iter_child_nodes(node))


def skipped(node: ast.AST, at_import_only: bool, types: bool) -> bool:
    is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    return (is_function and at_import_only) or (is_for_types(node) and (at_import_only or not types))


def is_for_types(node: ast.AST) -> bool:
    """`if TYPE_CHECKING:`, which never runs."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def own_module(name: str) -> str:
    """The module of this package behind an imported name: of `ser.config.AudioConfig` it is `config`, of `ser.__version__` the root."""
    parts = name.split(".")[1:]
    found = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((module for module in found if module in MODULES), "__init__")


def own_imports(module: str) -> Iterator[tuple[str, str]]:
    """(module of this package, where it is imported)."""
    for name, line in imported(MODULES[module], at_import_only=module == "__init__"):  # the package names all of its public types
        if name.split(".")[0] == "ser":
            yield own_module(name), f"{MODULES[module].relative_to(PACKAGE.parent)}, line {line}"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_its_own_wing_and_those_before_it(module: str) -> None:
    for target, place in own_imports(module):
        allowed = WINGS.index(wing(target)) <= WINGS.index(wing(module)) or (module, target) == BEFORE_ALL
        assert allowed, f"{place}: {wing(module)} may not import {target}"
        assert {wing(module), wing(target)} not in SIBLINGS, f"{place}: {wing(module)} and {wing(target)} may not import each other"


def test_the_module_of_the_environment_imports_nothing_of_the_package() -> None:
    assert not list(own_imports(BEFORE_ALL[1]))


@pytest.mark.parametrize("name", WINGS)
def test_no_imports_run_in_a_circle_inside_a_wing(name: str) -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for module in MODULES:
        if wing(module) == name:
            graph[module] |= {target for target, _ in own_imports(module) if wing(target) == name and target != module}
    assert list(TopologicalSorter(graph).static_order()), f"there is no {name}"  # a CycleError names the circle


def test_every_folder_is_a_wing_and_says_what_belongs_into_it() -> None:
    assert {package.partition(".")[0] for package in PACKAGES} == set(WINGS) - {TOP, "cli"}
    for package in PACKAGES:
        tree = ast.parse(MODULES[package].read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), f"{package} does not say what belongs into it"
        assert len(tree.body) == 1, f"{package}/__init__.py is a docstring and nothing else: who imports one module would pay for all"


def test_few_files_stand_at_the_top_level() -> None:
    assert len([path for path in MODULES.values() if path.parent == PACKAGE and path.name != "__main__.py"]) <= MOST_AT_THE_TOP


@pytest.mark.parametrize("module", MODULES)
def test_a_module_loads_only_core_dependencies_when_it_is_imported(module: str) -> None:
    for name, line in imported(MODULES[module], at_import_only=True):
        package = name.split(".")[0]
        place = f"{MODULES[module].relative_to(PACKAGE.parent)}, line {line}"
        assert package in sys.stdlib_module_names | CORE | {"ser"}, f"{place}: import {package} inside the function that needs it"
        assert package != "torch" or {module, wing(module)} & TORCH, f"{place}: {module} must not load torch when it is imported"


@pytest.mark.parametrize("module", MODULES)
def test_no_module_uses_what_is_only_a_reference_for_tests(module: str) -> None:
    assert not NEVER & {name.split(".")[0] for name, _ in imported(MODULES[module], types=False)}


@pytest.mark.parametrize("module", PURE)
def test_formulas_know_no_data(module: str) -> None:
    assert {target for target, _ in own_imports(module)} <= PURE[module]


@pytest.mark.parametrize("module", [module for module in MODULES if wing(module) == "models"])
def test_models_know_no_data(module: str) -> None:
    assert {target for target, _ in own_imports(module) if wing(target) != "models"} <= MODELS_KNOW


def compared(node: ast.AST) -> list[ast.expr]:
    """What a node compares, looks for or matches; of other nodes nothing."""
    match node:
        case ast.Compare(left=left, comparators=others):
            return [left, *others]
        case ast.Call(func=ast.Name(id="isinstance"), args=arguments):
            return arguments[1:]
        case ast.MatchValue(value=value):
            return [value]
    return []


def decisions_by_family(path: Path) -> Iterator[int]:
    """Lines that ask for the name of a family of features, or for the class of its extractor."""
    for part in [part for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) for part in compared(node)]:
        names = {leaf.id for leaf in ast.walk(part) if isinstance(leaf, ast.Name)}
        values = {leaf.value for leaf in ast.walk(part) if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)}
        if (names | values) & NAMES_OF_FAMILIES:
            yield part.lineno


@pytest.mark.parametrize("module", [module for module in MODULES if module not in FILES_OF_FAMILIES])
def test_nobody_asks_for_a_family_of_features_by_its_name(module: str) -> None:
    lines = list(decisions_by_family(MODULES[module]))
    assert not lines, f"{MODULES[module]}, lines {lines}: ask the family (ser.features.registry)"


def test_the_search_for_decisions_by_family_finds_them() -> None:
    assert all(list(decisions_by_family(MODULES[module])) for module in ("features.ssl_family", "export.graph.spectral"))
