"""Tables as lines of plain text, in any width: words are never broken, and a table that is too wide becomes a list of records."""

import textwrap
from collections.abc import Iterator, Sequence

GAP = "  "
"""Between two columns."""

OVERHANGING = 24
"""Columns that the last column has at least, if it is text: a longer word in it, such as a URL, stands over the right edge."""

Cells = Sequence[str]


def table_lines(header: Cells, rows: Sequence[Cells], text_columns: int, width: int) -> list[str]:
    """Header, a rule of dashes below each column, and the rows; or records, where the longest words do not fit beside each other.

    >>> print("\\n".join(table_lines(("file", "s"), [("a.wav", "1.5")], 1, 80)))
    file     s
    -----  ---
    a.wav  1.5
    """
    columns = list(zip(header, *rows, strict=True))
    least = [max(1, *map(longest_word, column)) for column in columns]
    if text_columns == len(header):
        least[-1] = min(least[-1], OVERHANGING)
    widths = fit([max(1, *map(len, column)) for column in columns], least, width)
    if widths is None:
        return list(record_lines(header, rows, width))
    rule = GAP.join("-" * number for number in widths)
    body = [line for row in rows for line in row_lines(row, widths, text_columns)]
    return [*row_lines(header, widths, text_columns), rule, *body]


def longest_word(text: str) -> int:
    return max(map(len, text.split()), default=0)


def fit(natural: Sequence[int], least: Sequence[int], width: int) -> list[int] | None:
    """The width of each column, the widest ones narrowed first; None where the words are too long.

    >>> fit([10, 30], [4, 8], 30), fit([10, 30], [10, 25], 30)
    ([10, 18], None)
    """
    room = width - len(GAP) * (len(natural) - 1)
    if sum(least) > room:
        return None
    widths = list(natural)
    while sum(widths) > room:
        widest = max((index for index in range(len(widths)) if widths[index] > least[index]), key=lambda index: widths[index])
        widths[widest] -= 1
    return widths


def row_lines(cells: Cells, widths: Sequence[int], text_columns: int) -> Iterator[str]:
    """One row, in as many lines as its highest cell."""
    wrapped = [wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for number in range(max(map(len, wrapped))):
        parts = [lines[number] if number < len(lines) else "" for lines in wrapped]
        aligned = []
        for index, (part, width) in enumerate(zip(parts, widths, strict=True)):
            aligned.append(part.ljust(width) if index < text_columns else part.rjust(width))
        yield GAP.join(aligned).rstrip()


def wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def record_lines(header: Cells, rows: Sequence[Cells], width: int) -> Iterator[str]:
    """Each row as `name: value` lines, with an empty line between rows; empty cells are left out."""
    for number, row in enumerate(rows):
        if number:
            yield ""
        for name, cell in zip(header, row, strict=True):
            if cell:
                label = f"{name}: " if name else ""
                yield from textwrap.wrap(label + cell, width, subsequent_indent=GAP, break_long_words=False, break_on_hyphens=False)
