"""CSV tables: written atomically, and checked for missing columns when they are read.

Text that a spreadsheet would run as a formula (it starts with = + - @, tab or a line break) is written with a leading apostrophe, which is
removed when the table is read.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ser.errors import ArtefactError
from ser.system.files import write_text

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n")


def neutralise(value: object) -> object:
    """Add an apostrophe to text that a spreadsheet would run as a formula; None becomes empty.

    >>> neutralise("=1+1"), neutralise(-0.5), neutralise(None)
    ("'=1+1", -0.5, '')
    """
    if value is None:
        return ""
    if isinstance(value, str) and (value.startswith(FORMULA_SIGNS) or is_neutralised(value)):
        return "'" + value
    return value


def is_neutralised(text: str) -> bool:
    """Whether the text has one or more apostrophes before a formula sign."""
    return text.startswith("'") and text.lstrip("'").startswith(FORMULA_SIGNS)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a header and one line for each row; None becomes an empty cell."""
    buffer = io.StringIO()
    plain = csv.writer(buffer, lineterminator="\n")
    # Python before 3.13 does not quote a carriage return, which readers take for the end of the row.
    quoted = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(columns)
    for row in rows:
        cells = [neutralise(row[column]) for column in columns]
        writer = quoted if any(isinstance(cell, str) and "\r" in cell for cell in cells) else plain
        writer.writerow(cells)
    write_text(path, buffer.getvalue())


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read all rows. Raises the errors of `iter_table`."""
    return list(iter_table(path, columns))


def iter_table(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield the rows, each with all of `columns` as text.

    Raises:
        ArtefactError: a column is missing, a row has too few or too many cells, or the text is not valid CSV.
    """
    # utf-8-sig: a spreadsheet that saves the table adds a byte order mark.
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
            raise ArtefactError(f"{path} is corrupted ({error}); remove it and run the step that writes it again") from None
