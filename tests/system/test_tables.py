"""CSV tables: what is written comes back, and a spreadsheet runs none of it."""

import csv
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.errors import ArtefactError
from ser.system.tables import FORMULA_SIGNS, neutralise, read_table, write_table

CELLS = st.text(alphabet=st.sampled_from("=+-@' ,\"\n\r\tab1é\x00"), max_size=6) | st.text(max_size=12)


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=4))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.getbasetemp() / "round_trip.csv"
    table = [{"id": first, "detail": second} for first, second in rows]
    write_table(path, ("id", "detail"), table)
    assert read_table(path, ("id", "detail")) == table


@settings(max_examples=100, deadline=None)
@given(text=CELLS)
def test_no_cell_starts_with_a_formula_sign(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "formula.csv"
    write_table(path, ("id", "detail"), [{"id": "x", "detail": text}])
    with path.open(newline="", encoding="utf-8") as file:
        cell = list(csv.reader(file))[1][1]
    assert not cell.startswith(FORMULA_SIGNS)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+49", "'+49"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("'=1", "''=1"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("it's", "it's"),
        ("'quoted'", "'quoted'"),
        ("", ""),
        (None, ""),
        (-0.5, -0.5),
        (3, 3),
    ],
)
def test_formulas_and_only_formulas_stand_behind_an_apostrophe(value: object, cell: object) -> None:
    assert neutralise(value) == cell


def test_numbers_come_back_exactly(tmp_path: Path) -> None:
    values = [0.1, -1e-300, 1 / 3, 1e22]
    write_table(tmp_path / "t.csv", ("value",), [{"value": value} for value in values])
    assert [float(row["value"]) for row in read_table(tmp_path / "t.csv", ("value",))] == values


def test_more_columns_than_asked_for_are_kept(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", ("id", "p_sad"), [{"id": "a", "p_sad": 0.5}])
    assert read_table(tmp_path / "t.csv", ("id",)) == [{"id": "a", "p_sad": "0.5"}]


def test_an_empty_table_has_its_header(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", ("id", "path"), [])
    assert (tmp_path / "t.csv").read_text() == "id,path\n"
    assert read_table(tmp_path / "t.csv", ("id", "path")) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"lacks the column\(s\) id, path"),
        (b"id\na\n", r"lacks the column\(s\) path"),
        (b"id,path\na\n", "row 1: the number of cells differs"),
        (b"id,path\na,b\nc,d,e\n", "row 2: the number of cells differs"),
        (b'id,path\na,"' + b"x" * 200_000 + b'"\n', "is corrupted"),
        (b'id,path\na,"b', "is corrupted"),
    ],
)
def test_a_damaged_table_is_an_artefact_error_that_names_it(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "damaged.csv"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=message) as caught:
        read_table(path, ("id", "path"))
    assert "damaged.csv" in str(caught.value)


def test_a_table_edited_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfid,path\r\na,b\r\n")
    assert read_table(tmp_path / "t.csv", ("id", "path")) == [{"id": "a", "path": "b"}]


def test_a_file_name_that_is_not_utf8_still_names_its_file(tmp_path: Path) -> None:
    path = os.fsdecode(b"caf\xe9/1001.wav")
    write_table(tmp_path / "t.csv", ("path",), [{"path": path}])
    assert read_table(tmp_path / "t.csv", ("path",)) == [{"path": path}]
