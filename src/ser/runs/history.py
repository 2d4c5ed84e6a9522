"""history.csv: one row for each epoch of a training."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from ser.runs.run import Run
from ser.system.tables import write_table


class TrainingScores(TypedDict):
    """Scores on the augmented batches of one epoch, while the weights change."""

    train_loss: float
    """Mean of the optimised loss, with class weights and label smoothing."""
    train_uar: float


class ValidationScores(TypedDict):
    """Scores on the validation set; all None without one."""

    val_loss: float | None
    val_uar: float | None
    val_wa: float | None
    val_macro_f1: float | None


class HistoryRow(TrainingScores, ValidationScores):
    """One epoch. The keys, in the order of `HISTORY_COLUMNS`, are the columns of history.csv, and are also stored in last.pth."""

    epoch: int
    learning_rate: float
    """Learning rate at the last step of the epoch."""
    seconds: float
    """Duration of the epoch; the only column that may differ after a resume."""


HISTORY_COLUMNS = ("epoch", "train_loss", "train_uar", "val_loss", "val_uar", "val_wa", "val_macro_f1", "learning_rate", "seconds")
"""Columns of history.csv, in order."""


def write_history(run: Run, rows: Sequence[Mapping[str, object]]) -> None:
    """Write history.csv atomically."""
    write_table(run.history, HISTORY_COLUMNS, rows)
