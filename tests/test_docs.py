"""The generated pages are what the scripts write now, and tell of every key, corpus and code; links lead somewhere."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ser.config import ExperimentConfig
from ser.corpora import CORPORA
from ser.manifest import COLUMNS
from ser.reasons import SKIP_REASONS, WARN_REASONS
from ser.runs import flatten

ROOT = Path(__file__).parent.parent
PAGES = {"configuration.md": "write_configuration.py", "data.md": "write_data_page.py"}
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


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
    assert found.keys() == flatten(ExperimentConfig().model_dump()).keys() | {"labels.merge"}  # which is an empty map
    assert all(len(cells) == 3 and all(cells) for cells in found.values())


def test_every_corpus_code_and_column_stands_on_the_data_page() -> None:
    first_cells = {row[0].strip("`") for row in rows_of("data.md")}
    assert {*SKIP_REASONS, *WARN_REASONS, *COLUMNS} <= first_cells
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    for corpus in CORPORA.values():
        assert all(fact in text for fact in (corpus.citation, corpus.licence, corpus.how_to_get, corpus.url))
        assert corpus.labels.keys() <= first_cells


@pytest.mark.parametrize("page", [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")], ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
