"""The whole program with a frozen backbone: from audio to a mixture of experts that says how it weighed them."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backbones import DIM, KINDS, LAYERS, save_backbone, tiny_backbone
from conftest import Ser
from ser.config import ModelConfig
from ser.errors import ConfigError, DataError
from ser.features.base import FeatureShape
from ser.features.normaliser import Normaliser
from ser.features.store import FeatureStore
from ser.models.registry import build_model
from ser.pipeline import stores
from ser.pipeline.load import read_loaded
from ser.pipeline.plan import plan_load, plan_train
from ser.runs.checkpoint import digest, load_checkpoint
from ser.runs.run import Run
from ser.splits.certificate import read_certificate
from ser.system.files import read_json
from ser.system.optional import is_installed
from ser.training.batches import SpeechDataset
from ser.training.predict_split import predict_dataset
from ser.training.trainer import Trainer
from trees import write_trees
from workspace import SPEED_ALONE, Row, Workspace, header_of, history_of, make_workspace, metrics_of, rows_of, weights_of

EXPERTS = ("ssl", "mel", "mfcc", "chroma")
STATES = [str(state) for state in range(LAYERS + 1)]
NO_SSL = ("features.types=[mel, mfcc, chroma]", "model.features=[mel, mfcc, chroma]")
CRNN = (*NO_SSL, "model.name=spectral_crnn")
ONE_EPOCH = "train.epochs=1"


@pytest.fixture(scope="module")
def spectral(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """28 clips of SAVEE's four speakers, with the spectral features that all the tests share. Not to be changed."""
    root = tmp_path_factory.mktemp("spectral")
    write_trees(root / "raw", ["savee"], takes=1)
    space = make_workspace(root, root / "raw", tiny_backbone("wavlm"))
    space.run("extract,transform", *NO_SSL)
    return space


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, spectral: Workspace) -> Workspace:
    """After extract, transform and load with a tiny WavLM. Not to be changed: `space` is a copy that may be."""
    space = copy_of(spectral, tmp_path_factory.mktemp("loaded"), tiny_backbone("wavlm"))
    space.run("transform,load")
    return space


@pytest.fixture(scope="module")
def trained(loaded: Workspace) -> Run:
    """A whole run on `loaded`. Not to be changed."""
    return loaded.train("trained", "train.epochs=4")


@pytest.fixture
def space(tmp_path: Path, loaded: Workspace) -> Workspace:
    return copy_of(loaded, tmp_path, tiny_backbone("wavlm"))


def copy_of(space: Workspace, root: Path, backbone: Path) -> Workspace:
    """With the same audio."""
    shutil.copytree(space.processed, root / "processed")
    return make_workspace(root, space.raw, backbone)


def gates_of(rows: Sequence[Row]) -> list[list[float]]:
    return [[float(value) for key, value in row.items() if key.startswith("gate_")] for row in rows]


def finite(values: Any) -> bool:
    """All numbers in a tree of JSON."""
    if isinstance(values, dict):
        return all(finite(value) for value in values.values())
    return not isinstance(values, float) or math.isfinite(values)


# -- every kind of backbone ----------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_backbone_runs_from_audio_to_scores(spectral: Workspace, tmp_path: Path, ser: Ser, kind: str) -> None:
    space = copy_of(spectral, tmp_path, tiny_backbone(kind))
    answer = ser("--config", space.config_file, "--steps", "extract,transform,load,train", "-v")
    assert answer.code == 0, answer.err
    (folder,) = space.runs.iterdir()
    assert folder.name.endswith("_ssl_spectral_moe")
    run = Run(folder)
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    files = {"cfg.json", "best.pth", "last.pth", "history.csv", "test_metrics.json", "confusion_matrix.csv", "predictions.csv"}
    by_scikit_learn = {"classification_report.txt"} if is_installed("sklearn") else set()
    assert names == files | {"attention.npz", "calibration.json", "split"} | by_scikit_learn
    assert len(history_of(run)) == 2
    metrics, rows = metrics_of(run), rows_of(run.predictions)
    assert finite(metrics)
    assert 0 <= metrics["uar"] <= 1
    assert header_of(run.predictions)[-4:] == [f"gate_{expert}" for expert in EXPERTS]
    np.testing.assert_allclose(np.sum(gates_of(rows), axis=1), 1, rtol=1e-5)
    assert list(metrics["ssl_layer_weights"]) == STATES
    assert sum(metrics["ssl_layer_weights"].values()) == pytest.approx(1)
    content = load_checkpoint(run.best)
    assert content["model"]["name"] == "ssl_spectral_moe"
    assert content["extractors"]["ssl"]["ingredients"]["backbone"]["kind"] == kind
    assert content["shapes"]["ssl"] == {"rows": DIM * (LAYERS + 1), "frame_rate": 25.0, "layers": LAYERS + 1}


# -- what is left -------------------------------------------------------------------


def test_the_summary_of_the_gate_is_that_of_the_table(trained: Run) -> None:
    metrics, rows = metrics_of(trained), [row for row in rows_of(trained.predictions) if row["split"] == "test"]
    summary, weights = metrics["gates"], np.array(gates_of(rows))
    assert list(summary["mean"]) == list(EXPERTS)
    assert list(summary["mean"].values()) == pytest.approx(weights.mean(axis=0))
    emotions = np.array([row["truth"] for row in rows])
    assert set(summary["per_emotion"]) == set(metrics["classes"])
    for emotion, mean in summary["per_emotion"].items():
        assert list(mean.values()) == pytest.approx(weights[emotions == emotion].mean(axis=0))
    assert summary["per_corpus"] == {"savee": pytest.approx(summary["mean"])}
    entropy = -(weights * np.log(weights)).sum(axis=1) / np.log(len(EXPERTS))
    assert summary["entropy"] == pytest.approx(entropy.mean())
    assert 0 < summary["entropy"] <= summary["entropy_of_mean"] <= 1
    assert summary["collapsed_onto"] is None


def test_val_has_gates_too(trained: Run) -> None:
    rows = rows_of(trained.predictions)
    assert {row["split"] for row in rows} == {"val", "test"}
    assert all(0 < weight < 1 for row in gates_of(rows) for weight in row)


def test_a_gate_that_collapsed_is_warned_of(space: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("ser.evaluation.gates.COLLAPSE", 0.2)
    gates = metrics_of(space.train("collapsed", ONE_EPOCH))["gates"]
    largest = max(gates["mean"], key=gates["mean"].get)
    assert gates["collapsed_onto"] == largest
    assert f"the gate has collapsed onto {largest}: the other experts have almost no weight" in caplog.text


def test_a_checkpoint_alone_is_enough_to_predict(loaded: Workspace, trained: Run) -> None:
    content = load_checkpoint(trained.best)
    config = ModelConfig.model_validate(content["model"])
    model = build_model(config, {name: FeatureShape(**shape) for name, shape in content["shapes"].items()}, len(content["classes"]))
    model.load_state_dict(content["weights"])
    normalisers = {name: Normaliser(fitted["mean"].numpy(), fitted["deviation"].numpy()) for name, fitted in content["normalisers"].items()}
    assert list(normalisers) == ["spectral", "ssl"]
    read = read_loaded(loaded.config())
    dataset = SpeechDataset(read.source, read.split.splits["test"], config.features, normalisers)
    outputs = predict_dataset(model, dataset, torch.device("cpu"))
    stored = {row["id"]: row for row in rows_of(trained.predictions)}
    rows = [stored[entry.id] for entry in dataset.entries]
    assert np.allclose(outputs.probabilities, [[float(row[f"p_{label}"]) for label in content["classes"]] for row in rows], atol=1e-5)
    assert outputs.gates is not None
    assert np.allclose(outputs.gates, gates_of(rows), atol=1e-5)


def test_it_learns(space: Workspace) -> None:
    """Of 14 clips, the loss of what it has seen."""
    history = history_of(space.train("long", "train.epochs=12", "train.patience=12"))
    assert float(history[-1]["train_loss"]) < 0.8 * float(history[0]["train_loss"])


# -- ablations ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "gates", "states"),
    [
        (["model.features=[ssl]"], [], STATES),
        (NO_SSL, ["mel", "mfcc", "chroma"], []),
        (["model.features=[ssl, chroma]"], ["ssl", "chroma"], STATES),
        (["model.ssl_spectral_moe.fusion=concat"], [], STATES),
        (["model.ssl_spectral_moe.aux_expert=mel", "model.ssl_spectral_moe.gate_balance=0.1"], list(EXPERTS), STATES),
        (["ssl.layers=1"], list(EXPERTS), ["1"]),
        (["ssl.layers=[0, 2]"], list(EXPERTS), ["0", "2"]),
    ],
    ids=["ssl alone", "no ssl", "two experts", "concat", "more losses", "one state", "two states"],
)
def test_every_ablation_says_what_it_has(space: Workspace, settings: Sequence[str], gates: list[str], states: list[str]) -> None:
    space.run("transform,load", *settings)
    metrics = metrics_of(space.train("ablation", ONE_EPOCH, *settings))
    assert list(metrics.get("gates", {}).get("mean", [])) == gates
    assert list(metrics.get("ssl_layer_weights", [])) == states


def test_a_single_expert_has_its_weight_in_the_table_and_no_summary(space: Workspace) -> None:
    setting = "model.features=[ssl]"
    space.run("load", setting)
    run = space.train("alone", ONE_EPOCH, setting)
    assert [gate for row in gates_of(rows_of(run.predictions)) for gate in row] == [1.0] * len(rows_of(run.predictions))
    assert "gates" not in metrics_of(run)


@pytest.mark.parametrize(("features", "extractor"), [("[ssl]", "ssl"), ("[mel, chroma]", "spectral")])
def test_an_extractor_that_the_model_does_not_ask_for_takes_no_part(space: Workspace, features: str, extractor: str) -> None:
    """Though its store stands there."""
    setting = f"model.features={features}"
    space.run("load", setting)
    run = space.train("part", ONE_EPOCH, setting)
    assert list(read_json(run.split / "normaliser.json")["normalisers"]) == [extractor]
    content = load_checkpoint(run.best)
    assert list(content["extractors"]) == list(content["normalisers"]) == [extractor]


@pytest.mark.parametrize(("features", "other"), [("[ssl]", "spectral"), ("[mel, chroma]", "ssl")])
def test_an_extractor_that_the_model_does_not_ask_for_is_not_looked_for(
    space: Workspace, monkeypatch: pytest.MonkeyPatch, features: str, other: str
) -> None:
    """Neither its store nor its backbone."""
    (folder,) = space.processed.glob(f"features/{other}-*")
    shutil.rmtree(folder)
    if other == "ssl":
        monkeypatch.setattr("ser.features.ssl_family.find_backbone", pytest.fail)
    setting = f"model.features={features}"
    space.run("load", setting)
    space.train("part", ONE_EPOCH, setting)
    assert plan_load(space.config(setting))
    assert plan_train(space.config(setting))


# -- what another machine has computed -------------------------------------------------


def machine(monkeypatch: pytest.MonkeyPatch, *, bf16: bool) -> None:
    """Without a GPU, and with or without instructions for bf16."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(
        "ser.features.backbone.use_bf16", lambda config, device: bf16 if config.precision == "auto" else config.precision == "bf16"
    )


def precision_read(space: Workspace, *settings: str) -> list[str]:
    """Of each store of the backbone that the config reads."""
    config = space.config(*settings)
    return [
        FeatureStore.open(folder).spec.ingredients["precision"] for folder in stores.store_folders(config, config.model.features)["ssl"]
    ]


AUTO = "ssl.precision=auto"


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_with_auto_the_store_of_the_other_precision_is_read_where_there_is_no_own(
    space: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, device: str
) -> None:
    machine(monkeypatch, bf16=True)
    settings = (AUTO, f"ssl.device={device}")
    assert precision_read(space, *settings) == ["fp32"]
    assert "there is no finished store of bf16, the precision of this machine, so the store of fp32 is read" in caplog.text
    space.run("load", *settings)
    space.train("auto", ONE_EPOCH, *settings)
    assert plan_load(space.config(*settings))
    assert plan_train(space.config(*settings))


def test_with_auto_the_own_store_comes_first_and_transform_makes_it(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, bf16=True)
    space.run("transform", AUTO)
    assert len(list(space.processed.glob("features/ssl-*"))) == 2
    assert precision_read(space, AUTO) == ["bf16"]
    machine(monkeypatch, bf16=False)
    assert precision_read(space, AUTO) == ["fp32"]


def test_with_auto_the_copies_are_read_in_the_precision_of_the_originals(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, bf16=True)
    space.run("transform", AUTO)
    space.run("transform", SPEED_ALONE)
    assert precision_read(space, AUTO) == ["bf16"]
    assert precision_read(space, AUTO, SPEED_ALONE) == ["fp32", "fp32"], "of bf16 there are originals alone"


@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_without_any_finished_store_the_transform_step_is_asked_for(
    space: Workspace, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    machine(monkeypatch, bf16=True)
    wanted = stores.store_folder(space.config("ssl.precision=bf16"), "ssl")
    if precision == "auto":
        for index in space.processed.glob("features/ssl-*/index.csv"):
            index.unlink()
    with pytest.raises(DataError, match=f"{wanted} has no finished feature store: run the transform step first"):
        space.run("load", f"ssl.precision={precision}")


def test_a_device_that_only_the_transform_step_needs_may_be_missing(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, bf16=False)
    space.run("load", "ssl.device=cuda")
    space.train("elsewhere", ONE_EPOCH, "ssl.device=cuda")
    with pytest.raises(ConfigError, match=r"ssl\.device cuda is not available on this machine"):
        space.run("transform", "ssl.device=cuda")


# -- configs that share a split --------------------------------------------------------


def test_two_families_share_the_split_and_the_spectral_store_and_each_has_its_own_normaliser(space: Workspace) -> None:
    before = {path: path.stat().st_mtime_ns for path in space.processed.glob("features/*/*.npy")}
    normaliser = space.normaliser
    content = normaliser.read_bytes()
    space.run("transform,load", *CRNN)
    assert {path: path.stat().st_mtime_ns for path in space.processed.glob("features/*/*.npy")} == before
    files = sorted(space.split.glob("normaliser-*.json"))
    assert len(files) == 2
    assert normaliser.read_bytes() == content
    certificate = read_certificate(space.split / "leakage.json")
    assert sorted(one.what for one in certificate.statistics) == [path.stem for path in files]
    for name, settings in (("moe", ()), ("crnn", CRNN)):
        run = space.train(name, ONE_EPOCH, *settings)
        stored = read_json(run.split / "normaliser.json")["normalisers"]
        assert list(stored) == (["spectral", "ssl"] if name == "moe" else ["spectral"])
        assert load_checkpoint(run.best)["certificate"] == certificate.split_digest


def test_a_config_with_another_number_of_copies_needs_its_own_load(space: Workspace) -> None:
    pytest.importorskip("audiomentations")
    copies = "augmentations={copies: 1, pitch_semitones: null, stretch_rate: null, probability: 1}"
    space.run("transform", copies)
    with pytest.raises(DataError, match="run the load step"):
        space.train("copies", ONE_EPOCH, copies)
    space.run("load", copies)
    space.train("copies", ONE_EPOCH, copies)
    space.train("none", ONE_EPOCH)
    train = read_loaded(space.config(copies)).dataset(space.config(copies), "train")
    assert train is not None
    altered = [index for index, entry in enumerate(train.entries) if "~" in entry.id]
    assert len(altered) == len(train) // 2
    batch = train.batch([altered[0] - 1, altered[0]])
    assert all(not torch.equal(x[0], x[1]) for x in batch.features.values()), "of ssl and of each spectral feature"


# -- the same again ---------------------------------------------------------------------


def test_a_stopped_mixture_of_experts_goes_on_as_if_it_had_never_stopped(space: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ("model.ssl_spectral_moe.aux_expert=mel", "model.ssl_spectral_moe.gate_balance=0.1")
    whole = space.train("whole", *settings)

    def interrupt(trainer: Trainer) -> bool:
        if trainer.progress.epoch == 1:
            raise KeyboardInterrupt
        return False

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "exhausted", interrupt)
        with pytest.raises(KeyboardInterrupt):
            space.train("stopped", *settings)
    space.run("train", *settings, run_name="stopped", resume=True)
    stopped = Run(space.runs / "stopped")
    assert history_of(stopped) == history_of(whole)
    assert weights_of(stopped) == weights_of(whole)
    assert digest(load_checkpoint(stopped.last)["optimizer"]) == digest(load_checkpoint(whole.last)["optimizer"])
    assert stopped.predictions.read_bytes() == whole.predictions.read_bytes()
    assert metrics_of(stopped) == metrics_of(whole)


def test_a_run_is_not_resumed_with_another_backbone_behind_the_same_path(spectral: Workspace, tmp_path: Path) -> None:
    backbone = tmp_path / "backbone"
    save_backbone(backbone, "wavlm")
    space = copy_of(spectral, tmp_path, backbone)
    space.run("transform,load")
    run = space.train("mine", ONE_EPOCH)
    run.metrics.unlink()
    shutil.rmtree(backbone)
    save_backbone(backbone, "wavlm", seed=1)
    with pytest.raises(DataError, match="run the transform step"):
        space.run("train", ONE_EPOCH, run_name="mine", resume=True)
    space.run("transform,load")
    with pytest.raises(DataError, match=r"mine began with another extractors\.ssl\.ingredients\.backbone\.sha256"):
        space.run("train", ONE_EPOCH, run_name="mine", resume=True)
