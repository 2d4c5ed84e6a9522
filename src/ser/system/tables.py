"""CSV tables, written whole and atomically, read with every column present.

Text that a spreadsheet would run as a formula (it starts with = + - @, or white space that hides one of them) is written behind an
apostrophe, and read back without it.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ser.errors import ArtefactError
from ser.system.files import write_text

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n")


def neutralise(value: object) -> object:
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


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """One header, one line for each row; None becomes an empty cell."""
    buffer = io.StringIO()
    plain = csv.writer(buffer, lineterminator="\n")
    # Python before 3.13 leaves a carriage return without quotes, and readers take it for the end of the row.
    quoted = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(columns)
    for row in rows:
        cells = [neutralise(row[column]) for column in columns]
        writer = quoted if any(isinstance(cell, str) and "\r" in cell for cell in cells) else plain
        writer.writerow(cells)
    write_text(path, buffer.getvalue())


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """All rows of `iter_table`."""
    return list(iter_table(path, columns))


def iter_table(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows one after the other, each with all of `columns` as text.

    Raises:
        ArtefactError: a column is missing, a row has too few or too many cells, or the text is no CSV.
    """
    # utf-8-sig: a spreadsheet that saved the table put a byte order mark before it.
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        try:
            reader = csv.DictReader(file, strict=True)
            missing = [column for column in columns if column not in (reader.fieldnames or [])]
            if missing:
                raise ArtefactError(f"{path} lacks the column(s) {', '.join(missing)}")
            for number, row in enumerate(reader, start=1):
                if None in row or None in row.values():
                    raise ArtefactError(f"{path}, row {number}: the number of cells differs from the header")
                yield {key: text[1:] if is_neutralised(text) else text for key, text in row.items()}
        except csv.Error as error:
            raise ArtefactError(f"{path} is damaged ({error}); remove it and run the step that writes it again") from None
