"""The manifest comes back as it was written, and refuses what would mislead later steps."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.corpora.manifest import COLUMNS, Manifest, Utterance, read_manifest, write_manifest
from ser.emotions import EMOTIONS
from ser.errors import ArtefactError, DataError

UTTERANCE = Utterance(
    id="tess_OAF_back_fear",
    corpus="tess",
    path="tess/OAF_Fear/OAF_back_fear.wav",
    speaker="tess/OAF",
    gender="female",
    emotion="fear",
    source_label="fear",
    intensity="",
    statement="back",
    sample_rate=24_414,
    channels=1,
    num_samples=43_945,
    duration=1.8,
    audio_hash="00ff",
)

TEXT = st.text(max_size=8)
UTTERANCES = st.builds(
    Utterance,
    id=TEXT,
    corpus=TEXT,
    path=TEXT,
    speaker=TEXT,
    gender=st.sampled_from(["female", "male", ""]),
    emotion=st.sampled_from(EMOTIONS),
    source_label=TEXT,
    intensity=TEXT,
    statement=TEXT,
    sample_rate=st.integers(4_000, 192_000),
    channels=st.integers(1, 8),
    num_samples=st.integers(0, 2**40),
    duration=st.floats(0, 1e6),
    audio_hash=TEXT,
)


@settings(max_examples=40, deadline=None)
@given(utterances=st.lists(UTTERANCES, max_size=4, unique_by=lambda utterance: utterance.id))
def test_any_manifest_comes_back(tmp_path_factory: pytest.TempPathFactory, utterances: list[Utterance]) -> None:
    path = tmp_path_factory.getbasetemp() / "manifest.csv"
    write_manifest(path, Manifest(utterances))
    assert list(read_manifest(path)) == list(Manifest(utterances))


def test_the_columns_are_the_contract() -> None:
    assert " ".join(COLUMNS) == (
        "id corpus path speaker gender emotion source_label intensity statement sample_rate channels num_samples duration audio_hash"
    )


def test_the_order_is_that_of_the_ids_however_they_came() -> None:
    b, a = replace(UTTERANCE, id="b"), replace(UTTERANCE, id="a")
    assert list(Manifest([b, a])) == list(Manifest([a, b])) == [a, b]


def test_an_utterance_is_found_by_its_id() -> None:
    manifest = Manifest([UTTERANCE])
    assert manifest["tess_OAF_back_fear"] is UTTERANCE
    assert "tess_OAF_back_fear" in manifest
    assert "savee_DC_a01" not in manifest
    assert len(manifest) == 1


def test_select_asks_for_every_value() -> None:
    sad = replace(UTTERANCE, id="b", emotion="sad")
    manifest = Manifest([UTTERANCE, sad])
    assert list(manifest.select(corpus="tess", emotion="sad")) == [sad]
    assert list(manifest.select()) == list(manifest)
    assert not len(manifest.select(corpus="savee", emotion="sad"))


def test_an_id_twice_is_an_error() -> None:
    with pytest.raises(DataError, match="tess_OAF_back_fear twice"):
        Manifest([UTTERANCE, replace(UTTERANCE, emotion="sad")])


def test_an_emotion_outside_the_vocabulary_is_an_error() -> None:
    with pytest.raises(DataError, match="'pleasant surprise' is not one of neutral, calm"):
        Manifest([replace(UTTERANCE, emotion="pleasant surprise")])


def test_without_a_manifest_the_message_names_the_step_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run the extract step first"):
        read_manifest(tmp_path / "manifest.csv")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("24414", "24 kHz", "'tess_OAF_back_fear' cannot be read"),
        ("24414", "24414.0", "'tess_OAF_back_fear' cannot be read"),
        ("24414,1,", "24414,0,", "'tess_OAF_back_fear' cannot be read"),
        ("1.8", "", "'tess_OAF_back_fear' cannot be read"),
        ("1.8", "-1.8", "'tess_OAF_back_fear' cannot be read"),
        ("1.8", "nan", "'tess_OAF_back_fear' cannot be read"),
        (",1.8,", ",", "number of cells"),
        ("audio_hash", "hash", r"lacks the column\(s\) audio_hash"),
        (",fear,fear,", ",joy,fear,", r"manifest\.csv.*'joy' is not one of"),
    ],
)
def test_a_damaged_manifest_is_an_error_that_names_the_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "manifest.csv"
    write_manifest(path, Manifest([UTTERANCE]))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ArtefactError, match=message):
        read_manifest(path)


def test_a_row_twice_in_a_file_is_a_damaged_manifest_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    write_manifest(path, Manifest([UTTERANCE]))
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    with pytest.raises(ArtefactError, match=r"manifest\.csv.*twice"):
        read_manifest(path)
