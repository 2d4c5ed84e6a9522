"""Nothing of test reaches training: a broken certificate stops load and train, and test is read once, at the end."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Ser
from ser.corpora.manifest import Manifest, read_manifest, write_manifest
from ser.errors import DataError, LeakageError, SerError
from ser.features.source import Stores
from ser.pipeline import load as load_step
from ser.pipeline.load import read_loaded
from ser.splits.certificate import certify, write_certificate
from ser.splits.checks import record_statistic
from ser.splits.split import read_split, write_split
from ser.system.files import digest_json
from ser.system.tables import read_table
from ser.training.trainer import Trainer
from workspace import Workspace, rows_of


def ids_of(space: Workspace, name: str) -> list[str]:
    return [row["id"] for row in rows_of(space.split / f"{name}.csv")]


def edit_text(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def move_a_row(space: Workspace) -> None:
    """One test clip to train."""
    lines = (space.split / "test.csv").read_text().splitlines(keepends=True)
    (space.split / "test.csv").write_text("".join(lines[:-1]))
    with (space.split / "train.csv").open("a") as file:
        file.write(lines[-1])


def add_a_row(space: Workspace) -> None:
    with (space.split / "train.csv").open("a") as file:
        file.write((space.split / "test.csv").read_text().splitlines(keepends=True)[1])


def drop_a_row(space: Workspace) -> None:
    lines = (space.split / "train.csv").read_text().splitlines(keepends=True)
    (space.split / "train.csv").write_text("".join(lines[:-1]))


def swap_a_label(space: Workspace) -> None:
    edit_text(space.split / "test.csv", ",angry,4\n", ",sad,3\n")


def swap_tables(space: Workspace) -> None:
    train, test = space.split / "train.csv", space.split / "test.csv"
    content = train.read_bytes(), test.read_bytes()
    test.write_bytes(content[0])
    train.write_bytes(content[1])


def edit_the_certificate(space: Workspace) -> None:
    edit_text(space.split / "leakage.json", '"speaker-disjoint"', '"none"')


def edit_the_certificate_with_its_digest(space: Workspace) -> None:
    """Also the digest fits: the rows still tell."""
    content = json.loads((space.split / "leakage.json").read_text())
    facts = content["splits"]
    stolen = sorted(facts["test"]["samples"])[0]
    facts["train"]["samples"][stolen] = facts["test"]["samples"].pop(stolen)
    del content["digest"]
    (space.split / "leakage.json").write_text(json.dumps({**content, "digest": digest_json(content)}))


def rewrite_manifest(space: Workspace, change: Callable[[Manifest], Manifest]) -> None:
    path = space.processed / "manifest.csv"
    write_manifest(path, change(read_manifest(path)))


def give_a_clip_to_another_speaker(space: Workspace) -> None:
    """A clip of train turns out to be of a speaker of test."""
    ours, theirs = ids_of(space, "train")[0], ids_of(space, "test")[0]

    def change(manifest: Manifest) -> Manifest:
        return Manifest(replace(u, speaker=manifest[theirs].speaker) if u.id == ours else u for u in manifest)

    rewrite_manifest(space, change)


def change_the_samples(space: Workspace) -> None:
    changed = ids_of(space, "val")[0]
    rewrite_manifest(space, lambda manifest: Manifest(replace(u, audio_hash="00") if u.id == changed else u for u in manifest))


def remove_from_the_manifest(space: Workspace) -> None:
    gone = ids_of(space, "test")[0]
    rewrite_manifest(space, lambda manifest: Manifest(u for u in manifest if u.id != gone))


def certify_a_speaker_on_both_sides(space: Workspace) -> None:
    """A split made by other means: consistent in itself, and with a valid digest."""
    manifest = read_manifest(space.processed / "manifest.csv")
    split = read_split(space.split, manifest)
    train, test = split.splits["train"], split.splits["test"]
    splits = {**split.splits, "train": (*train, test[0]), "test": test[1:]}
    config = space.config()
    certificate = certify(splits, split.classes, config.split, config.labels, manifest)
    write_split(space.split, replace(split, splits=splits, certificate=certificate))


def note_a_statistic_of_test(space: Workspace) -> None:
    """As a step would that fitted the normaliser on everything."""
    certificate = read_split(space.split, read_manifest(space.processed / "manifest.csv")).certificate
    statistic = certificate.statistics[0].model_copy(update={"fitted_on": "test"})
    write_certificate(space.split / "leakage.json", certificate.model_copy(update={"statistics": (statistic,)}))


@pytest.mark.parametrize("step", ["transform", "load", "train"])
@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (move_a_row, r"train\.csv differs from its certificate"),
        (add_a_row, r"train\.csv differs from its certificate"),
        (drop_a_row, r"train\.csv differs from its certificate"),
        (swap_tables, r"train\.csv differs from its certificate"),
        (swap_a_label, r"test\.csv was edited"),
        (edit_the_certificate, r"leakage\.json was edited"),
        (edit_the_certificate_with_its_digest, r"train\.csv differs from its certificate"),
        (give_a_clip_to_another_speaker, "the speakers of train are not those of its certificate"),
        (change_the_samples, "the samples of .* have changed"),
        (remove_from_the_manifest, "which the manifest no longer has"),
        (certify_a_speaker_on_both_sides, r"train and test share 1 speakers \(.*\), declared speaker-disjoint"),
        (note_a_statistic_of_test, r"normaliser-\w+ was fitted on test, which leaks"),
    ],
)
def test_a_broken_certificate_stops_the_run(
    workspace: Workspace, ser: Ser, tamper: Callable[[Workspace], None], said: str, step: str
) -> None:
    tamper(workspace)
    answer = ser("--config", workspace.config_file, "--steps", step)
    assert answer.code == 3
    assert re.search(said, answer.err)
    assert len(answer.err.splitlines()) == 1
    assert not workspace.runs.exists()


def test_extract_mends_what_was_tampered_with(workspace: Workspace) -> None:
    before = {path.name: path.read_bytes() for path in workspace.split.iterdir()}
    move_a_row(workspace)
    workspace.run("extract,load")
    assert {path.name: path.read_bytes() for path in workspace.split.iterdir()} == before


def test_a_certificate_may_not_name_a_statistic_of_test(prepared: Workspace) -> None:
    certificate = read_split(prepared.split, read_manifest(prepared.processed / "manifest.csv")).certificate
    for ids, split in ((ids_of(prepared, "test"), "test"), (ids_of(prepared, "test"), "train"), (ids_of(prepared, "val"), "val")):
        with pytest.raises(LeakageError):
            record_statistic(certificate, "normaliser", split, ids)


def test_a_normaliser_fitted_elsewhere_is_not_used(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load step that fits on everything is stopped by the certificate before anything is written."""
    before = workspace.normaliser.read_bytes()
    everything = [*ids_of(workspace, "train"), *ids_of(workspace, "test")]
    monkeypatch.setattr(load_step, "with_copies", lambda entries, copies: [replace(entries[0], id=i) for i in everything])
    monkeypatch.setattr(load_step, "refuse_missing", lambda *arguments: None)
    with pytest.raises(LeakageError, match="is used as train, but belongs to test"):
        workspace.run("load")
    assert workspace.normaliser.read_bytes() == before


def test_an_edited_normaliser_is_damage(workspace: Workspace, ser: Ser) -> None:
    path = workspace.normaliser
    content = json.loads(path.read_text())
    content["normalisers"]["spectral"]["mean"][0] += 1.0
    path.write_text(json.dumps(content))
    answer = ser("--config", workspace.config_file, "--steps", "train")
    assert answer.code == 4
    assert f"{path.name} is corrupted (checksum mismatch)" in answer.err


def test_the_normaliser_of_another_split_is_not_used(workspace: Workspace, ser: Ser) -> None:
    other = ("--set", "split.name=other", "--set", "split.seed=7")
    assert ser("--config", workspace.config_file, "--steps", "extract,load", *other).code == 0
    path = workspace.normaliser
    path.write_bytes((workspace.processed / "splits/other" / path.name).read_bytes())
    answer = ser("--config", workspace.config_file, "--steps", "train")
    assert answer.code == 3
    assert f"{path.name} was fitted on other features or another split: run the load step again" in answer.err


def test_the_normaliser_is_that_of_train(prepared: Workspace) -> None:
    loaded = read_loaded(prepared.config())
    stores, normaliser = loaded.source.groups["spectral"], loaded.normalisers["spectral"]
    frames = np.concatenate([stores.rows(i).astype(np.float64) for i in ids_of(prepared, "train")])
    assert np.allclose(normaliser.mean, frames.mean(axis=0), atol=1e-4)
    assert np.allclose(normaliser.deviation, frames.std(axis=0), rtol=1e-3, atol=1e-4)


def test_test_is_read_once_and_after_the_last_step_of_training(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever reads features, and every update of the weights, in the order in which it happens."""
    events: list[str] = []
    rows, step = Stores.rows, Trainer.step

    def noted_rows(self: Stores, utterance_id: str) -> Any:
        events.append(utterance_id)
        return rows(self, utterance_id)

    def noted_step(self: Trainer, *arguments: Any) -> Any:
        events.append("step")
        return step(self, *arguments)

    monkeypatch.setattr(Stores, "rows", noted_rows)
    monkeypatch.setattr(Trainer, "step", noted_step)
    workspace.train("watched", "train.epochs=2")
    last = len(events) - events[::-1].index("step")
    test = set(ids_of(workspace, "test"))
    assert not test & set(events[:last])
    assert sorted(event for event in events[last:] if event in test) == sorted(test)


def test_no_weight_is_learned_from_val_or_test(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    step = Trainer.step

    def noted(self: Trainer, batch: Any, *arguments: Any) -> Any:
        seen.update(batch.ids)
        return step(self, batch, *arguments)

    monkeypatch.setattr(Trainer, "step", noted)
    workspace.train("watched", "train.epochs=1", "train.sampler=shuffle")
    assert seen == set(ids_of(workspace, "train"))


@pytest.mark.parametrize("name", ["leakage.json", "train.csv", "normaliser-*.json"])
@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"digest": 1}', '{"digest": NaN}', "id\n", "\x00"])
def test_a_damaged_file_of_the_split_is_one_line(workspace: Workspace, name: str, text: str) -> None:
    (path,) = workspace.split.glob(name)
    path.write_text(text)
    with pytest.raises(SerError) as error:
        workspace.run("train")
    assert error.value.exit_code in (3, 4)
    assert path.name in str(error.value)


def test_skipped_clips_take_no_part(workspace: Workspace) -> None:
    manifest = {row["id"] for row in read_table(workspace.processed / "manifest.csv", ("id",))}
    assert {i for name in ("train", "val", "test") for i in ids_of(workspace, name)} == manifest


def test_a_missing_file_of_the_split_asks_for_extract(workspace: Workspace) -> None:
    (workspace.split / "val.csv").unlink()
    with pytest.raises(DataError, match=r"lacks val\.csv: run the extract step first"):
        workspace.run("train")
