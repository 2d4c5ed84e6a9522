"""The leakage certificate: what it notices."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ser.config import LabelsConfig, SplitConfig
from ser.corpora.manifest import Manifest, Utterance, original_id
from ser.errors import ArtefactError, LeakageError
from ser.splits.certificate import Certificate, Entry, certify, made_from, read_certificate, write_certificate
from ser.splits.checks import check, check_ids, record_statistic, speaker_independent

LABELS = LabelsConfig(keep=("neutral", "happy"))
CLASSES = ("neutral", "happy")


def clip(name: str, speaker: str, audio_hash: str = "") -> Utterance:
    sizes: dict[str, Any] = {"sample_rate": 16_000, "channels": 1, "num_samples": 16_000, "duration": 1.0}
    facts: dict[str, Any] = {"source_label": "happy", "intensity": "", "statement": "", "gender": "male"}
    return Utterance(
        id=name, corpus="savee", path=f"{name}.wav", speaker=speaker, emotion="happy", audio_hash=audio_hash or name, **facts, **sizes
    )


def entry(utterance_id: str, speaker: str) -> Entry:
    return Entry(utterance_id, "savee", speaker, "happy", 1)


Rows = dict[str, tuple[Entry, ...]]

ROWS: Rows = {
    "train": (entry("a1", "savee/A"), entry("a2", "savee/A")),
    "val": (entry("b1", "savee/B"),),
    "test": (entry("c1", "savee/C"),),
}
MANIFEST = Manifest([clip("a1", "savee/A"), clip("a2", "savee/A"), clip("b1", "savee/B"), clip("c1", "savee/C")])


def certificate_of(rows: Rows = ROWS, manifest: Manifest = MANIFEST, **config: Any) -> Certificate:
    return certify(rows, CLASSES, SplitConfig(**config), LABELS, manifest)


def changed(utterance_id: str, **values: Any) -> Manifest:
    return Manifest(replace(one, **values) if one.id == utterance_id else one for one in MANIFEST)


def test_it_states_the_facts_of_each_split() -> None:
    certificate = certificate_of()
    check(certificate, ROWS, MANIFEST)
    train = certificate.splits["train"]
    assert (train.n, train.speakers, train.samples) == (2, ("savee/A",), {"a1": "a1", "a2": "a2"})
    assert speaker_independent(certificate)


def test_it_knows_the_configs_it_was_made_from() -> None:
    certificate = certificate_of()
    assert made_from(certificate, SplitConfig(), LABELS)
    assert not made_from(certificate, SplitConfig(seed=1), LABELS)
    assert not made_from(certificate, SplitConfig(), LabelsConfig())


SPEAKER_ON_BOTH_SIDES: Rows = {**ROWS, "train": ROWS["train"][:1], "test": (*ROWS["test"], ROWS["train"][1])}
CLIP_ON_BOTH_SIDES: Rows = {**ROWS, "test": (*ROWS["test"], ROWS["train"][1])}


@pytest.mark.parametrize(("kind", "holds"), [("speaker-disjoint", False), ("sample-disjoint", True), ("none", True)])
def test_a_speaker_on_both_sides_breaks_only_speaker_disjoint(kind: str, holds: bool) -> None:
    certificate = certificate_of(SPEAKER_ON_BOTH_SIDES, kind=kind)
    assert not speaker_independent(certificate)
    if holds:
        check(certificate, SPEAKER_ON_BOTH_SIDES, MANIFEST)
    else:
        with pytest.raises(LeakageError, match=r"train and test share 1 speakers \(savee/A\), declared speaker-disjoint"):
            check(certificate, SPEAKER_ON_BOTH_SIDES, MANIFEST)


@pytest.mark.parametrize(("kind", "holds"), [("speaker-disjoint", False), ("sample-disjoint", False), ("none", True)])
def test_equal_samples_on_both_sides_break_every_promise(kind: str, holds: bool) -> None:
    manifest = changed("c1", audio_hash="b1")
    certificate = certificate_of(manifest=manifest, kind=kind)
    assert not speaker_independent(certificate)
    if holds:
        check(certificate, ROWS, manifest)
    else:
        with pytest.raises(LeakageError, match=r"val and test share 1 samples \(b1\)"):
            check(certificate, ROWS, manifest)


def test_a_clip_on_both_sides_is_always_refused() -> None:
    with pytest.raises(LeakageError, match=r"the augmented copy a2|share 1 clips"):
        check(certificate_of(CLIP_ON_BOTH_SIDES, kind="none"), CLIP_ON_BOTH_SIDES, MANIFEST)


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (Manifest(one for one in MANIFEST if one.id != "c1"), "test has c1, which the manifest no longer has"),
        (changed("c1", audio_hash="other"), r"the samples of c1 \(test\) have changed"),
        (changed("c1", speaker="savee/A"), "the speakers of test are not those of its certificate"),
    ],
)
def test_a_manifest_that_has_changed_is_noticed(manifest: Manifest, said: str) -> None:
    with pytest.raises(LeakageError, match=said):
        check(certificate_of(), ROWS, manifest)


def test_clips_that_came_later_do_not_break_it() -> None:
    check(certificate_of(), ROWS, Manifest([*MANIFEST, clip("d1", "savee/D")]))


def test_rows_that_moved_are_noticed() -> None:
    moved = {**ROWS, "train": ROWS["train"][:1], "val": (*ROWS["val"], ROWS["train"][1])}
    with pytest.raises(LeakageError, match=r"train\.csv differs from its certificate in a2"):
        check(certificate_of(), moved, MANIFEST)


def test_statistics_fitted_on_train_are_recorded_and_hold() -> None:
    certificate = record_statistic(certificate_of(), "normaliser", "train", ["a2", "a1", "a1~1"])
    check(certificate, ROWS, MANIFEST)
    assert [(one.what, one.fitted_on, one.n) for one in certificate.statistics] == [("normaliser", "train", 3)]
    assert certificate.digest != certificate_of().digest


def test_a_statistic_that_is_fitted_again_replaces_the_first() -> None:
    once = record_statistic(certificate_of(), "normaliser", "train", ["a1"])
    other = record_statistic(record_statistic(once, "temperature", "val", ["b1"]), "normaliser", "train", ["a1", "a2"])
    assert [(one.what, one.n) for one in other.statistics] == [("temperature", 1), ("normaliser", 2)]


def test_the_digest_of_the_split_does_not_depend_on_what_was_fitted_on_it() -> None:
    """Several configs fit their normalisers on one split; a run of one of them goes on whatever the others do."""
    certificate = certificate_of()
    more = record_statistic(record_statistic(certificate, "normaliser-a", "train", ["a1"]), "normaliser-b", "train", ["a1", "a2"])
    assert [one.what for one in more.statistics] == ["normaliser-a", "normaliser-b"]
    assert more.split_digest == certificate.split_digest
    assert more.digest != certificate.digest


def test_the_digest_of_the_split_depends_on_all_else() -> None:
    other_audio = changed("b1", audio_hash="other")
    certificates = [
        certificate_of(),
        certificate_of(seed=7),
        certificate_of(kind="none"),
        certificate_of(manifest=other_audio),
        certificate_of({**ROWS, "train": ROWS["train"][:1]}),
    ]
    assert len({certificate.split_digest for certificate in certificates}) == len(certificates)


@pytest.mark.parametrize(
    ("what", "fitted_on", "ids", "said"),
    [
        ("normaliser", "test", ["c1"], "normaliser was fitted on test, which leaks"),
        ("normaliser", "val", ["b1"], "normaliser was fitted on val, which leaks"),
        ("temperature", "test", ["c1"], "temperature was fitted on test"),
        ("normaliser", "train", ["a1", "c1"], "c1 is used as train, but belongs to test"),
        ("normaliser", "train", ["a1", "b1~2"], "b1~2 is used as train, but belongs to val"),
        ("normaliser", "train", ["unknown"], "unknown is used as train, but is not in the split"),
    ],
)
def test_a_statistic_that_leaks_is_refused(what: str, fitted_on: str, ids: list[str], said: str) -> None:
    with pytest.raises(LeakageError, match=said):
        record_statistic(certificate_of(), what, fitted_on, ids)


def test_a_leaking_statistic_in_a_stored_certificate_is_refused() -> None:
    good = record_statistic(certificate_of(), "normaliser", "train", ["a1"])
    leaking = good.model_copy(update={"statistics": (good.statistics[0].model_copy(update={"fitted_on": "test"}),)})
    with pytest.raises(LeakageError, match="normaliser was fitted on test"):
        check(leaking, ROWS, MANIFEST)


def test_copies_follow_their_originals() -> None:
    check_ids(certificate_of(), "train", ["a1", "a1~1", "a2~12"])
    with pytest.raises(LeakageError, match="c1~1 is used as train, but belongs to test"):
        check_ids(certificate_of(), "train", ["c1~1"])


@pytest.mark.parametrize(("home", "holds"), [("test", True), ("train", False)])
def test_a_copy_in_the_tables_stands_beside_its_original(home: str, holds: bool) -> None:
    rows = {**ROWS, home: (*ROWS[home], entry("c1~1", "savee/C"))}
    certificate = certificate_of(rows, kind="none")
    if holds:
        check(certificate, rows, MANIFEST)
    else:
        with pytest.raises(LeakageError, match="the augmented copy c1~1 is in train, its original is in test"):
            check(certificate, rows, MANIFEST)


@pytest.mark.parametrize(("name", "original"), [("a~1", "a"), ("a~12", "a"), ("a~b", "a~b"), ("a~", "a~"), ("a", "a"), ("a~1~2", "a~1")])
def test_original_id(name: str, original: str) -> None:
    assert original_id(name) == original


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    certificate = record_statistic(certificate_of(), "normaliser", "train", ["a1"])
    write_certificate(tmp_path / "leakage.json", certificate)
    assert read_certificate(tmp_path / "leakage.json") == certificate
    assert json.loads((tmp_path / "leakage.json").read_text())["digest"] == certificate.digest


def edited(path: Path, **values: Any) -> Path:
    write_certificate(path, certificate_of())
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return path


def test_an_edited_certificate_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(LeakageError, match="checksum mismatch"):
        read_certificate(edited(tmp_path / "leakage.json", kind="none"))


@pytest.mark.parametrize("values", [{"kind": "sealed"}, {"schema_version": 2}, {"splits": {}}, {"statistics": None}, {"more": 1}])
def test_something_else_is_no_certificate(tmp_path: Path, values: dict[str, Any]) -> None:
    with pytest.raises(ArtefactError, match="not a leakage certificate"):
        read_certificate(edited(tmp_path / "leakage.json", **values))


@pytest.mark.parametrize("text", ["[]", "{}", "1", "null", "{", '{"digest": NaN}', "[" * 200_000])
def test_a_damaged_certificate_is_no_certificate(tmp_path: Path, text: str) -> None:
    (tmp_path / "leakage.json").write_text(text)
    with pytest.raises(ArtefactError):
        read_certificate(tmp_path / "leakage.json")
