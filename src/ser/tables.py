"""CSV tables, written whole and atomically, read with every column present.

Text that a spreadsheet would run as a formula (it starts with = + - @) is written behind an apostrophe, and read back without it.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ser.errors import ArtefactError
from ser.files import write_text

FORMULA_SIGNS = ("=", "+", "-", "@")


def neutralise(value: Any) -> Any:
    """
    >>> neutralise("=1+1"), neutralise(-0.5), neutralise(None)
    ("'=1+1", -0.5, '')
    """
    if value is None:
        return ""
    if isinstance(value, str) and (value.startswith(FORMULA_SIGNS) or is_neutralised(value)):
        return "'" + value
    return value


def is_neutralised(text: str) -> bool:
    """An apostrophe (or several) before a formula sign."""
    return text.startswith("'") and text.lstrip("'").startswith(FORMULA_SIGNS)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """One header, one line for each row; None becomes an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([neutralise(row[column]) for column in columns] for row in rows)
    write_text(path, buffer.getvalue())


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows, each with all of `columns` as text.

    Raises:
        ArtefactError: a column is missing, or a row has too few or too many cells.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [column for column in columns if column not in (reader.fieldnames or [])]
        if missing:
            raise ArtefactError(f"{path} lacks the column(s) {', '.join(missing)}")
        rows = list(reader)
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise ArtefactError(f"{path}, line {number}: the number of cells differs from the header")
    return [{key: text[1:] if is_neutralised(text) else text for key, text in row.items()} for row in rows]
