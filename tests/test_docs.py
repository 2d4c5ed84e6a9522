"""The generated pages are what the scripts write now, and list every key, corpus and code; what any page names exists."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from places import ROOT
from ser.config import ExperimentConfig
from ser.corpora.manifest import COLUMNS
from ser.corpora.registry import CORPORA
from ser.reasons import SKIP_REASONS, WARN_REASONS
from ser.runs.compare import flatten

PAGES = {"configuration.md": "write_configuration.py", "data.md": "write_data_page.py"}
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
DOCS = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "tutorials").glob("*.md")]
WRITTEN = [*ROOT.glob("*.md"), *DOCS, ROOT / "benchmarks" / "RESULTS.md"]
OWN_CONFIG = "mine.yaml"
"""A config that the reader writes."""
MOST_BYTES_OF_README = 6000
KEYS = {*flatten(ExperimentConfig().model_dump()), "labels.merge"}  # which is an empty map


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_page_is_what_its_script_writes(page: str) -> None:
    command = [sys.executable, str(ROOT / "scripts" / PAGES[page]), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout == f"{page} is current\n"


def rows_of(page: str) -> Iterator[list[str]]:
    """Cells of every row of every table."""
    for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_every_key_of_the_config_has_a_default_a_range_and_a_meaning() -> None:
    found: dict[str, list[str]] = {}
    section = ""
    for line in (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("##"):
            section = line.strip("# `")
        if line.startswith("| `"):
            key, *cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            found[f"{section}.{key.strip('`')}"] = cells
    assert found.keys() == KEYS
    assert all(len(cells) == 3 and all(cells) for cells in found.values())


def test_every_corpus_code_and_column_stands_on_the_data_page() -> None:
    first_cells = {row[0].strip("`") for row in rows_of("data.md")}
    assert {*SKIP_REASONS, *WARN_REASONS, *COLUMNS} <= first_cells
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    for corpus in CORPORA.values():
        assert all(fact in text for fact in (corpus.citation, corpus.licence, corpus.how_to_get, corpus.url))
        assert corpus.labels.keys() <= first_cells


of_every_page = pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)


@of_every_page
def test_links_lead_to_files_that_exist(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@of_every_page
def test_commands_name_files_configs_and_keys_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for script in re.findall(r"python ((?:benchmarks|scripts|tests)/\w+\.py)", text):
        assert (ROOT / script).exists(), script
    for config in re.findall(r"(?:--config |`)(\w+\.yaml)\b", text):
        assert config == OWN_CONFIG or (ROOT / "src" / "ser" / "configs" / config).exists(), config
    sections = {part for key in KEYS for part in (key, *prefixes(key))}
    for key in re.findall(rf"`(?:--set )?((?:{'|'.join(ExperimentConfig.model_fields)})\.[\w.]+)[`=:]", text):
        assert key in sections or key.endswith((".py", ".json", ".onnx")), key


def prefixes(key: str) -> Iterator[str]:
    """Sections that a key stands in."""
    while "." in key:
        key = key.rpartition(".")[0]
        yield key


def test_the_page_about_training_names_every_shipped_config() -> None:
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    assert {path.name for path in (ROOT / "src" / "ser" / "configs").iterdir()} <= set(re.findall(r"\w+\.yaml", text))


def test_the_readme_is_short() -> None:
    assert (ROOT / "README.md").stat().st_size <= MOST_BYTES_OF_README


def test_the_generated_reference_has_every_wing_command_code_and_public_name(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(ROOT / "scripts" / "write_reference.py"), str(tmp_path)], check=True)
    pages = {path.stem: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    wings = {path.parent.name for path in (ROOT / "src" / "ser").glob("*/__init__.py")}
    assert wings == set(re.findall(r"^## `(\w+)`$", pages["architecture"], re.MULTILINE))
    assert {f"## `ser {name}`" for name in ("predict", "export", "serve", "report", "demo", "protocol run")} <= set(
        pages["cli"].splitlines()
    )
    assert {*SKIP_REASONS, *WARN_REASONS} == set(re.findall(r"^\| `([\w-]+)` \|", pages["reasons"], re.MULTILINE))
    assert {"## `ser.Predictor`", "## `ser.Prediction`", "## Errors"} <= set(pages["api"].splitlines())


PATHS = re.compile(r"\b((?:src/ser|tests|benchmarks|scripts|docs)/[\w./-]*\w\.(?:py|js|md|json|yaml|png|j2))\b")


@of_every_page
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = set(PATHS.findall(page.read_text(encoding="utf-8")))
    assert not [path for path in sorted(named) if not (ROOT / path).exists()]
