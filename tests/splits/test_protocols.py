"""The registry: published folds as published, ours as their rule says, none changed without a new version."""

import json
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from places import ROOT
from ser.config import SplitConfig
from ser.corpora.manifest import read_manifest
from ser.corpora.registry import CORPORA
from ser.emotions import EMOTIONS, SHARED_EMOTIONS
from ser.errors import ArtefactError, ConfigError
from ser.splits.protocols import CELL, FILE, Fold, Protocol, find_protocol, read_protocols
from ser.splits.split import make_split

SHARED = ROOT.parent / "shared" / "protocols" / "published_protocols.json"
PROCESSED = ROOT / "data" / "processed"
PROTOCOLS = read_protocols()
FOLDS = [pytest.param(protocol, fold, id=f"{protocol.name}-{fold.name}") for protocol in PROTOCOLS.values() for fold in protocol.folds]
WITHOUT_CALM = tuple(emotion for emotion in EMOTIONS if emotion != "calm")


def speakers_of(*corpora: str) -> set[str]:
    return {f"{corpus}/{name}" for corpus in corpora for name in CORPORA[corpus].speakers}


@pytest.mark.parametrize(("protocol", "fold"), FOLDS)
def test_every_listed_speaker_exists_and_stands_in_one_part_only(protocol: Protocol, fold: Fold) -> None:
    assert {*fold.val_speakers, *fold.test_speakers} <= speakers_of(*fold.corpora)
    assert not {*fold.val_speakers} & {*fold.test_speakers}
    assert not {*fold.val_ids} & {*fold.test_ids}
    assert fold.by_id == (protocol.speakers == "shared")
    fold.split(protocol.split_name(fold))  # a name that a folder may have, and lists that fit their rule


@pytest.mark.parametrize("name", ["kfold5", "crema/kfold5", "ravdess/kfold5", "crema/peft-ser", "ravdess/emobox", "ravdess/luna-jimenez"])
def test_the_folds_test_every_speaker_once(name: str) -> None:
    tested = Counter(speaker for fold in PROTOCOLS[name].folds for speaker in fold.test_speakers)
    assert tested == Counter(speakers_of(*PROTOCOLS[name].corpora))


@pytest.mark.parametrize("corpus", CORPORA)
def test_leave_one_speaker_out_tests_each_alone(corpus: str) -> None:
    assert [fold.test_speakers for fold in PROTOCOLS[f"{corpus}/loso"].folds] == [
        (f"{corpus}/{name}",) for name in CORPORA[corpus].speakers
    ]


def test_leave_one_corpus_out_keeps_the_classes_that_both_sides_have() -> None:
    folds = {fold.name: fold for fold in PROTOCOLS["leave-one-corpus-out"].folds}
    assert folds.keys() == CORPORA.keys()
    for corpus, fold in folds.items():
        assert set(fold.test_speakers) == speakers_of(corpus)
        assert fold.labels.keep == (SHARED_EMOTIONS if corpus == "crema" else WITHOUT_CALM)


def test_the_matrix_has_each_pair_of_corpora_with_the_classes_of_both() -> None:
    matrix = PROTOCOLS["cross-corpus"]
    assert {fold.name for fold in matrix.folds} == {f"{a}{CELL}{b}" for a in CORPORA for b in CORPORA}
    classes = {corpus: {label.emotion for label in facts.labels.values()} for corpus, facts in CORPORA.items()}
    for fold in matrix.folds:
        source, target = fold.name.split(CELL)
        assert set(fold.labels.keep) == classes[source] & classes[target]
        assert set(fold.test_speakers) <= speakers_of(target)
        assert source == target or set(fold.test_speakers) == speakers_of(target)


PUBLISHED_COUNTS = [
    ("ravdess/emobox", 6, (1200, 240)),
    ("savee/emobox", 4, (360, 120)),
    ("crema/emobox", 1, (5586, 1856)),
    ("tess/emobox", 1, (2100, 700)),
    ("crema/audeering", 1, (4573 + 1476, 1393)),
]


@pytest.mark.parametrize(("name", "folds", "counts"), PUBLISHED_COUNTS)
def test_published_counts_stand_beside_ours_which_lack_what_screening_skips(name: str, folds: int, counts: tuple[int, int]) -> None:
    assert len(PROTOCOLS[name].folds) == folds
    for fold in PROTOCOLS[name].folds:
        assert fold.published is not None
        assert (fold.published.train, fold.published.test) == counts
        assert 0 <= counts[0] - fold.counts.train - fold.counts.val <= 7
        assert 0 <= counts[1] - fold.counts.test <= 2


def test_no_two_protocols_share_name_folder_or_checksum() -> None:
    for one, other in combinations(PROTOCOLS.values(), 2):
        assert one.slug != other.slug
        assert one.checksum != other.checksum
        assert not {one.split_name(fold) for fold in one.folds} & {other.split_name(fold) for fold in other.folds}


def test_a_changed_fold_does_not_fit_its_checksum(tmp_path: Path) -> None:
    content = json.loads(FILE.read_text(encoding="utf-8"))
    content["protocols"][0]["folds"][0]["test_speakers"].pop()
    (tmp_path / "protocols.json").write_text(json.dumps(content))
    with pytest.raises(ArtefactError, match="the folds of holdout do not match its checksum"):
        read_protocols(tmp_path / "protocols.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"protocols": [1]}', '{"protocols": [{"name": "x"}]}'])
def test_a_damaged_file_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "protocols.json").write_text(text)
    with pytest.raises(ArtefactError) as caught:
        read_protocols(tmp_path / "protocols.json")
    assert "\n" not in str(caught.value)


def test_a_name_that_is_nearly_right_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean ravdess/emobox"):
        find_protocol("ravdes/emobox")
    with pytest.raises(ConfigError, match="folds: DC, JE, JK, KL"):
        find_protocol("savee/loso").choose(["DX"])


def test_folds_are_chosen_in_the_order_of_the_protocol() -> None:
    assert [fold.name for fold in find_protocol("savee/loso").choose(["KL", "DC"])] == ["DC", "KL"]


needs_published = pytest.mark.skipif(not SHARED.exists(), reason="the published folds as their authors give them are not here")
needs_corpora = pytest.mark.skipif(not (PROCESSED / "manifest.csv").exists(), reason="needs the manifest of the complete corpora")


@needs_published
@pytest.mark.parametrize("name", [name for name in PROTOCOLS if "/" in name and not name.endswith("kfold5") and not name.endswith("loso")])
def test_the_test_sides_are_those_that_were_published(name: str) -> None:
    stated = json.loads(SHARED.read_text())[name]
    assert len(stated["folds"]) == len(PROTOCOLS[name].folds)
    for fold, published in zip(PROTOCOLS[name].folds, stated["folds"], strict=True):
        corpus = stated["corpus"]
        assert set(fold.test_speakers) == {f"{corpus}/{speaker}" for speaker in published.get("test_speakers", [])}
        assert set(fold.test_ids) == {f"{corpus}_{file}" for file in published.get("test_files", [])}
        if "val_speakers" in published:
            assert set(fold.val_speakers) == {f"{corpus}/{speaker}" for speaker in published["val_speakers"]}


@needs_corpora
def test_the_holdout_is_the_split_of_the_shipped_configs() -> None:
    (fold,) = PROTOCOLS["holdout"].folds
    manifest = read_manifest(PROCESSED / "manifest.csv")
    drawn = make_split(manifest, SplitConfig(), fold.labels_config)
    assert {name: len(rows) for name, rows in drawn.splits.items()} == fold.counts.model_dump()
    assert drawn.certificate.splits["test"].speakers == fold.test_speakers


@needs_corpora
@needs_published
@pytest.mark.slow
def test_the_file_is_what_its_script_writes() -> None:
    command = [
        sys.executable,
        str(ROOT / "scripts" / "write_protocols.py"),
        "--published",
        str(SHARED),
        "--processed",
        str(PROCESSED),
        "--check",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout == "protocols.json is current\n", result.stdout + result.stderr
