"""Imports run one way. The table is the order of the house: a file imports only from files that stand before it.

A new file needs one line here, behind everything that it imports and before everything that imports it.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "src" / "ser"

LAYERS = {
    "words, units, files": """
        __init__ errors units emotions reasons files tables progress config config_file paths memory optional parallel wording style
    """,
    "one part, alone": """
        manifest containers decode audio metrics intervals calibration exported specaugment runtime
        models.base models.pooling models.spectral_crnn models.ssl_spectral_moe models losses
    """,
    "corpora, features, splits": """
        screening search corpora.base corpora.crema corpora.ravdess corpora.savee corpora.tess corpora
        features.base features.spectral features.backbone_files features.backbone features augment certificate splits protocols census votes
    """,
    "store": "shards store",
    "batches, checkpoints, runs": "data inference checkpoint runs tracking",
    "learning and scores": "training predictions evaluation comparison fairness perception",
    "a trained model": "rebuild restore robustness silero recording voice windows attention predict formats newest microphone",
    "what people look at": """
        console licences visualize
        report.svg report.plots report.facts report.page report.examples report.scores report.model report.build report.card report
    """,
    "a model for others": """
        graph.base graph.normaliser graph.layers graph.spectral graph.spectral_crnn graph.ssl_spectral_moe
        graph.wav2vec graph.whisper graph.backbone graph original parity export web_runtime web_export
    """,
    "a service": """
        serve.problems serve.limits serve.uploads serve.facts serve.worker serve.workers serve.schema serve.assets serve.docs serve.metrics
        serve.app serve.connection serve.server serve
    """,
    "steps": """
        pipeline.extras pipeline.extract pipeline.stores pipeline.transform pipeline.load pipeline.train
        pipeline.protocol_show pipeline.protocol_results pipeline.protocol pipeline.compare
        pipeline.visualize pipeline.doctor pipeline.plan pipeline pipeline.demo pipeline.report pipeline.export
        pipeline.predict pipeline.microphone pipeline.serve pipeline.web
    """,
    "command line": "cli",
}
ORDER = [module for layer in LAYERS.values() for module in layer.split()]

CORE = {"numpy", "pydantic", "rich", "ruamel", "scipy", "soundfile", "soxr", "torch", "typer"}
"""The dependencies of pyproject.toml that are always there; all others are imported inside the functions that need them."""

TORCH = {"losses", "specaugment", "data", "inference", "runtime", "checkpoint", "training", "features.backbone", "restore"}
TORCH |= {module for module in ORDER if module.startswith("models")}
"""Only these import torch when they are imported."""

NEVER = {"librosa", "sklearn", "pandas"}
"""References in tests; their import costs seconds and hundreds of megabytes."""

KNOW_NO_DATA = {
    "metrics": {"errors"},
    "intervals": {"errors", "metrics"},
    "calibration": {"config", "errors", "files", "metrics"},
    "losses": {"config", "errors", "models.base"},
    "specaugment": {"config", "errors", "units"},
    **{name: {"config", "errors", "units", *(m for m in ORDER if m.startswith("models."))} for name in ORDER if name.startswith("models")},
}


def module_name(path: Path) -> str:
    """`corpora.crema` of src/ser/corpora/crema.py; a package goes by its folder's name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1]) if parts[-1] == "__init__" and len(parts) > 1 else ".".join(parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def imported(path: Path, *, at_import_only: bool = False) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of everything that a file imports, or only of what it imports as soon as it is imported itself."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: imports are absolute here"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif not (at_import_only and (isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or is_for_types(node))):
            waiting.extend(ast.iter_child_nodes(node))


def is_for_types(node: ast.AST) -> bool:
    """`if TYPE_CHECKING:`, which never runs."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def own_module(name: str) -> str:
    """The module of this package behind an imported name: of `ser.config.AudioConfig` it is `config`, of `ser.__version__` the root."""
    parts = name.split(".")[1:]
    found = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((module for module in found if module in MODULES), "__init__")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_stands_before_it(module: str) -> None:
    assert module in ORDER, f"{module} has no place yet: add it to LAYERS in tests/test_architecture.py, behind what it imports"
    for name, line in imported(MODULES[module]):
        if name.split(".")[0] == "ser":
            target = own_module(name)
            assert target in ORDER, f"{target} has no place yet: add it to LAYERS in tests/test_architecture.py"
            assert ORDER.index(target) < ORDER.index(module), (
                f"{MODULES[module].relative_to(ROOT.parent)}, line {line}: {module} imports {target}, which stands behind it"
            )


@pytest.mark.parametrize("module", MODULES)
def test_a_module_loads_only_core_dependencies_when_it_is_imported(module: str) -> None:
    for name, line in imported(MODULES[module], at_import_only=True):
        package = name.split(".")[0]
        place = f"{MODULES[module].relative_to(ROOT.parent)}, line {line}"
        assert package in sys.stdlib_module_names | CORE | {"ser"}, f"{place}: import {package} inside the function that needs it"
        assert package != "torch" or module in TORCH, f"{place}: {module} must not load torch when it is imported"


@pytest.mark.parametrize("module", MODULES)
def test_no_module_uses_what_is_only_a_reference_for_tests(module: str) -> None:
    assert not NEVER & {name.split(".")[0] for name, _ in imported(MODULES[module])}


@pytest.mark.parametrize("module", KNOW_NO_DATA)
def test_models_and_metrics_know_no_data(module: str) -> None:
    known = {own_module(name) for name, _ in imported(MODULES[module]) if name.split(".")[0] == "ser"}
    assert known <= KNOW_NO_DATA[module]


def test_the_table_names_each_module_once_and_none_that_is_gone() -> None:
    assert len(set(ORDER)) == len(ORDER)
    assert not set(ORDER) - set(MODULES) - {"__init__"}
