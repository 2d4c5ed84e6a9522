"""The training loop. The randomness of an epoch depends only on (seed, epoch), so a resumed run continues as if it had not stopped."""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from ser.config import ExperimentConfig, TrainConfig
from ser.errors import DataError
from ser.evaluation.confidence import log_loss
from ser.evaluation.metrics import confusion_matrix, macro_f1, uar, wa
from ser.features.registry import masked_features
from ser.models.base import Order
from ser.runs.checkpoint import digest, fitting, load_checkpoint, save_checkpoint
from ser.runs.compare import contrast, flatten
from ser.runs.history import HistoryRow, TrainingScores, ValidationScores, write_history
from ser.runs.run import Run
from ser.system.console import ALIVE
from ser.system.device import choose_device, resolved, use_bf16
from ser.system.progress import track
from ser.training.batches import Batch, SpeechDataset, draw, length_buckets
from ser.training.losses import ExtraLosses, class_weights, make_loss
from ser.training.predict_split import predict_dataset
from ser.training.specaugment import spec_augment
from ser.training.tracking import EventFile

log = logging.getLogger(__name__)

Header = dict[str, object]
"""Content of a checkpoint besides the weights: plain values and tensors by name."""
DeviceFacts = Mapping[str, str | int]
"""Device, precision and threads of a training."""

NOT_COMPARED = {"ser_version", "backbone"}
"""Keys of the header that may differ in a resumed run: the version of the program and the location of the backbone's files. The content of
these files is compared through `extractors`."""


@dataclass
class Progress:
    """State of a training after a completed epoch."""

    epoch: int = 0
    best_epoch: int = 0
    best_uar: float = -1.0
    history: list[HistoryRow] = field(default_factory=list)

    def stale(self) -> int:
        """Number of epochs since the best one."""
        return self.epoch - self.best_epoch


class Trainer:
    """Trains a model. Without a validation set, the last epoch counts as the best.

    Args:
        model: network with initial weights.
        train_data: the training set.
        val_data: the validation set, or None.
        experiment: the whole config, of which the sections train, specaugment, model and tracking and the seed are used.
        num_classes: C.
        header: stored in every checkpoint.
    """

    def __init__(
        self,
        model: nn.Module,
        train_data: SpeechDataset,
        val_data: SpeechDataset | None,
        experiment: ExperimentConfig,
        num_classes: int,
        header: Header,
    ) -> None:
        self.config = experiment.train
        self.specaugment = experiment.specaugment
        self.masked_names = masked_features(experiment.model.features)
        self.seed = experiment.project.seed
        self.header = header
        self.num_classes = num_classes
        self.extra_losses = ExtraLosses.from_config(experiment.model)
        self.tensorboard = experiment.tracking.tensorboard
        self.device = choose_device(self.config)
        self.bf16 = use_bf16(self.config, self.device)
        self.ran_on = resolved(self.device, self.bf16)
        self.model: nn.Module = model.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.train_data, self.val_data = train_data, val_data
        targets = torch.from_numpy(train_data.labels if train_data.targets is None else train_data.targets)
        weights = class_weights(targets, num_classes) if self.config.class_weights == "balanced" else None
        self.loss = make_loss(self.config, weights).to(self.device)
        self.optimizer = make_optimizer(self.model, self.config)
        self.steps_per_epoch = len(self.batches(epoch=1))
        self.progress = Progress()

    def fit(self, run: Run) -> Progress:
        """Train until the last epoch, or until val UAR has not improved for `patience` epochs. Writes best.pth, last.pth and history.csv.

        Raises:
            DataError: the loss is not finite; the last checkpoint is kept.
        """
        self.log_start()
        events = EventFile(run.tensorboard, self.progress.history) if self.tensorboard else None
        while self.progress.epoch < self.config.epochs and not self.exhausted():
            self.run_epoch(run)
            if events:
                events.add(self.progress.history[-1])
        return self.progress

    def exhausted(self) -> bool:
        return self.val_data is not None and self.progress.stale() >= self.config.patience

    def log_start(self) -> None:
        size = sum(parameter.numel() for parameter in self.model.parameters())
        log.info(
            "training on %s in %s: %d utterances, %d batches an epoch, %d parameters",
            self.device,
            self.ran_on["precision"],
            len(self.train_data),
            self.steps_per_epoch,
            size,
        )

    def run_epoch(self, run: Run) -> None:
        """Train one epoch, then write its checkpoints and history, in this order: an interruption loses at most one epoch."""
        start = time.monotonic()
        epoch = self.progress.epoch + 1
        train_scores = self.train_epoch(epoch)
        val_scores = self.validate()
        row: HistoryRow = {
            "epoch": epoch,
            **train_scores,
            **val_scores,
            "learning_rate": self.learning_rate(epoch * self.steps_per_epoch - 1),
            "seconds": round(time.monotonic() - start, 2),
        }
        val_uar = row["val_uar"]
        better = val_uar is None or val_uar > self.progress.best_uar
        self.progress.epoch = epoch
        self.progress.history.append(row)
        if better:
            self.progress.best_epoch = epoch
            self.progress.best_uar = self.progress.best_uar if val_uar is None else val_uar
            save_checkpoint(run.best, self.best_content(row))
        save_checkpoint(run.last, self.last_content())
        write_history(run, self.progress.history)
        log.log(ALIVE, "%s%s", format_row(row, self.config.epochs), "  best" if better else "")

    def train_epoch(self, epoch: int) -> TrainingScores:
        """Update the weights with each batch of an epoch."""
        epoch_seed = self.seed * 100_003 + epoch
        torch.manual_seed(epoch_seed)
        masks = torch.Generator().manual_seed(epoch_seed)
        self.model.train()
        confusion = np.zeros((self.num_classes, self.num_classes), np.int64)
        total = 0.0
        batches = self.batches(epoch)
        with track(f"epoch {epoch}", sum(map(len, batches)), "clips") as advance:
            for step, indices in enumerate(batches):
                batch = self.train_data.batch(indices)
                loss, predicted = self.step(batch, (epoch - 1) * self.steps_per_epoch + step, masks)
                total += loss * len(indices)
                confusion += confusion_matrix(batch.label.numpy(), predicted.numpy(), self.num_classes)
                advance(len(indices))
        return {"train_loss": total / int(confusion.sum()), "train_uar": float(uar(confusion))}

    def batches(self, epoch: int) -> list[Order]:
        """Positions of the clips of each batch of an epoch."""
        generator = np.random.default_rng([self.seed, epoch])
        order = draw(self.train_data.entries, self.config.sampler, self.config.sampler_balance, generator)
        return length_buckets(order, self.train_data.lengths, self.config.batch_size, self.config.bucket_clips, generator)

    def step(self, batch: Batch, number: int, masks: torch.Generator) -> tuple[float, Tensor]:
        """Update the weights once; return the loss and the predicted classes."""
        moved = self.masked(batch, masks).to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(number)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            output = self.model(moved.features, moved.lengths)
        loss = self.extra_losses.total(self.loss, output, moved.label if moved.target is None else moved.target)
        value = float(loss.detach())
        first = ", ".join(batch.ids[:3])
        if not math.isfinite(value):
            raise DataError(f"the loss is {value} at step {number} (batch with {first}...): lower train.learning_rate")
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip))
        if not math.isfinite(norm):
            raise DataError(f"the gradient is {norm} at step {number} (batch with {first}...): lower train.learning_rate")
        self.optimizer.step()
        return value, output.logits.detach().argmax(dim=-1).cpu()

    def masked(self, batch: Batch, masks: torch.Generator) -> Batch:
        """Apply SpecAugment to the features whose family allows it; the frames of a backbone are not masked."""
        features = {
            name: spec_augment(frames, batch.lengths[name], self.specaugment, masks) if name in self.masked_names else frames
            for name, frames in batch.features.items()
        }
        return replace(batch, features=features)

    def learning_rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then half a cosine down to 0 (Loshchilov & Hutter 2017) or constant."""
        warmup = self.config.warmup_epochs * self.steps_per_epoch
        if step < warmup:
            return self.config.learning_rate * (step + 1) / (warmup + 1)
        if self.config.scheduler == "constant":
            return self.config.learning_rate
        share = (step - warmup) / max(self.config.epochs * self.steps_per_epoch - warmup, 1)
        return self.config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))

    def validate(self) -> ValidationScores:
        """Scores of the current weights on the validation set."""
        if self.val_data is None:
            return {"val_loss": None, "val_uar": None, "val_wa": None, "val_macro_f1": None}
        probabilities = predict_dataset(self.model, self.val_data, self.device).probabilities
        if not np.isfinite(probabilities).all():
            raise DataError("the model's outputs on val are not finite: lower train.learning_rate")
        confusion = confusion_matrix(self.val_data.labels, probabilities.argmax(axis=1), self.num_classes)
        return {
            "val_loss": log_loss(probabilities, self.val_data.labels),
            "val_uar": float(uar(confusion)),
            "val_wa": float(wa(confusion)),
            "val_macro_f1": float(macro_f1(confusion)),
        }

    def best_content(self, row: HistoryRow) -> dict[str, object]:
        """Content of best.pth: everything necessary for prediction."""
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.model.state_dict().items()}
        return {**self.header, "epoch": row["epoch"], "val_uar": row["val_uar"], "weights": weights}

    def last_content(self) -> dict[str, object]:
        """Content of last.pth: everything necessary to resume the training."""
        progress = {name: getattr(self.progress, name) for name in ("epoch", "best_epoch", "best_uar", "history")}
        state = {"weights": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "progress": progress}
        return {**self.header, "ran_on": self.ran_on, **state}

    def resume(self, run: Run) -> None:
        """Continue from last.pth. A run that was stopped before the end of its first epoch starts again.

        Raises:
            ArtefactError: last.pth is corrupted, or of another network.
            DataError: it was trained on another split or other features, so its training speakers could be in the test set.
        """
        if not run.last.exists():
            log.info("%s has no completed epoch yet: starting from the first", run.folder)
            return
        content = load_checkpoint(run.last)
        differing = header_differences(content, self.header)
        if differing:
            raise DataError(f"{run.folder} began with another {', '.join(differing)}: what it was trained on has changed; start a new run")
        with fitting(run.last):
            self.model.load_state_dict(content["weights"])
            self.optimizer.load_state_dict(content["optimizer"])
            self.progress = Progress(**content["progress"])
        self.warn_of_other_hardware(content.get("ran_on", {}))
        write_history(run, self.progress.history)
        log.info("resuming %s after epoch %d", run.folder, self.progress.epoch)

    def warn_of_other_hardware(self, before: DeviceFacts) -> None:
        """Log a warning if device, precision or threads differ, because the last bits of the result may then differ."""
        changed = [contrast(key, before[key], now) for key, now in self.ran_on.items() if before.get(key, now) != now]
        if changed:
            log.warning("resuming with another %s: results may differ in the last bits", ", ".join(changed))


def header_differences(stored: Mapping[str, object], header: Header) -> list[str]:
    """Differences between a checkpoint's header and the current one, with both values, except for the keys in `NOT_COMPARED`."""
    then = flatten({key: stored.get(key) for key in header if key not in NOT_COMPARED})
    now = flatten({key: value for key, value in header.items() if key not in NOT_COMPARED})
    return [contrast(key, then.get(key), now.get(key)) for key in then | now if digest(then.get(key)) != digest(now.get(key))]


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Build the optimiser. Weight decay applies only to matrices and kernels, not to biases and normalisation layers."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    match config.optimizer:
        case "sgd":
            return torch.optim.SGD(groups, lr=config.learning_rate, momentum=0.9, nesterov=True)
        case "adam":
            return torch.optim.Adam(groups, lr=config.learning_rate)
        case "adamw":
            return torch.optim.AdamW(groups, lr=config.learning_rate)


def format_row(row: HistoryRow, epochs: int) -> str:
    """Line of the log for one epoch."""
    val = "" if row["val_uar"] is None else f"  val loss {row['val_loss']:.3f} UAR {row['val_uar']:.3f} WA {row['val_wa']:.3f}"
    return f"epoch {row['epoch']}/{epochs}  train loss {row['train_loss']:.3f} UAR {row['train_uar']:.3f}{val}  {row['seconds']:.0f} s"
