"""Tables in every width: nothing is lost, no word is broken, no line is too long unless a single word is."""

from hypothesis import given
from hypothesis import strategies as st

from ser.system.table_layout import table_lines

WORDS = st.lists(st.text("abcdefgh-/.", min_size=1, max_size=12), max_size=6).map(" ".join)
TABLES = st.integers(1, 5).flatmap(lambda number: st.lists(st.lists(WORDS, min_size=number, max_size=number), min_size=2, max_size=6))


@given(TABLES, st.integers(12, 120), st.integers(0, 5))
def test_every_word_is_whole_and_every_line_fits(table: list[list[str]], width: int, text_columns: int) -> None:
    header, *rows = table
    lines = table_lines(header, rows, text_columns, width)
    shown = " ".join(lines).replace(":", " ").split()
    for word in (word for row in rows for cell in row for word in cell.split()):
        assert word in shown
    longest = max((len(word) for row in table for cell in row for word in cell.split()), default=0)
    assert max(map(len, lines), default=0) <= max(width, longest + 3)
    assert all(line == line.rstrip() for line in lines)


def test_a_narrow_table_is_a_list_of_records() -> None:
    header = ("name", "source", "folds")
    rows = [("savee/emobox", "https://example.org/a/long/address/of/a/page", "4"), ("tess/loso", "", "2")]
    assert table_lines(header, rows, 2, 40) == [
        "name: savee/emobox", "source:", "  https://example.org/a/long/address/of/a/page", "folds: 4", "", "name: tess/loso", "folds: 2",
    ]  # fmt: skip


def test_text_columns_are_narrowed_before_it_comes_to_that() -> None:
    lines = table_lines(("what", "n"), [("three short words", "10")], 1, 16)
    assert lines == ["what           n", "------------  --", "three short   10", "words"]


def test_a_url_in_the_last_column_stands_over_the_edge() -> None:
    lines = table_lines(("what", "state", "detail"), [("corpus", "note", "see https://example.org/a/long/address/of/a/page here")], 3, 40)
    assert lines[2:] == ["corpus  note   see", "               https://example.org/a/long/address/of/a/page", "               here"]
