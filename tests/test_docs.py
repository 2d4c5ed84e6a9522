"""The generated pages are what the scripts write now, and tell of every key, corpus and code; what any page names exists."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from places import ROOT
from ser.config import ExperimentConfig
from ser.config_file import load_config
from ser.corpora.manifest import COLUMNS
from ser.corpora.registry import CORPORA
from ser.reasons import SKIP_REASONS, WARN_REASONS
from ser.runs.compare import flatten

PAGES = {"configuration.md": "write_configuration.py", "data.md": "write_data_page.py"}
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
WRITTEN = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "RESULTS.md"]
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
        assert (ROOT / "src" / "ser" / "configs" / config).exists(), config
    sections = {part for key in KEYS for part in (key, *prefixes(key))}
    for key in re.findall(rf"`(?:--set )?((?:{'|'.join(ExperimentConfig.model_fields)})\.[\w.]+)[`=:]", text):
        assert key in sections or key.endswith((".py", ".json")), key


def prefixes(key: str) -> Iterator[str]:
    """Sections that a key stands in."""
    while "." in key:
        key = key.rpartition(".")[0]
        yield key


def test_the_readme_names_every_shipped_config_and_shows_one_that_is_read(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in (ROOT / "src" / "ser" / "configs").iterdir()} <= set(re.findall(r"\w+\.yaml", text))
    examples = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert examples
    for example in examples:
        (tmp_path / "mine.yaml").write_text(example, encoding="utf-8")
        load_config(str(tmp_path / "mine.yaml"))


def test_the_tree_in_the_readme_names_every_wing_and_none_that_is_gone() -> None:
    tree = (ROOT / "README.md").read_text(encoding="utf-8").split("\nsrc/ser/\n")[1].split("\ntests/")[0]
    named = set(re.findall(r"^  (\w+)/|  (\w+)/  ", tree, re.MULTILINE))
    folders = {path.name for path in (ROOT / "src" / "ser").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {name for pair in named for name in pair if name} == folders


PATHS = re.compile(r"\b((?:src/ser|tests|benchmarks|scripts|docs)/[\w./-]*\w\.(?:py|js|md|json|yaml|png|j2))\b")


@of_every_page
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = set(PATHS.findall(page.read_text(encoding="utf-8")))
    assert not [path for path in sorted(named) if not (ROOT / path).exists()]
