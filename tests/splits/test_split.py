"""Splits: who goes where, and what is refused."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from places import SHARED
from ser.config import LabelsConfig, SplitConfig
from ser.corpora.manifest import Manifest, Utterance
from ser.emotions import EMOTIONS, SHARED_EMOTIONS
from ser.errors import ArtefactError, DataError, LeakageError, SerError
from ser.splits.certificate import SPLIT_NAMES
from ser.splits.checks import speaker_independent
from ser.splits.split import Split, make_split, read_split, write_split

PROTOCOLS = SHARED / "protocols/published_protocols.json"
SIX = LabelsConfig(keep=SHARED_EMOTIONS)  # type: ignore[arg-type]


def utterance(corpus: str, speaker: str, emotion: str, name: str, gender: str = "female") -> Utterance:
    return Utterance(
        id=f"{corpus}_{name}",
        corpus=corpus,
        path=f"{corpus}/{name}.wav",
        speaker=f"{corpus}/{speaker}",
        gender=gender,
        emotion=emotion,
        source_label=emotion,
        intensity="",
        statement="",
        sample_rate=16_000,
        channels=1,
        num_samples=16_000,
        duration=1.0,
        audio_hash=f"hash of {corpus}_{name}",
    )


def clips(corpus: str, women: int, men: int, emotions: tuple[str, ...] = SHARED_EMOTIONS) -> list[Utterance]:
    """Every speaker says every emotion twice."""
    speakers = [(f"{number:02d}", "female" if number < women else "male") for number in range(women + men)]
    return [
        utterance(corpus, speaker, emotion, f"{speaker}_{emotion}_{take}", gender)
        for speaker, gender in speakers
        for emotion in emotions
        for take in "ab"
    ]


FOUR = Manifest(
    clips("crema", 43, 48)
    + clips("ravdess", 12, 12, EMOTIONS)
    + clips("savee", 0, 4, (*SHARED_EMOTIONS, "surprise"))
    + clips("tess", 2, 0, (*SHARED_EMOTIONS, "surprise"))
)


def speakers_of(split: Split, name: str, corpus: str) -> set[str]:
    return {entry.speaker for entry in split.splits[name] if entry.corpus == corpus}


def homes(split: Split) -> dict[str, str]:
    return {entry.id: name for name in SPLIT_NAMES for entry in split.splits[name]}


def test_the_four_corpora_are_divided_as_their_speakers_allow() -> None:
    split = make_split(FOUR, SplitConfig(), LabelsConfig())
    counts = {
        corpus: tuple(len(speakers_of(split, name, corpus)) for name in SPLIT_NAMES) for corpus in ("crema", "ravdess", "savee", "tess")
    }
    assert counts == {"crema": (60, 12, 19), "ravdess": (14, 4, 6), "savee": (2, 1, 1), "tess": (1, 0, 1)}
    assert len(homes(split)) == len(FOUR)
    assert speaker_independent(split.certificate)


def test_each_gender_gives_its_share() -> None:
    split = make_split(FOUR, SplitConfig(), LabelsConfig())
    gender = {clip.speaker: clip.gender for clip in FOUR}
    for name, ravdess, crema in (("val", (2, 4), (6, 12)), ("test", (3, 6), (9, 19))):
        for corpus, expected in (("ravdess", ravdess), ("crema", crema)):
            women = [gender[speaker] == "female" for speaker in speakers_of(split, name, corpus)]
            assert (sum(women), len(women)) == expected


@pytest.mark.parametrize(("speakers", "expected"), [(2, (1, 0, 1)), (3, (1, 1, 1)), (4, (2, 1, 1)), (5, (3, 1, 1)), (10, (7, 1, 2))])
def test_small_corpora(speakers: int, expected: tuple[int, int, int]) -> None:
    split = make_split(Manifest(clips("savee", speakers, 0)), SplitConfig(), SIX)
    assert tuple(len(speakers_of(split, name, "savee")) for name in SPLIT_NAMES) == expected


def test_a_corpus_with_one_speaker_trains() -> None:
    split = make_split(Manifest(clips("savee", 1, 0) + clips("crema", 3, 3)), SplitConfig(), SIX)
    assert speakers_of(split, "train", "savee") == {"savee/00"}


@given(
    women=st.integers(0, 12),
    men=st.integers(0, 12),
    val_share=st.floats(0.01, 0.49),
    test_share=st.floats(0.01, 0.49),
    seed=st.integers(0, 99),
)
@settings(max_examples=50, deadline=None)
def test_from_three_speakers_on_every_split_has_one(women: int, men: int, val_share: float, test_share: float, seed: int) -> None:
    if women + men < 3:
        return
    config = SplitConfig(val_share=val_share, test_share=test_share, seed=seed)
    split = make_split(Manifest(clips("crema", women, men)), config, SIX)
    sets = [speakers_of(split, name, "crema") for name in SPLIT_NAMES]
    assert all(sets)
    assert sum(map(len, sets)) == women + men
    assert not any(a & b for a, b in combinations(sets, 2))


def test_a_corpus_more_or_less_changes_no_other_corpus() -> None:
    alone = homes(make_split(FOUR.select(corpus="ravdess"), SplitConfig(), LabelsConfig()))
    together = homes(make_split(FOUR, SplitConfig(), LabelsConfig()))
    assert alone.items() <= together.items()


def test_fewer_classes_leave_every_speaker_where_he_was() -> None:
    eight = homes(make_split(FOUR, SplitConfig(), LabelsConfig()))
    six = homes(make_split(FOUR, SplitConfig(), SIX))
    assert six.items() < eight.items()


def test_the_seed_decides() -> None:
    first, again, other = (homes(make_split(FOUR, SplitConfig(seed=seed), LabelsConfig())) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_drawing_never_changes() -> None:
    """Results of one release stay comparable with those of the next: change this only with the name of the rule."""
    split = make_split(FOUR, SplitConfig(), LabelsConfig())
    assert speakers_of(split, "test", "ravdess") == {f"ravdess/{actor}" for actor in ("03", "05", "10", "14", "16", "23")}
    assert speakers_of(split, "test", "tess") == {"tess/00"}


def test_labels_are_merged_then_kept_and_numbered_in_vocabulary_order() -> None:
    labels = LabelsConfig(merge={"calm": "neutral"}, keep=("angry", "neutral", "sad"))
    split = make_split(FOUR.select(corpus="ravdess"), SplitConfig(), labels)
    assert split.classes == ("neutral", "sad", "angry")
    entries = [entry for rows in split.splits.values() for entry in rows]
    assert {(entry.emotion, entry.label) for entry in entries} == {("neutral", 0), ("sad", 1), ("angry", 2)}
    assert {entry.emotion for entry in entries if "_calm_" in entry.id} == {"neutral"}
    assert len(entries) == 24 * 2 * 4


def test_an_emotion_that_is_merged_away_is_no_class() -> None:
    split = make_split(FOUR, SplitConfig(), LabelsConfig(merge={"calm": "neutral"}))
    assert split.classes == tuple(emotion for emotion in EMOTIONS if emotion != "calm")


def test_explicit_speakers_go_where_they_are_sent() -> None:
    config = SplitConfig(
        rule="explicit-speakers",
        corpora=("ravdess",),
        val_speakers=("ravdess/20", "ravdess/21"),
        test_speakers=("ravdess/22", "ravdess/23"),
    )
    split = make_split(FOUR, config, LabelsConfig(merge={"calm": "neutral"}))
    assert speakers_of(split, "val", "ravdess") == {"ravdess/20", "ravdess/21"}
    assert speakers_of(split, "test", "ravdess") == {"ravdess/22", "ravdess/23"}
    assert len(speakers_of(split, "train", "ravdess")) == 20
    assert {entry.corpus for rows in split.splits.values() for entry in rows} == {"ravdess"}


def test_explicit_ids_go_where_they_are_sent() -> None:
    test_ids = tuple(clip.id for clip in FOUR.select(corpus="tess") if clip.id.endswith("_a"))
    split = make_split(
        FOUR, SplitConfig(rule="explicit-ids", kind="sample-disjoint", corpora=("tess",), test_ids=test_ids), LabelsConfig(keep=SIX.keep)
    )
    assert set(split.ids("test")) == {i for i in test_ids if "surprise" not in i}
    assert not split.splits["val"]
    assert not speaker_independent(split.certificate)


def test_random_draws_its_share_of_every_corpus_and_class() -> None:
    manifest = Manifest(clips("crema", 10, 10))
    split = make_split(manifest, SplitConfig(rule="random", kind="sample-disjoint", val_share=0.2, test_share=0.1), SIX)
    for label in range(6):
        assert [sum(entry.label == label for entry in split.splits[name]) for name in SPLIT_NAMES] == [28, 8, 4]
    assert not speaker_independent(split.certificate)


def explicit(**lists: Any) -> SplitConfig:
    rule = "explicit-ids" if any(key.endswith("ids") for key in lists) else "explicit-speakers"
    return SplitConfig(**{"rule": rule, "kind": "none", **lists})


@pytest.mark.parametrize(
    ("config", "labels", "error", "said"),
    [
        (explicit(test_speakers=("ravdess/99",)), SIX, DataError, r"1 unknown speaker\(s\): ravdess/99; nearest to ravdess/99 is ravdess/"),
        (
            explicit(test_ids=("crema_00_sat_a",)),
            SIX,
            DataError,
            r"1 unknown id\(s\): crema_00_sat_a; nearest to crema_00_sat_a is crema_00_sad_a",
        ),
        (explicit(val_speakers=("tess/00",)), SIX, DataError, "leaves test empty"),
        (explicit(corpora=("tess",), test_speakers=("tess/00", "tess/01")), SIX, DataError, "leaves train empty"),
        (explicit(test_ids=("tess_00_sad_a",), kind="speaker-disjoint"), SIX, LeakageError, r"train and test share 1 speakers \(tess/00\)"),
        (
            SplitConfig(corpora=("crema",)),
            LabelsConfig(missing="error"),
            DataError,
            "no clip of calm and surprise in crema, and|labels.missing",
        ),
        (SplitConfig(), LabelsConfig(keep=("calm", "sad"), merge={"calm": "sad"}), DataError, "leave 1 class"),
        (SplitConfig(corpora=("crema",)), LabelsConfig(keep=("calm", "surprise")), DataError, "nothing to split"),
    ],
)
def test_what_cannot_be_split_is_said(config: SplitConfig, labels: LabelsConfig, error: type[SerError], said: str) -> None:
    with pytest.raises(error, match=said):
        make_split(FOUR, config, labels)


@pytest.mark.parametrize(
    ("manifest", "config", "said"),
    [
        (Manifest([]), SplitConfig(), "nothing to split"),
        (Manifest(clips("tess", 2, 0)), SplitConfig(corpora=("savee",)), "has savee, but the manifest has only tess"),
        (Manifest(clips("savee", 1, 0)), SplitConfig(), "leaves test empty: no corpus here has two speakers .savee/00.*split.rule=random"),
    ],
)
def test_a_manifest_that_is_too_small_is_said(manifest: Manifest, config: SplitConfig, said: str) -> None:
    with pytest.raises(DataError, match=said):
        make_split(manifest, config, SIX)


def test_listed_ids_that_were_screened_out_are_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    config = explicit(test_ids=("crema_00_sad_a", "crema_00_silent", "crema_01_silent"))
    with caplog.at_level(logging.WARNING):
        split = make_split(FOUR, config, SIX, skipped_ids={"crema_00_silent", "crema_01_silent"})
    assert split.ids("test") == ("crema_00_sad_a",)
    assert "2 listed id(s) were screened out" in caplog.text
    with pytest.raises(DataError, match=r"1 unknown id\(s\): crema_01_silent"):
        make_split(FOUR, config, SIX, skipped_ids={"crema_00_silent"})


def test_listed_ids_of_an_emotion_that_is_not_kept_are_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        split = make_split(FOUR, explicit(test_ids=("ravdess_00_calm_a", "ravdess_00_sad_a")), SIX)
    assert split.ids("test") == ("ravdess_00_sad_a",)
    assert "1 listed id(s) have another emotion or corpus" in caplog.text


def test_a_class_that_test_lacks_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        make_split(FOUR, explicit(test_speakers=("crema/00",)), LabelsConfig())
    assert "test has no clip of calm, surprise" in caplog.text
    assert "leaves val empty" in caplog.text


def test_a_corpus_with_two_speakers_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        make_split(FOUR, SplitConfig(), LabelsConfig())
    assert "tess has 2 speaker(s): none of them is in val" in caplog.text


def test_equal_samples_in_two_splits_are_refused() -> None:
    all_clips = clips("crema", 3, 0)
    last = all_clips[-1]
    doubled = Manifest([*(replace(clip, audio_hash="equal") if clip.speaker != last.speaker else clip for clip in all_clips)])
    with pytest.raises(LeakageError, match="share 1 samples"):
        make_split(doubled, SplitConfig(), SIX)


def test_a_stored_split_is_read_as_it_was(tmp_path: Path) -> None:
    split = make_split(FOUR, SplitConfig(), LabelsConfig())
    write_split(tmp_path, split)
    assert read_split(tmp_path, FOUR) == split
    assert (tmp_path / "test.csv").read_text().splitlines()[0] == "id,corpus,speaker,emotion,label"
    assert json.loads((tmp_path / "leakage.json").read_text())["kind"] == "speaker-disjoint"


def test_an_empty_val_is_read_as_it_was(tmp_path: Path) -> None:
    split = make_split(FOUR.select(corpus="tess"), SplitConfig(), LabelsConfig(keep=SIX.keep))
    write_split(tmp_path, split)
    assert read_split(tmp_path, FOUR).splits["val"] == ()


@pytest.mark.parametrize("name", ["train.csv", "val.csv", "test.csv", "leakage.json"])
def test_a_missing_file_says_which_step_writes_it(tmp_path: Path, name: str) -> None:
    write_split(tmp_path, make_split(FOUR, SplitConfig(), LabelsConfig()))
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=f"lacks {name}: run the extract step first"):
        read_split(tmp_path, FOUR)


def drop_last_row(text: str) -> str:
    return text.rsplit("\n", 2)[0] + "\n"


@pytest.mark.parametrize(
    ("edit", "error", "said"),
    [
        (drop_last_row, LeakageError, "test.csv differs from its certificate in "),
        (lambda text: text.replace(",happy,2", ",sad,3", 1), LeakageError, "test.csv was edited"),
        (lambda text: text.replace(",happy,2", ",happy,two", 1), ArtefactError, "a label is not a number"),
        (lambda text: text.replace("emotion,", "feeling,", 1), ArtefactError, r"lacks the column\(s\) emotion"),
    ],
)
def test_an_edited_table_is_noticed(tmp_path: Path, edit: Callable[[str], str], error: type[SerError], said: str) -> None:
    write_split(tmp_path, make_split(FOUR, SplitConfig(), LabelsConfig()))
    path = tmp_path / "test.csv"
    path.write_text(edit(path.read_text()))
    with pytest.raises(error, match=said):
        read_split(tmp_path, FOUR)


def published_clips(protocol: dict[str, Any]) -> list[Utterance]:
    """Clips enough for every speaker and file that a protocol names, and some to train on."""
    corpus = protocol["corpus"]
    speakers = {name for fold in protocol["folds"] for name in (*fold.get("test_speakers", ()), *fold.get("val_speakers", ()))}
    files = {name for fold in protocol["folds"] for name in fold.get("test_files", ())}
    named = [utterance(corpus, name.split("_")[0], SHARED_EMOTIONS[number % 6], name) for number, name in enumerate(sorted(files))]
    others = sorted({clip.speaker.split("/")[1] for clip in named} | speakers | {"others"})
    return named + [utterance(corpus, speaker, emotion, f"{speaker}_{emotion}_train") for speaker in others for emotion in SHARED_EMOTIONS]


@pytest.mark.skipif(not PROTOCOLS.exists(), reason="the published protocols are not here")
def test_every_published_fold_can_be_written_as_a_config() -> None:
    for protocol in json.loads(PROTOCOLS.read_text()).values():
        corpus, manifest = protocol["corpus"], Manifest(published_clips(protocol))
        for fold in protocol["folds"]:
            lists = {key: tuple(f"{corpus}/{name}" for name in fold[key]) for key in ("val_speakers", "test_speakers") if key in fold}
            if "test_files" in fold:
                lists = {"test_ids": tuple(f"{corpus}_{name}" for name in fold["test_files"])}
            kind = "speaker-disjoint" if protocol["speaker_independent"] else "sample-disjoint"
            split = make_split(manifest, explicit(kind=kind, corpora=(corpus,), **lists), SIX)
            assert speaker_independent(split.certificate) == protocol["speaker_independent"]
            if "test_files" in fold:
                assert len(split.splits["test"]) == fold["n_test"]
            else:
                assert speakers_of(split, "test", corpus) == set(lists["test_speakers"])
                assert speakers_of(split, "val", corpus) == set(lists.get("val_speakers", ()))
