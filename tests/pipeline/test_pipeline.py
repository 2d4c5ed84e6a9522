"""The whole program on four small synthetic corpora: what a run leaves, that it learns, that it repeats, and what each step waits for."""

import json
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from conftest import Ser
from ser.config import ModelConfig
from ser.corpora.manifest import COLUMNS as MANIFEST_COLUMNS
from ser.corpora.manifest import original_id
from ser.emotions import EMOTIONS
from ser.errors import ConfigError, DataError, LeakageError
from ser.evaluation.calibration import Calibration, read_calibration
from ser.evaluation.calibration_fit import NO_VAL, calibrate
from ser.evaluation.confidence import log_loss
from ser.features.base import FeatureShape
from ser.features.normaliser import Normaliser
from ser.features.store import FeatureStore
from ser.models.registry import build_model
from ser.pipeline import train as train_step
from ser.pipeline.load import read_loaded
from ser.pipeline.stores import store_folder
from ser.runs.checkpoint import load_checkpoint
from ser.runs.history import HISTORY_COLUMNS
from ser.runs.run import Run
from ser.splits.certificate import make_statistic, read_certificate
from ser.system.optional import is_installed
from ser.training.batches import SpeechDataset
from ser.training.predict_split import predict_dataset
from workspace import SPEED_ALONE, Row, Workspace, header_of, history_of, metrics_of, rows_of, weights_of

HISTORY = ["epoch", "train_loss", "train_uar", "val_loss", "val_uar", "val_wa", "val_macro_f1", "learning_rate", "seconds"]


# -- what is left -------------------------------------------------------------


def test_every_artefact_stands_where_the_layout_says(prepared: Workspace, finished: Run) -> None:
    names = {path.name for path in finished.folder.iterdir() if not path.name.startswith(".")}
    files = {"cfg.json", "best.pth", "last.pth", "history.csv", "test_metrics.json", "confusion_matrix.csv", "predictions.csv"}
    by_scikit_learn = {"classification_report.txt"} if is_installed("sklearn") else set()
    assert names == files | {"attention.npz", "calibration.json", "split"} | by_scikit_learn
    of_split = {"train.csv", "val.csv", "test.csv", "leakage.json"}
    assert {path.name for path in prepared.split.iterdir()} == of_split | {prepared.normaliser.name}
    assert {path.name for path in finished.split.iterdir()} == of_split | {"normaliser.json"}
    assert {"manifest.csv", "skipped.csv", "splits", "features"} <= {path.name for path in prepared.processed.iterdir()}


def test_tables_have_the_documented_columns(prepared: Workspace, finished: Run) -> None:
    assert header_of(prepared.processed / "manifest.csv") == list(MANIFEST_COLUMNS)
    assert header_of(prepared.processed / "skipped.csv") == ["path", "corpus", "reason", "detail"]
    assert header_of(prepared.split / "train.csv") == ["id", "corpus", "speaker", "emotion", "label"]
    assert header_of(finished.history) == HISTORY == list(HISTORY_COLUMNS)
    probabilities = [f"p_{emotion}" for emotion in EMOTIONS]
    assert header_of(finished.predictions) == ["split", "id", "corpus", "speaker", "truth", "prediction", *probabilities]
    assert header_of(finished.confusion) == ["truth", *EMOTIONS]


def test_the_metrics_have_the_documented_keys(finished: Run) -> None:
    metrics = metrics_of(finished)
    scores = {"uar", "wa", "macro_f1", "n", "speakers", "intervals"}
    assert scores | {"classes", "per_class", "per_corpus", "mean_over_corpora", "best_epoch", "protocol", "certificate"} <= set(metrics)
    assert set(metrics["per_class"]) == set(EMOTIONS)
    assert all(set(part) == {"precision", "recall", "f1", "support", "intervals"} for part in metrics["per_class"].values())
    assert set(metrics["per_corpus"]) == {"crema", "ravdess", "savee", "tess"}
    assert all(set(part) == scores for part in metrics["per_corpus"].values())
    assert metrics["speaker_independent"] is True
    assert metrics["ran_on"] == {"device": "cpu", "precision": "fp32", "threads": 1}


def test_an_interval_over_few_speakers_is_null_and_says_why(finished: Run) -> None:
    of_tess = metrics_of(finished)["per_corpus"]["tess"]
    assert of_tess["speakers"] == 1
    assert of_tess["intervals"]["uar"]["low"] is None
    assert "speaker" in of_tess["intervals"]["uar"]["reason"]


def test_found_is_used_plus_skipped(prepared: Workspace) -> None:
    found = sum(1 for path in prepared.raw.rglob("*.wav"))
    assert found == len(rows_of(prepared.processed / "manifest.csv")) + len(rows_of(prepared.processed / "skipped.csv")) == 252


def test_every_utterance_is_predicted_once_with_probabilities_that_sum_to_one(prepared: Workspace, finished: Run) -> None:
    rows = rows_of(finished.predictions)
    for name in ("val", "test"):
        assert {row["id"] for row in rows if row["split"] == name} == {row["id"] for row in rows_of(prepared.split / f"{name}.csv")}
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        probabilities = [float(row[f"p_{emotion}"]) for emotion in EMOTIONS]
        assert sum(probabilities) == pytest.approx(1)
        assert row["prediction"] == EMOTIONS[int(np.argmax(probabilities))]


def recomputed(rows: list[Row]) -> dict[str, float]:
    """UAR, WA and macro-F1 by the definitions, in plain Python."""
    pairs = Counter((row["truth"], row["prediction"]) for row in rows)
    truths, predictions = Counter(row["truth"] for row in rows), Counter(row["prediction"] for row in rows)
    f1 = [2 * pairs[c, c] / (truths[c] + predictions[c]) for c in truths | predictions]
    return {
        "uar": sum(pairs[c, c] / truths[c] for c in truths) / len(truths),
        "wa": sum(pairs[c, c] for c in truths) / len(rows),
        "macro_f1": sum(f1) / len(f1),
    }


def test_the_table_of_predictions_reproduces_every_score(finished: Run) -> None:
    metrics = metrics_of(finished)
    rows = [row for row in rows_of(finished.predictions) if row["split"] == "test"]
    assert metrics["n"] == len(rows)
    assert {name: metrics[name] for name in ("uar", "wa", "macro_f1")} == pytest.approx(recomputed(rows))
    by_corpus = {corpus: recomputed([row for row in rows if row["corpus"] == corpus]) for corpus in metrics["per_corpus"]}
    for corpus, scores in by_corpus.items():
        assert {name: metrics["per_corpus"][corpus][name] for name in scores} == pytest.approx(scores)
    for name in ("uar", "wa", "macro_f1"):
        assert metrics["mean_over_corpora"][name] == pytest.approx(np.mean([scores[name] for scores in by_corpus.values()]))
    for emotion in EMOTIONS:
        assert metrics["per_class"][emotion]["support"] == sum(row["truth"] == emotion for row in rows)


def test_the_confusion_matrix_counts_the_predictions(finished: Run) -> None:
    pairs = Counter((row["truth"], row["prediction"]) for row in rows_of(finished.predictions) if row["split"] == "test")
    for row in rows_of(finished.confusion):
        assert {emotion: int(row[emotion]) for emotion in EMOTIONS} == {emotion: pairs[row["truth"], emotion] for emotion in EMOTIONS}


def test_the_scores_are_those_of_the_best_epoch(finished: Run) -> None:
    metrics, history = metrics_of(finished), rows_of(finished.history)
    best = max(history, key=lambda row: float(row["val_uar"]))  # the first among equals
    assert metrics["best_epoch"] == int(best["epoch"]) == load_checkpoint(finished.best)["epoch"]
    assert metrics["selection"] == "highest val UAR"
    val = [row for row in rows_of(finished.predictions) if row["split"] == "val"]
    assert recomputed(val)["uar"] == pytest.approx(float(best["val_uar"]))
    assert metrics["weights"] == weights_of(finished)


def table_of(run: Run, split: str) -> SimpleNamespace:
    rows = [row for row in rows_of(run.predictions) if row["split"] == split]
    probabilities = np.array([[float(row[f"p_{emotion}"]) for emotion in EMOTIONS] for row in rows])
    return SimpleNamespace(probabilities=probabilities, truth=np.array([EMOTIONS.index(row["truth"]) for row in rows]))


def test_the_table_of_predictions_reproduces_the_calibration(prepared: Workspace, finished: Run) -> None:
    """The probabilities of the table are those of the network, so what was fitted on them can be fitted again."""
    val, test = table_of(finished, "val"), table_of(finished, "test")
    stored = json.loads(finished.calibration.read_text())
    assert stored.pop("digest")
    assert stored == calibrate(val, test, prepared.config().calibration, weights_of(finished)).model_dump(mode="json")
    calibration = read_calibration(finished.calibration, metrics_of(finished)["weights"])
    assert log_loss(calibration.apply(val.probabilities), val.truth) == stored["val"]["after"]["log_loss"]
    block = metrics_of(finished)["calibration"]
    assert block == {key: stored[key] for key in Calibration.model_fields} | stored["test"]
    assert block["coverage"] == calibration.answered(test.probabilities).mean()


def test_a_checkpoint_alone_is_enough_to_predict(prepared: Workspace, finished: Run) -> None:
    """Widths, shapes, classes and normalisers come from best.pth; no config is read."""
    content = load_checkpoint(finished.best)
    config = ModelConfig.model_validate(content["model"])
    assert content["shapes"]["mfcc"] == {"rows": 12, "frame_rate": 62.5, "layers": 1}
    model = build_model(config, {name: FeatureShape(**shape) for name, shape in content["shapes"].items()}, len(content["classes"]))
    model.load_state_dict(content["weights"])
    loaded = read_loaded(prepared.config())
    normalisers = {name: Normaliser(fitted["mean"].numpy(), fitted["deviation"].numpy()) for name, fitted in content["normalisers"].items()}
    dataset = SpeechDataset(loaded.source, loaded.split.splits["test"], config.features, normalisers)
    probabilities = predict_dataset(model, dataset, torch.device("cpu")).probabilities
    stored = {row["id"]: [float(row[f"p_{label}"]) for label in content["classes"]] for row in rows_of(finished.predictions)}
    assert np.allclose(probabilities, [stored[entry.id] for entry in dataset.entries], atol=1e-5)


def as_a_run_keeps_it(space: Workspace) -> dict[str, Any]:
    """The files of the split; the normaliser has no key, as a run has but one."""
    names = {space.normaliser.name: "normaliser.json"}
    return content_of(space.split, names)


def content_of(folder: Path, names: dict[str, str]) -> dict[str, Any]:
    """Of every file under its new name; a run's certificate names more statistics, and so is compared without."""
    content: dict[str, Any] = {names.get(path.name, path.name): path.read_bytes() for path in folder.iterdir()}
    return content | {"leakage.json": read_certificate(folder / "leakage.json").split_digest}


def test_a_run_keeps_its_own_split(workspace: Workspace) -> None:
    run = workspace.train("mine", "train.epochs=1")
    assert content_of(run.split, {}) == as_a_run_keeps_it(workspace)
    before = {path.name: path.read_bytes() for path in run.split.iterdir()}
    workspace.run("extract", "split.seed=7")
    assert (workspace.split / "test.csv").read_bytes() != before["test.csv"]
    assert {path.name: path.read_bytes() for path in run.split.iterdir()} == before


def test_a_run_keeps_the_split_that_it_was_trained_on_though_an_extract_came_in_between(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = as_a_run_keeps_it(workspace)
    make = train_step.make_trainer

    def interrupted(*arguments: Any) -> Any:
        workspace.run("extract", "split.seed=7")
        return make(*arguments)

    monkeypatch.setattr(train_step, "make_trainer", interrupted)
    run = workspace.train("mine", "train.epochs=1")
    assert (workspace.split / "test.csv").read_bytes() != before["test.csv"]
    assert content_of(run.split, {}) == before


def test_the_runs_certificate_names_what_was_fitted_on_val_and_the_common_one_does_not(prepared: Workspace, finished: Run) -> None:
    of_run, common = (read_certificate(folder / "leakage.json") for folder in (finished.split, prepared.split))
    (normaliser,) = (statistic.what for statistic in common.statistics)
    assert normaliser.startswith("normaliser-")
    val = [row["id"] for row in rows_of(prepared.split / "val.csv")]
    added = [make_statistic(what, "val", val) for what in ("temperature", "thresholds")]
    assert of_run.statistics == (*common.statistics, *added)
    assert metrics_of(finished)["certificate"] == of_run.digest
    assert load_checkpoint(finished.best)["certificate"] == common.split_digest == of_run.split_digest


# -- learning, and learning the same again -------------------------------------


def test_it_learns(finished: Run) -> None:
    history, metrics = rows_of(finished.history), metrics_of(finished)
    assert float(history[-1]["train_loss"]) < 0.8 * float(history[0]["train_loss"])
    assert metrics["uar"] > 0.5, "chance is 0.125"
    assert metrics["n"] > 50


def test_the_same_seed_gives_the_same_history_and_weights_and_another_seed_others(prepared: Workspace, tmp_path: Path) -> None:
    settings = ("train.epochs=2", f"project.runs_dir={tmp_path}")
    names = {"first": 42, "second": 42, "other": 43}
    for name, seed in names.items():
        prepared.run("train", *settings, f"project.seed={seed}", run_name=name)
    first, second, other = (Run(tmp_path / name) for name in names)
    assert history_of(first) == history_of(second) != history_of(other)
    assert weights_of(first) == weights_of(second) != weights_of(other)
    assert first.predictions.read_bytes() == second.predictions.read_bytes()
    assert metrics_of(first) == metrics_of(second)


def test_an_extract_from_nothing_gives_the_same_bytes(prepared: Workspace, tmp_path: Path) -> None:
    """Folders with other names, two processes instead of one, and files found in another order make no difference."""
    prepared.run("extract,transform,load", f"project.processed_dir={tmp_path}", "runtime.workers=2")
    expected = {path.relative_to(prepared.processed): path.read_bytes() for path in prepared.processed.rglob("*.*") if path.is_file()}
    found = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    assert found == expected


# -- other configs -------------------------------------------------------------


def test_two_speakers_leave_no_val_and_the_epochs_come_from_the_config(
    prepared: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = (
        "project.corpora=[tess]",
        "labels.keep=[neutral, happy, sad, angry, fear, disgust, surprise]",
        "train.epochs=3",
        f"project.processed_dir={tmp_path}/processed",
        f"project.runs_dir={tmp_path}/runs",
    )
    prepared.run("extract,transform,load,train", *settings, run_name="tess")
    run = Run(tmp_path / "runs/tess")
    metrics, history = metrics_of(run), rows_of(run.history)
    assert metrics["selection"] == "last epoch, as configured: no speaker was left for validation"
    assert metrics["best_epoch"] == metrics["epochs"] == len(history) == 3
    assert all(row["val_uar"] == row["val_loss"] == "" for row in history)
    assert {row["split"] for row in rows_of(run.predictions)} == {"test"}
    assert load_checkpoint(run.best)["epoch"] == 3
    assert read_calibration(run.calibration) == Calibration(temperature=None, threshold=None, max_error=0.2, reason=NO_VAL)
    assert {key: metrics["calibration"][key] for key in ("reason", "after", "coverage")} == {
        "reason": NO_VAL,
        "after": None,
        "coverage": None,
    }
    assert {statistic.fitted_on for statistic in read_certificate(run.split / "leakage.json").statistics} == {"train"}
    assert "no speaker is left for validation" in caplog.text


def test_six_classes_take_part_without_computing_anything_again(workspace: Workspace) -> None:
    six = ("labels.keep=[neutral, happy, sad, angry, fear, disgust]", "split.name=six", "train.epochs=1")
    store = store_folder(workspace.config())
    before = {path.name: path.stat().st_mtime_ns for path in store.glob("*.npy")}
    workspace.run("extract,transform,load,train", *six, run_name="six")
    run = Run(workspace.runs / "six")
    assert metrics_of(run)["classes"] == ["neutral", "happy", "sad", "angry", "fear", "disgust"]
    assert header_of(run.confusion) == ["truth", "neutral", "happy", "sad", "angry", "fear", "disgust"]
    assert not {"calm", "surprise"} & {row["emotion"] for row in rows_of(run.split / "train.csv")}
    assert {path.name: path.stat().st_mtime_ns for path in store.glob("*.npy")} == before
    workspace.run("load")  # the split of all eight classes is still there, and still holds


def test_calm_can_count_as_neutral(workspace: Workspace) -> None:
    merged = ("labels.merge={calm: neutral}", "split.name=merged")
    workspace.run("extract,load", *merged)
    rows = rows_of(workspace.processed / "splits/merged/train.csv")
    assert any(row["emotion"] == "neutral" and row["id"].startswith("ravdess_03-01-02") for row in rows)
    assert "calm" not in {row["emotion"] for row in rows}


def test_altered_copies_follow_their_originals_into_train_and_nowhere_else(savee: Workspace) -> None:
    noise = ("augmentations={copies: 2, speed: null, probability: 1}", "train.epochs=1")
    savee.run("extract,transform,load,train", *noise, run_name="copies")
    loaded = read_loaded(savee.config(*noise))
    train = loaded.dataset(savee.config(*noise), "train")
    assert train is not None
    originals = {entry.id for entry in loaded.split.splits["train"]}
    assert Counter(original_id(entry.id) for entry in train.entries) == dict.fromkeys(originals, 3)
    stores = loaded.source.groups["spectral"]
    copies = {name for store in stores.stores for name in store if "~" in name}
    assert {original_id(name) for name in copies} == originals
    assert not any("~" in row["id"] for row in rows_of(savee.runs / "copies/predictions.csv"))
    one = sorted(originals)[0]
    assert not np.array_equal(stores.rows(one), stores.rows(f"{one}~1"))
    assert not np.array_equal(stores.rows(f"{one}~2"), stores.rows(f"{one}~1"))


def explicit_ids(space: Workspace) -> list[str]:
    """Every third utterance of one speaker to val, the rest of that speaker to test."""
    ids = [row["id"] for row in rows_of(space.processed / "manifest.csv") if row["speaker"] == "crema/1003"]
    return [
        "split.rule=explicit-ids",
        f"split.val_ids=[{', '.join(ids[::3])}]",
        f"split.test_ids=[{', '.join(sorted(set(ids) - set(ids[::3])))}]",
    ]


@pytest.mark.parametrize("rule", ["explicit-speakers", "explicit-ids", "random"])
def test_explicit_lists_and_random_splits_run_and_say_what_they_are(workspace: Workspace, rule: str) -> None:
    settings = {
        "explicit-speakers": [
            "split.rule=explicit-speakers",
            "split.val_speakers=[ravdess/03]",
            "split.test_speakers=[savee/DC, tess/OAF]",
        ],
        "explicit-ids": [*explicit_ids(workspace), "split.kind=sample-disjoint"],
        "random": ["split.rule=random", "split.kind=sample-disjoint"],
    }[rule]
    workspace.run("extract,load,train", *settings, "train.epochs=1", run_name="fold")
    metrics = metrics_of(Run(workspace.runs / "fold"))
    assert metrics["protocol"]["rule"] == rule
    assert metrics["speaker_independent"] is (rule == "explicit-speakers")
    test = rows_of(workspace.runs / "fold/split/test.csv")
    assert len(test) == metrics["n"]
    if rule == "explicit-speakers":
        assert {row["speaker"] for row in test} == {"savee/DC", "tess/OAF"}


def test_speakers_in_two_splits_are_refused_where_speaker_disjoint_is_declared(workspace: Workspace) -> None:
    with pytest.raises(LeakageError, match=r"val and test share 1 speakers \(crema/1003\), declared speaker-disjoint"):
        workspace.run("extract", *explicit_ids(workspace))


@pytest.mark.parametrize(
    "setting",
    [
        "train.loss=focal",
        "train.sampler=class",
        "train.sampler=corpus-class",
        "train.class_weights=none",
        "train.optimizer=sgd",
        "train.scheduler=constant",
        "train.precision=bf16",
        "model.features=[mfcc]",
    ],
)
def test_every_way_to_train_runs(workspace: Workspace, setting: str) -> None:
    run = workspace.train("way", setting, "train.epochs=1")
    assert np.isfinite(metrics_of(run)["uar"])


def test_training_stops_when_val_no_longer_rises(workspace: Workspace) -> None:
    run = workspace.train("patient", "train.learning_rate=1e-9", "train.epochs=9", "train.patience=1")
    metrics = metrics_of(run)
    assert metrics["epochs"] == metrics["best_epoch"] + 1 < 9


# -- one step at a time ----------------------------------------------------------


@pytest.mark.parametrize(
    ("done", "step", "lacks"),
    [
        ("", "transform", "manifest.csv does not exist: run the extract step first"),
        ("", "load", "manifest.csv does not exist: run the extract step first"),
        ("", "train", "manifest.csv does not exist: run the extract step first"),
        ("extract", "load", "has no finished feature store: run the transform step first"),
        ("extract", "train", "has no finished feature store: run the transform step first"),
        ("extract,transform", "train", ".json does not exist: run the load step first"),
    ],
)
def test_a_step_says_which_one_has_to_run_before(savee: Workspace, ser: Ser, done: str, step: str, lacks: str) -> None:
    if done:
        savee.run(done)
    answer = ser("--config", savee.config_file, "--steps", step)
    assert answer.code == 3
    assert lacks in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not savee.runs.exists()


def test_the_steps_one_by_one_end_where_all_at_once_end(savee: Workspace, ser: Ser, tmp_path: Path) -> None:
    for step in ("extract", "transform", "load", "train"):
        assert ser("--config", savee.config_file, "--steps", step, "--run-name", "single").code == 0
    aside = ("--set", f"project.processed_dir={tmp_path}/aside")
    assert ser("--config", savee.config_file, *aside, "--run-name", "together").code == 0
    single, together = (Run(savee.runs / name) for name in ("single", "together"))
    assert history_of(single) == history_of(together)
    assert weights_of(single) == weights_of(together)


# -- what changes under the program's feet ------------------------------------------


def add_clip(space: Workspace, name: str = "DC_a05") -> None:
    """One more angry clip of SAVEE's speaker DC."""
    generator = np.random.default_rng(1)
    soundfile.write(space.raw / f"savee/ALL/{name}.wav", generator.normal(0, 0.1, 22_050), 44_100, subtype="PCM_16")


def test_load_names_the_utterances_that_the_store_lacks(savee: Workspace, ser: Ser) -> None:
    savee.run("extract,transform")
    add_clip(savee)
    savee.run("extract")
    answer = ser("--config", savee.config_file, "--steps", "load")
    assert answer.code == 3
    assert "1 of 57 utterances are missing from the store: savee_DC_a05; run the transform step" in answer.err


def test_an_edited_clip_is_noticed_by_transform_before_anything_is_stored(savee: Workspace) -> None:
    savee.run("extract")
    add_clip(savee, "DC_a01")
    with pytest.raises(DataError, match=r"DC_a01\.wav has changed since the extract step: run extract again"):
        savee.run("transform")
    assert not (store_folder(savee.config()) / "index.csv").exists()


@pytest.mark.parametrize("change", ["edited", "added", "removed"])
def test_a_change_of_the_audio_makes_each_later_step_wait_for_the_one_before(savee: Workspace, change: str) -> None:
    savee.run("extract,transform,load")
    before = set(FeatureStore.open(store_folder(savee.config())))
    if change == "removed":
        (savee.raw / "savee/ALL/DC_a01.wav").unlink()
    else:
        add_clip(savee, "DC_a01" if change == "edited" else "DC_a05")
    savee.run("extract")
    if change != "removed":
        with pytest.raises(DataError, match="run the transform step"):
            savee.run("load")
    savee.run("transform")
    with pytest.raises(DataError, match="run the load step"):
        savee.run("train")
    savee.run("load")
    savee.train("after", "train.epochs=1")
    changes = {"edited": set(), "added": {"savee_DC_a05"}, "removed": {"savee_DC_a01"}}[change]
    assert set(FeatureStore.open(store_folder(savee.config()))) ^ before == changes


def test_another_split_config_asks_for_extract(workspace: Workspace, ser: Ser) -> None:
    for step in ("load", "train"):
        answer = ser("--config", workspace.config_file, "--steps", step, "--set", "split.seed=1")
        assert answer.code == 3
        assert "was made from another split or labels config: run the extract step, or change split.name" in answer.err


def test_other_features_are_computed_anew_and_never_mixed(workspace: Workspace) -> None:
    setting = "features.mfcc.n_mfcc=10"
    old, new = store_folder(workspace.config()), store_folder(workspace.config(setting))
    before = {path.name: path.read_bytes() for path in old.iterdir()}
    with pytest.raises(DataError, match="run the transform step first"):
        workspace.run("load", setting)
    workspace.run("transform", setting)
    with pytest.raises(DataError, match=r"normaliser-\w+\.json does not exist: run the load step first"):
        workspace.run("train", setting)
    workspace.run("load,train", setting, "train.epochs=1", run_name="other")
    shapes = load_checkpoint(workspace.runs / "other/best.pth")["shapes"]
    assert {name: shape["rows"] for name, shape in shapes.items()} == {"mel": 24, "mfcc": 10, "chroma": 12}
    assert new != old
    assert {path.name: path.read_bytes() for path in old.iterdir()} == before
    assert FeatureStore.open(old).dims["mfcc"] == 12


def test_a_missing_extra_is_told_before_the_first_step(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser.system.optional.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs audiomentations: pip install '.*\[augment\]'"):
        workspace.run("extract,transform", "augmentations={copies: 1, stretch_rate: [0.9, 1.1]}")


def test_copies_altered_in_speed_alone_need_no_extra(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser.system.optional.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "audiomentations", None)
    workspace.run("transform,load", SPEED_ALONE)
