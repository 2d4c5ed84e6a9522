"""The loop learns, selects on val, and depends on nothing but the data, the config and the seed."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ser.config import ExperimentConfig, SpecAugmentConfig, TrainConfig
from ser.errors import ArtefactError, DataError
from ser.families import SSL
from ser.runs.checkpoint import digest, load_checkpoint
from ser.runs.history import HISTORY_COLUMNS, TrainingScores
from ser.runs.run import Run
from ser.system.files import write_text
from ser.system.tables import read_table
from ser.training.batches import SpeechDataset
from ser.training.losses import FocalLoss, gate_imbalance
from ser.training.specaugment import spec_augment
from ser.training.trainer import Trainer, make_optimizer
from toys import DIMS, TINY_MOE, make_trainer, moe_config, new_run, tiny_model, toy_dataset

LABELS = [0, 1] * 8


@pytest.fixture
def train(tmp_path: Path) -> SpeechDataset:
    return toy_dataset(tmp_path / "train", LABELS)


@pytest.fixture
def val(tmp_path: Path) -> SpeechDataset:
    return toy_dataset(tmp_path / "val", LABELS[:6], seed=1)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return new_run(tmp_path / "run")


def scripted(trainer: Trainer, monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> None:
    """Let val UAR be these numbers, one for each epoch, and training take no time."""
    waiting = iter(scores)
    row = {"val_loss": 1.0, "val_wa": 0.5, "val_macro_f1": 0.5}
    monkeypatch.setattr(trainer, "validate", lambda: row | {"val_uar": next(waiting)})
    monkeypatch.setattr(trainer, "train_epoch", lambda epoch: {"train_loss": 1.0, "train_uar": 0.5})


def weights_of(model: nn.Module) -> str:
    return digest({name: tensor.contiguous() for name, tensor in model.state_dict().items()})


# learning rate


@pytest.mark.parametrize(
    ("scheduler", "warmup", "step", "expected"),
    [
        # 2 batches an epoch, 10 epochs: 20 steps
        ("constant", 0.0, 0, 1.0),
        ("constant", 0.0, 19, 1.0),
        ("constant", 2.0, 0, 0.2),
        ("constant", 2.0, 3, 0.8),
        ("constant", 2.0, 4, 1.0),
        ("cosine", 0.0, 0, 1.0),
        ("cosine", 0.0, 5, (1 + math.sqrt(0.5)) / 2),
        ("cosine", 0.0, 10, 0.5),
        ("cosine", 0.0, 20, 0.0),
        ("cosine", 0.0, 30, 0.0),
        ("cosine", 2.0, 1, 0.4),
        ("cosine", 2.0, 4, 1.0),
        ("cosine", 2.0, 12, 0.5),
        ("cosine", 0.5, 0, 0.5),
        ("cosine", 20.0, 39, 40 / 41),
        ("cosine", 20.0, 40, 1.0),
    ],
)
def test_the_learning_rate_warms_up_and_falls(train: SpeechDataset, scheduler: str, warmup: float, step: int, expected: float) -> None:
    trainer = make_trainer(train, None, epochs=10, learning_rate=1.0, scheduler=scheduler, warmup_epochs=warmup)
    assert trainer.steps_per_epoch == 2
    assert trainer.learning_rate(step) == pytest.approx(expected, abs=1e-12)


def test_every_step_is_made_at_its_learning_rate(train: SpeechDataset, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(train, None, epochs=3)
    used: list[float] = []
    original = trainer.optimizer.step

    def step() -> None:
        used.append(trainer.optimizer.param_groups[1]["lr"])
        original()

    monkeypatch.setattr(trainer.optimizer, "step", step)
    progress = trainer.fit(run)
    assert used == [trainer.learning_rate(step) for step in range(6)]
    assert [row["learning_rate"] for row in progress.history] == used[1::2]
    assert used[-1] < 0.2 * max(used)


# learning


def test_eight_utterances_are_learnt_by_heart(tmp_path: Path, run: Run) -> None:
    """From noise alone: what is learnt is these clips, each with the label that it stands beside."""
    data = toy_dataset(tmp_path / "store", [0, 1, 2, 0, 1, 2, 0, 1], signal=0.0)
    trainer = make_trainer(data, data, epochs=60, learning_rate=2e-2, weight_decay=0.0, label_smoothing=0.0, patience=60)
    for layer in trainer.model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    last = trainer.fit(run).history[-1]
    assert last["train_loss"] < 0.02
    assert (last["train_uar"], last["val_uar"], last["val_wa"], last["val_macro_f1"]) == (1, 1, 1, 1)
    assert last["val_loss"] is not None
    assert last["val_loss"] < 0.05


def test_what_was_learnt_holds_for_other_clips(train: SpeechDataset, val: SpeechDataset, run: Run) -> None:
    progress = make_trainer(train, val, epochs=15, learning_rate=1e-2, patience=15).fit(run)
    assert progress.best_uar == 1.0
    first, last = (row["val_loss"] for row in (progress.history[0], progress.history[-1]))
    assert first is not None
    assert last is not None
    assert first > last


@pytest.mark.parametrize(
    "values",
    [
        {"loss": "focal"},
        {"loss": "focal", "focal_gamma": 0.5, "class_weights": "none"},
        {"sampler": "class"},
        {"sampler": "corpus-class"},
        {"optimizer": "sgd"},
        {"optimizer": "adam"},
        {"scheduler": "constant", "warmup_epochs": 0},
        {"precision": "bf16"},
        {"batch_size": 1},
        {"batch_size": 5},
        {"batch_size": 100, "bucket_clips": 1},
    ],
    ids=str,
)
def test_every_way_to_train_runs_and_learns_something(train: SpeechDataset, run: Run, values: dict[str, Any]) -> None:
    trainer = make_trainer(train, None, SpecAugmentConfig(), **values)
    before = weights_of(trainer.model)
    progress = trainer.fit(run)
    assert all(math.isfinite(row["train_loss"]) and 0 <= row["train_uar"] <= 1 for row in progress.history)
    assert weights_of(trainer.model) != before
    assert trainer.bf16 is (values.get("precision") == "bf16")
    assert {tensor.dtype for tensor in trainer.model.parameters()} == {torch.float32}


def test_rare_classes_weigh_more_only_when_asked_for(tmp_path: Path) -> None:
    data = toy_dataset(tmp_path / "store", [0, 0, 0, 1])
    logits, labels = torch.zeros(4, 2), torch.tensor([0, 0, 0, 1])
    logits[:, 0] = 1.0
    balanced, plain = (make_trainer(data, None, class_weights=kind, label_smoothing=0).loss for kind in ("balanced", "none"))
    assert isinstance(balanced, nn.CrossEntropyLoss)
    assert isinstance(plain, nn.CrossEntropyLoss)
    assert plain.weight is None
    torch.testing.assert_close(balanced.weight, torch.tensor([2 / 3, 2.0]))
    assert balanced(logits, labels) > plain(logits, labels)
    focal = make_trainer(data, None, loss="focal").loss
    assert isinstance(focal, FocalLoss)
    assert focal.weights is not None


def test_the_loss_of_an_epoch_is_the_mean_over_its_clips(train: SpeechDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(train, None, batch_size=6)
    losses = iter([1.0, 2.0, 3.0])
    sizes: list[int] = []

    def step(batch: Any, number: int, masks: Any) -> tuple[float, Tensor]:
        sizes.append(len(batch.ids))
        return next(losses), batch.label

    monkeypatch.setattr(trainer, "step", step)
    row = trainer.train_epoch(1)
    assert row["train_loss"] == pytest.approx(np.average([1, 2, 3], weights=sizes))
    assert row["train_uar"] == 1.0
    assert sorted(sizes) == [4, 6, 6]


# randomness


@pytest.mark.parametrize("sampler", ["shuffle", "class", "corpus-class"])
def test_an_epoch_depends_on_seed_and_number_alone(train: SpeechDataset, sampler: str) -> None:
    """Not on the epochs before, nor on whoever drew from the global generators."""
    masked = SpecAugmentConfig(freq_masks=2, time_masks=2, freq_share=0.5, time_share=0.5)
    one, two = (make_trainer(train, None, masked, sampler=sampler) for _ in range(2))
    start = copy.deepcopy(one.model.state_dict())
    one.train_epoch(1)
    one.train_epoch(2)
    one.model.load_state_dict(start)
    one.optimizer = make_optimizer(one.model, one.config)
    torch.rand(7)
    np.random.rand(3)  # noqa: NPY002 - somebody else's draw
    assert one.train_epoch(3) == two.train_epoch(3)
    assert weights_of(one.model) == weights_of(two.model)


def test_epochs_and_seeds_differ(train: SpeechDataset) -> None:
    def order(seed: int, epoch: int) -> str:
        return digest([batch.tolist() for batch in make_trainer(train, None, seed=seed, batch_size=4, bucket_clips=8).batches(epoch)])

    assert len({order(seed, epoch) for seed in (0, 1, 42) for epoch in (1, 2, 3)}) == 9


def test_the_same_seed_gives_the_same_run(train: SpeechDataset, val: SpeechDataset, tmp_path: Path) -> None:
    one, two = (make_trainer(train, val, SpecAugmentConfig()) for _ in range(2))
    for trainer, name in ((one, "one"), (two, "two")):
        trainer.fit(new_run(tmp_path / name))
    assert weights_of(one.model) == weights_of(two.model)
    assert without_seconds(one.progress.history) == without_seconds(two.progress.history)


def without_seconds(history: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def test_val_sees_no_augmentation_and_no_dropout(train: SpeechDataset, val: SpeechDataset) -> None:
    trainer = make_trainer(train, val, SpecAugmentConfig(time_share=1.0))
    assert trainer.validate() == trainer.validate()


def test_masks_fall_on_training_batches_only_within_the_real_frames(train: SpeechDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(train, None, SpecAugmentConfig(freq_masks=0, time_masks=3, time_share=1.0))
    seen: list[tuple[Tensor, Tensor]] = []

    def spy(feature: Tensor, lengths: Tensor, *rest: Any) -> Tensor:
        masked = spec_augment(feature, lengths, *rest)
        seen.append((feature, masked))
        return masked

    monkeypatch.setattr("ser.training.trainer.spec_augment", spy)
    trainer.train_epoch(1)
    assert len(seen) == 3 * trainer.steps_per_epoch
    assert all((masked == 0).sum() > (feature == 0).sum() for feature, masked in seen)


def test_masks_leave_the_frames_of_the_backbone_as_they_are(tmp_path: Path) -> None:
    data = toy_dataset(tmp_path / "moe", LABELS, names=(SSL, *DIMS))
    trainer = make_trainer(data, None, SpecAugmentConfig(freq_masks=3, freq_share=1.0, time_masks=3, time_share=1.0), model=moe_config())
    batch = data.batch(range(8))
    masked = trainer.masked(batch, torch.Generator().manual_seed(0))
    assert torch.equal(masked.features[SSL], batch.features[SSL])
    for name in DIMS:
        assert (masked.features[name] == 0).sum() > (batch.features[name] == 0).sum()
    assert list(masked.features) == list(batch.features)
    assert (masked.lengths, masked.ids) == (batch.lengths, batch.ids)
    assert torch.equal(masked.label, batch.label)


# a mixture of experts


MOE_WAYS: list[dict[str, Any]] = [
    {},
    {"fusion": "concat"},
    {"aux_expert": "mel", "gate_balance": 0.1},
    {"aux_expert": SSL, "fusion": "concat"},
]


@pytest.mark.parametrize("changes", MOE_WAYS, ids=str)
def test_a_mixture_of_experts_learns(tmp_path: Path, run: Run, changes: dict[str, Any]) -> None:
    names = (SSL, *DIMS)
    train, val = (toy_dataset(tmp_path / name, LABELS, seed, names) for seed, name in enumerate(("train", "val")))
    model = moe_config(names, TINY_MOE.model_copy(update=changes))
    progress = make_trainer(train, val, SpecAugmentConfig(), model=model, epochs=12, learning_rate=2e-2, patience=12).fit(run)
    assert progress.best_uar > 0.9
    assert progress.history[-1]["train_loss"] < progress.history[0]["train_loss"]


@pytest.mark.parametrize("names", [(SSL,), ("mel",), (SSL, "chroma"), tuple(DIMS)], ids=str)
def test_any_choice_of_experts_trains(tmp_path: Path, run: Run, names: tuple[str, ...]) -> None:
    data = toy_dataset(tmp_path / "moe", LABELS, names=names)
    trainer = make_trainer(data, None, SpecAugmentConfig(), model=moe_config(names), epochs=1)
    before = weights_of(trainer.model)
    trainer.fit(run)
    assert weights_of(trainer.model) != before


def test_the_loss_of_a_step_holds_the_auxiliary_loss_and_the_imbalance_of_the_gate(tmp_path: Path) -> None:
    data = toy_dataset(tmp_path / "moe", LABELS, names=(SSL, *DIMS))
    still = {
        "dropout": 0.0,
        "ssl": TINY_MOE.ssl.model_copy(update={"dropout": 0.0}),
        "spectral": TINY_MOE.spectral.model_copy(update={"dropout": 0.0}),
    }
    extra = {"aux_expert": "mel", "aux_weight": 0.4, "gate_balance": 0.2}
    trainer = make_trainer(data, None, model=moe_config(config=TINY_MOE.model_copy(update=still | extra)))
    batch = data.batch(range(8))
    output = trainer.model(batch.features, batch.lengths)
    expected = trainer.loss(output.logits, batch.label) + 0.4 * trainer.loss(output.aux_logits, batch.label)
    expected = expected + 0.2 * gate_imbalance(output.gate)
    assert trainer.step(batch, 0, torch.Generator())[0] == pytest.approx(expected.item(), rel=1e-5)


# selection


def test_training_stops_when_val_has_not_risen_for_patience_epochs(
    train: SpeechDataset, val: SpeechDataset, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(train, val, epochs=20, patience=3)
    scripted(trainer, monkeypatch, [0.3, 0.5, 0.4, 0.6, 0.6, 0.1, 0.6, 0.9])
    progress = trainer.fit(run)
    assert (progress.epoch, progress.best_epoch, progress.best_uar) == (7, 4, 0.6)
    assert load_checkpoint(run.best)["epoch"] == 4
    assert load_checkpoint(run.last)["progress"]["epoch"] == 7


def test_an_epoch_of_uar_zero_can_be_the_best(train: SpeechDataset, val: SpeechDataset, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(train, val, epochs=2)
    scripted(trainer, monkeypatch, [0.0, 0.0])
    assert trainer.fit(run).best_epoch == 1


def test_best_weights_are_those_of_the_best_epoch(
    train: SpeechDataset, val: SpeechDataset, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(train, val, epochs=3)
    states: list[str] = []
    scores = iter([0.2, 0.8, 0.5])

    def validate() -> dict[str, float]:
        states.append(weights_of(trainer.model))
        return {"val_loss": 1.0, "val_uar": next(scores), "val_wa": 0.5, "val_macro_f1": 0.5}

    monkeypatch.setattr(trainer, "validate", validate)
    trainer.fit(run)
    assert digest(load_checkpoint(run.best)["weights"]) == states[1]
    assert digest(load_checkpoint(run.last)["weights"]) == states[2]
    assert len(set(states)) == 3


def test_without_val_the_last_epoch_counts_and_patience_does_not(train: SpeechDataset, run: Run) -> None:
    progress = make_trainer(train, None, epochs=4, patience=1).fit(run)
    assert (progress.epoch, progress.best_epoch) == (4, 4)
    best = load_checkpoint(run.best)
    assert (best["epoch"], best["val_uar"]) == (4, None)
    assert [row["val_uar"] for row in read_table(run.history, HISTORY_COLUMNS)] == [""] * 4


def test_a_nan_on_val_stops_the_run_and_the_best_stays(train: SpeechDataset, val: SpeechDataset, run: Run) -> None:
    trainer = make_trainer(train, val, epochs=5)
    trainer.run_epoch(run)
    best, last = run.best.read_bytes(), run.last.read_bytes()
    original = trainer.train_epoch

    def diverge(epoch: int) -> TrainingScores:
        row = original(epoch)
        with torch.no_grad():
            next(trainer.model.parameters()).fill_(math.nan)
        return row

    trainer.train_epoch = diverge  # type: ignore[method-assign]
    with pytest.raises(DataError, match="not finite"):
        trainer.fit(run)
    assert (run.best.read_bytes(), run.last.read_bytes()) == (best, last)
    assert len(read_table(run.history, HISTORY_COLUMNS)) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_batch(
    train: SpeechDataset, run: Run, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    trainer = make_trainer(train, None)
    before = [parameter.detach().clone() for parameter in trainer.model.parameters()]
    monkeypatch.setattr(trainer, "loss", lambda logits, labels: logits.sum() * value)
    with pytest.raises(DataError, match=r"the loss is (nan|inf|-inf) at step 0 \(batch with clip\d+, clip\d+, clip\d+\.\.\.\): lower"):
        trainer.fit(run)
    assert not run.best.exists()
    assert not run.last.exists()
    assert all(map(torch.equal, before, trainer.model.parameters()))


# steps


def test_a_gradient_is_clipped_to_the_norm_of_the_config(train: SpeechDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    norms: dict[float, float] = {}
    for limit in (1e-3, 1e3):
        trainer = make_trainer(train, None, optimizer="sgd", grad_clip=limit)
        trainer.step(train.batch(range(8)), 0, torch.Generator())
        gradients = [parameter.grad for parameter in trainer.model.parameters() if parameter.grad is not None]
        norms[limit] = torch.cat([gradient.flatten() for gradient in gradients]).norm().item()
    assert norms[1e-3] == pytest.approx(1e-3, rel=1e-3)
    assert 1e-2 < norms[1e3] < 1e3


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)])
def test_optimizers_decay_matrices_and_kernels_only(name: str, kind: type[torch.optim.Optimizer]) -> None:
    model = tiny_model()
    optimizer = make_optimizer(model, TrainConfig.model_validate({"optimizer": name, "weight_decay": 0.3, "learning_rate": 0.5}))
    assert type(optimizer) is kind
    decayed, plain = optimizer.param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
    assert (decayed["lr"], plain["lr"]) == (0.5, 0.5)
    assert all(parameter.ndim > 1 for parameter in decayed["params"])
    assert all(parameter.ndim <= 1 for parameter in plain["params"])
    assert len(decayed["params"]) + len(plain["params"]) == len(list(model.parameters()))


def test_frozen_weights_are_left_out() -> None:
    model = tiny_model()
    model.gru.requires_grad_(False)
    groups = make_optimizer(model, TrainConfig()).param_groups
    taken = {id(parameter) for group in groups for parameter in group["params"]}
    assert taken == {id(parameter) for parameter in model.parameters() if parameter.requires_grad}


# resume


def assert_resumes_as_if_never_stopped(folder: Path, make: Callable[[], Trainer]) -> None:
    """Killed in the third epoch of five."""
    whole, broken = new_run(folder / "whole"), new_run(folder / "broken")
    undisturbed, stopped, resumed = make(), make(), make()
    undisturbed.fit(whole)
    stopped.run_epoch(broken)
    stopped.run_epoch(broken)
    stopped.train_epoch(3)  # lost with the kill
    torch.rand(5)
    resumed.resume(broken)
    progress = resumed.fit(broken)
    assert weights_of(resumed.model) == weights_of(undisturbed.model)
    assert without_seconds(progress.history) == without_seconds(undisturbed.progress.history)
    assert (progress.best_epoch, progress.best_uar) == (undisturbed.progress.best_epoch, undisturbed.progress.best_uar)
    assert digest(load_checkpoint(broken.best)) == digest(load_checkpoint(whole.best))
    columns = [name for name in HISTORY_COLUMNS if name != "seconds"]
    tables = [[[row[name] for name in columns] for row in read_table(run.history, HISTORY_COLUMNS)] for run in (broken, whole)]
    assert tables[0] == tables[1]


@pytest.mark.parametrize("values", [{}, {"optimizer": "sgd"}, {"sampler": "class", "precision": "bf16"}], ids=str)
@pytest.mark.parametrize("with_val", [True, False])
def test_a_resumed_run_ends_as_if_it_had_never_stopped(
    train: SpeechDataset, val: SpeechDataset, tmp_path: Path, values: dict[str, Any], with_val: bool
) -> None:
    assert_resumes_as_if_never_stopped(
        tmp_path, lambda: make_trainer(train, val if with_val else None, SpecAugmentConfig(), epochs=5, **values)
    )


@pytest.mark.parametrize("changes", MOE_WAYS, ids=str)
def test_a_resumed_mixture_of_experts_ends_as_if_it_had_never_stopped(tmp_path: Path, changes: dict[str, Any]) -> None:
    names = (SSL, *DIMS)
    train, val = (toy_dataset(tmp_path / name, LABELS, seed, names) for seed, name in enumerate(("train", "val")))
    model = moe_config(names, TINY_MOE.model_copy(update=changes))
    assert_resumes_as_if_never_stopped(tmp_path, lambda: make_trainer(train, val, SpecAugmentConfig(), model=model, epochs=5))


def test_resume_without_a_whole_epoch_starts_anew(train: SpeechDataset, run: Run) -> None:
    trainer = make_trainer(train, None)
    before = weights_of(trainer.model)
    trainer.resume(run)
    assert trainer.progress.epoch == 0
    assert weights_of(trainer.model) == before


def test_resume_writes_the_line_of_history_that_a_kill_left_out(train: SpeechDataset, run: Run) -> None:
    """history.csv is written after last.pth."""
    trainer = make_trainer(train, None)
    trainer.run_epoch(run)
    content = run.history.read_bytes()
    run.history.unlink()
    make_trainer(train, None).resume(run)
    assert run.history.read_bytes() == content


def test_a_finished_run_that_is_resumed_trains_no_further(train: SpeechDataset, run: Run) -> None:
    make_trainer(train, None).fit(run)
    best = run.best.read_bytes()
    again = make_trainer(train, None)
    again.resume(run)
    assert again.fit(run).epoch == 3
    assert run.best.read_bytes() == best


def test_a_damaged_last_checkpoint_is_an_error(train: SpeechDataset, run: Run) -> None:
    write_text(run.last, "nothing")
    with pytest.raises(ArtefactError, match=r"last\.pth"):
        make_trainer(train, None).resume(run)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"classes": ["a", "b"]}, r'classes \(\["class0", "class1"\] in the run, \["a", "b"\] now\)'),
        ({"certificate": "2"}, r'certificate \("1" in the run, "2" now\)'),
        ({"normaliser": {"mean": torch.ones(2)}}, r"normaliser\.mean"),
        ({"model": {"features": ["mel"]}}, r'model\.features \(\["mel", "mfcc"\] in the run, \["mel"\] now\)'),
        ({"more": 1}, r"more \(null in the run, 1 now\)"),
    ],
)
def test_a_run_on_other_data_is_not_resumed(train: SpeechDataset, run: Run, changed: dict[str, Any], named: str) -> None:
    trainer, again = (make_trainer(train, None) for _ in range(2))
    header = {"certificate": "1", "normaliser": {"mean": torch.zeros(2)}, "model": {"features": ["mel", "mfcc"]}}
    trainer.header |= {**header, "ser_version": "0.1"}
    trainer.run_epoch(run)
    again.header |= {**header, "ser_version": "0.2"}
    again.resume(run)
    assert again.progress.epoch == 1
    again.header |= changed
    with pytest.raises(DataError, match=f"another {named}: .*start a new run"):
        again.resume(run)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ({}, ""),
        ({"precision": "bf16"}, 'precision ("bf16" in the run, "fp32" now)'),
        ({"device": "cuda", "threads": 99}, 'device ("cuda" in the run, "cpu" now), threads (99 in the run, '),
    ],
)
def test_a_run_may_go_on_elsewhere_with_a_warning(
    train: SpeechDataset, run: Run, caplog: pytest.LogCaptureFixture, before: dict[str, Any], said: str
) -> None:
    trainer = make_trainer(train, None)
    trainer.ran_on |= before
    trainer.run_epoch(run)
    make_trainer(train, None).resume(run)
    assert said in caplog.text
    assert ("results may differ in the last bits" in caplog.text) is bool(said)


def test_a_gradient_that_is_not_finite_leaves_the_weights(train: SpeechDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finite loss may have an infinite slope: a root at 0."""
    trainer = make_trainer(train, None)
    before = [parameter.detach().clone() for parameter in trainer.model.parameters()]
    monkeypatch.setattr(trainer, "loss", lambda logits, labels: (logits * 0).sum().sqrt())
    with pytest.raises(DataError, match=r"the gradient is nan at step 0 \(batch with clip"):
        trainer.step(train.batch([0, 1]), 0, torch.Generator())
    assert all(map(torch.equal, before, trainer.model.parameters()))


def test_best_checkpoints_hold_the_header_and_contiguous_weights(train: SpeechDataset, run: Run) -> None:
    trainer = make_trainer(train, None, epochs=1)
    trainer.fit(run)
    best = load_checkpoint(run.best)
    assert best["classes"] == ["class0", "class1"]
    assert "optimizer" not in best
    assert all(tensor.is_contiguous() for tensor in best["weights"].values())
    fresh = tiny_model(2)
    fresh.load_state_dict(best["weights"])
    assert weights_of(fresh) == weights_of(trainer.model)


def test_a_class_without_a_clip_cannot_be_weighed(train: SpeechDataset) -> None:
    config = ExperimentConfig(train=TrainConfig(device="cpu"))
    with pytest.raises(DataError, match="no clip of class 2"):
        Trainer(tiny_model(3), train, None, config, 3, {"classes": ["a", "b", "c"]})


def test_every_epoch_is_one_line_of_the_log(train: SpeechDataset, val: SpeechDataset, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "ser.training.trainer"):
        make_trainer(train, val, epochs=2).fit(run)
    first, *epochs = [record.getMessage() for record in caplog.records]
    assert first.startswith("training on cpu in fp32: 16 utterances, 2 batches an epoch, ")
    assert [line.split("  ")[0] for line in epochs] == ["epoch 1/2", "epoch 2/2"]
    assert epochs[0].endswith("best")
