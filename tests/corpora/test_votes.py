"""The owners' table of votes: what it says, where it is found, what is wrong with it, and what a model learns from it."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listeners import REAL, counts, real_tables, row, write_answers, write_owners_table
from ser.config import LabelsConfig, ProjectConfig
from ser.corpora.base import VoteTable
from ser.corpora.crema_votes import find_votes, read_owners_table
from ser.corpora.manifest import copy_id
from ser.corpora.registry import CORPORA, how_to_get_votes
from ser.corpora.votes import HEARD, on_classes, plurality, read_votes, write_votes
from ser.errors import ArtefactError, DataError
from ser.pipeline.extract import find_votes as find_all
from ser.splits.certificate import Entry
from ser.system.tables import read_table
from ser.training.targets import vote_targets

CLIP = "1001_DFA_ANG_XX"
ID = f"crema_{CLIP}"
ANSWERS = {CLIP: {"A": 6, "D": 2, "N": 1}, "1002_IEO_SAD_LO": {"N": 5, "S": 5}}
PLAIN = LabelsConfig()


# -- reading ---------------------------------------------------------------------


def test_the_votes_on_voices_are_read_in_the_order_of_the_vocabulary(tmp_path: Path) -> None:
    votes = read_owners_table(write_answers(tmp_path / "tabulatedVotes.csv", ANSWERS))
    assert {key: answers.tolist() for key, answers in votes.items()} == {
        "crema_1001_DFA_ANG_XX": [1, 0, 0, 6, 0, 2],
        "crema_1002_IEO_SAD_LO": [5, 0, 5, 0, 0, 0],
    }
    assert HEARD == ("neutral", "happy", "sad", "angry", "fear", "disgust")


@pytest.mark.parametrize("name", ["tabulatedVotes.csv", "processedResults/tabulatedVotes.csv", "a/b/TABULATEDVOTES.CSV"])
def test_the_table_is_found_at_any_depth_and_in_any_case(tmp_path: Path, name: str) -> None:
    write_answers(tmp_path / name, ANSWERS)
    (tmp_path / "summaryTable.csv").write_text("something else\n")
    assert set(find_votes(tmp_path) or {}) == {ID, "crema_1002_IEO_SAD_LO"}


def test_no_table_means_no_votes(tmp_path: Path) -> None:
    (tmp_path / "._tabulatedVotes.csv").write_text("what macOS leaves")
    assert find_votes(tmp_path) is None


def test_links_are_followed_and_a_loop_ends(tmp_path: Path) -> None:
    write_answers(tmp_path / "elsewhere/tabulatedVotes.csv", ANSWERS)
    (tmp_path / "crema").mkdir()
    (tmp_path / "crema/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "crema/loop").symlink_to(tmp_path / "crema")
    assert len(find_votes(tmp_path / "crema") or {}) == 2


def test_an_archive_may_hold_the_table_twice_but_not_two_tables(tmp_path: Path) -> None:
    write_answers(tmp_path / "a/tabulatedVotes.csv", ANSWERS)
    write_answers(tmp_path / "b/tabulatedVotes.csv", ANSWERS)
    assert len(find_votes(tmp_path) or {}) == 2
    write_answers(tmp_path / "b/tabulatedVotes.csv", {CLIP: {"S": 9}})
    with pytest.raises(DataError, match="differ: keep one of them"):
        find_votes(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_a_byte_order_mark_and_an_old_encoding_do_not_matter(tmp_path: Path, encoding: str) -> None:
    path = write_answers(tmp_path / "tabulatedVotes.csv", ANSWERS)
    path.write_text(path.read_text().replace("agreement", "Übereinstimmung"), encoding=encoding)
    assert len(read_owners_table(path)) == 2


def test_rows_of_no_clip_are_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [row("voice", 1, CLIP, {"A": 3}), row("voice", 2, "1001_XXX_ANG_XX", {"A": 3}), row("voice", 3, "9999_DFA_ANG_XX", {"A": 3})]
    assert set(read_owners_table(write_owners_table(tmp_path / "tabulatedVotes.csv", rows))) == {ID}
    assert "2 row(s) do not name a clip of the corpus: 1001_XXX_ANG_XX, 9999_DFA_ANG_XX" in caplog.text


def test_equal_rows_and_clips_without_an_answer_do_not_matter(tmp_path: Path) -> None:
    rows = [row("voice", 1, CLIP, {"A": 3}), row("voice", 1, CLIP, {"A": 3}), row("voice", 2, "1002_DFA_ANG_XX", {})]
    assert set(read_owners_table(write_owners_table(tmp_path / "tabulatedVotes.csv", rows))) == {ID}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("voice", 1, CLIP, {"A": 3}), row("voice", 2, CLIP, {"A": 4})], f"two rows of {CLIP} differ"),
        ([row("voice", 1, CLIP, {"A": 3}) | {"numResponses": 4}], "do not add up"),
        ([row("voice", 1, CLIP, {"A": -3, "S": 6})], "do not add up"),
        ([row("voice", 1, CLIP, {"A": 3}) | {"S": "x"}], "invalid literal"),
        ([row("voice", 1, CLIP, {"A": 3}) | {"S": "9" * 30}], "too large"),
        ([row("voice", 1, CLIP, {"A": 3}) | {"": "7"}], "is not one of 1xxxxx, 2xxxxx, 3xxxxx"),
        ([row("face", 1, CLIP, {"A": 3})], "no vote on the voice"),
        ([], "no vote on the voice"),
    ],
)
def test_a_damaged_table_is_one_line_that_names_it(tmp_path: Path, rows: list[dict[str, str | int]], said: str) -> None:
    path = write_owners_table(tmp_path / "tabulatedVotes.csv", rows)
    with pytest.raises(DataError, match=said) as error:
        read_owners_table(path)
    assert str(error.value).startswith(f"{path} cannot be used (")
    assert "https://github.com/CheyneyComputerScience/CREMA-D" in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4057953\n", r"\(lacks the column\(s\) A, D, F, H, N, S"),
        (b"", r"\(lacks the column"),
        (b'"","A","D","F","H","N","S","fileName","numResponses"\n"100001",1\n', r"\(row 1: the number of cells"),
        (b'"","A","D","F","H","N","S","fileName","numResponses"\n"100001",1,0,0,0,0,0,"1001_DFA', r"\(is corrupted"),
        (b"\x00" * 100, r"\("),
    ],
)
def test_what_is_no_such_table_is_one_line_that_names_it(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "tabulatedVotes.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said) as error:
        find_votes(tmp_path)
    assert str(error.value).startswith(f"{path} cannot be used (")
    assert "\n" not in str(error.value)


def test_a_pipe_of_that_name_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tabulatedVotes.csv")
    with pytest.raises(DataError, match="not a regular file"):
        find_votes(tmp_path)


def test_any_corpus_may_have_a_table_of_votes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("savee", "tess", "ravdess"):
        (tmp_path / name).mkdir()
    for name, votes in (("savee", {"savee_DC_a01": counts(angry=3)}), ("tess", None), ("crema", {ID: counts(sad=1)})):
        table = VoteTable(lambda folder, votes=votes: votes, "ask")  # type: ignore[misc]
        monkeypatch.setitem(CORPORA, name, replace(CORPORA[name], votes=table))
    found = find_all(ProjectConfig(raw_dir=str(tmp_path)))
    assert {key: answers.tolist() for key, answers in found.items()} == {"savee_DC_a01": counts(angry=3).tolist()}
    assert how_to_get_votes().count("put it anywhere below") == 3


# -- votes.csv -------------------------------------------------------------------


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    votes = read_owners_table(write_answers(tmp_path / "tabulatedVotes.csv", ANSWERS))
    write_votes(tmp_path / "votes.csv", votes)
    found = read_votes(tmp_path / "votes.csv")
    assert {key: answers.tolist() for key, answers in found.items()} == {key: answers.tolist() for key, answers in votes.items()}
    first = read_table(tmp_path / "votes.csv", ("id", "n", *HEARD))[0]
    assert first == {"id": ID, "n": "9", "neutral": "1", "happy": "0", "sad": "0", "angry": "6", "fear": "0", "disgust": "2"}


def test_without_the_file_there_are_no_votes(tmp_path: Path) -> None:
    assert read_votes(tmp_path / "votes.csv") == {}


@pytest.mark.parametrize(
    "rows", ["a,2,1,0,0,0,0,0", "a,x,1,0,0,0,0,0", "a,0,0,0,0,0,0,0", "a,1,2,-1,0,0,0,0", "a,1,1,0,0,0,0,0\na,1,1,0,0,0,0,0", "a,1"]
)
def test_a_damaged_file_is_one_line(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "votes.csv"
    path.write_text(f"id,n,{','.join(HEARD)}\n{rows}\n")
    with pytest.raises(ArtefactError, match=r"votes\.csv"):
        read_votes(path)


# -- from answers to classes -----------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "merge", "expected"),
    [
        (HEARD, {}, [1, 2, 3, 4, 5, 6]),
        (("neutral", "calm", "sad"), {}, [1, 0, 3]),
        (("sad", "neutral"), {}, [3, 1]),
        (("neutral", "angry"), {"disgust": "angry", "sad": "neutral"}, [4, 10]),
        (("calm", "surprise"), {}, [0, 0]),
    ],
)
def test_answers_by_class(classes: tuple[str, ...], merge: dict[str, str], expected: list[int]) -> None:
    labels = LabelsConfig.model_validate({"merge": merge})
    assert on_classes(np.array([1, 2, 3, 4, 5, 6]), classes, labels).tolist() == expected


@given(answers=st.lists(st.lists(st.integers(0, 12), min_size=6, max_size=6), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_a_plurality_has_more_answers_than_any_other(answers: list[list[int]]) -> None:
    emotion, clear = plurality(np.array(answers))
    for row_counts, winner, alone in zip(answers, emotion, clear, strict=True):
        others = [count for index, count in enumerate(row_counts) if index != winner]
        assert row_counts[winner] >= max(others)
        assert alone == (row_counts[winner] > max(others))


def entry(utterance_id: str, label: int) -> Entry:
    return Entry(utterance_id, "crema", "crema/1001", "angry", label)


def test_targets_are_shares_of_answers_and_copies_follow_their_original() -> None:
    votes = {"a": counts(angry=6, disgust=3), "b": counts(fear=4)}
    entries = [entry("a", 3), entry(copy_id("a", 2), 3), entry("b", 0), entry("tess_OAF_back_sad", 2)]
    targets = vote_targets(entries, votes, HEARD, PLAIN)
    assert targets.dtype == np.float32
    np.testing.assert_allclose(targets[:2], [[0, 0, 0, 2 / 3, 0, 1 / 3]] * 2, rtol=1e-6)
    assert targets[2:].tolist() == [[0, 0, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0]]


def test_votes_on_what_is_no_class_are_left_out_and_where_nothing_is_left_the_label_stays() -> None:
    votes = {"a": counts(angry=2, disgust=3, sad=2), "b": counts(disgust=9)}
    targets = vote_targets([entry("a", 1), entry("b", 0)], votes, ("sad", "angry"), PLAIN)
    assert targets.tolist() == [[0.5, 0.5], [1, 0]]
    merged = vote_targets([entry("a", 1)], votes, ("sad", "angry"), LabelsConfig(merge={"disgust": "angry"}, keep=("sad", "angry")))
    np.testing.assert_allclose(merged, [[2 / 7, 5 / 7]], rtol=1e-6)


# -- the real table --------------------------------------------------------------


@real_tables
def test_rows_of_the_real_table_are_what_its_owners_call_the_vote_on_the_voice() -> None:
    """`summaryTable.csv` names the plurality for each clip, several letters where it is tied."""
    votes = read_owners_table(REAL / "tabulatedVotes.csv")
    summary = {f"crema_{line['FileName']}": line["VoiceVote"] for line in read_table(REAL / "summaryTable.csv", ("FileName", "VoiceVote"))}
    assert votes.keys() == summary.keys()
    assert len(votes) == 7442
    letters = dict(zip(HEARD, "NHSAFD", strict=True))
    for key, answers in votes.items():
        winners = {letters[emotion] for emotion, count in zip(HEARD, answers, strict=True) if count == answers.max()}
        assert winners == set(summary[key].split(":"))
