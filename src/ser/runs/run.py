"""Paths of the files in a run folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """Paths of one run."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "cfg.json"

    @property
    def best(self) -> Path:
        """Weights of the best epoch, with everything necessary for prediction."""
        return self.folder / "best.pth"

    @property
    def last(self) -> Path:
        """State after the last completed epoch, with everything necessary to resume."""
        return self.folder / "last.pth"

    @property
    def history(self) -> Path:
        return self.folder / "history.csv"

    @property
    def tensorboard(self) -> Path:
        """Folder with the history for TensorBoard, if `tracking.tensorboard` is set."""
        return self.folder / "tensorboard"

    @property
    def metrics(self) -> Path:
        return self.folder / "test_metrics.json"

    @property
    def predictions(self) -> Path:
        return self.folder / "predictions.csv"

    @property
    def attention(self) -> Path:
        """Where the model attended in the clips of val and test; not there for a model without attention."""
        return self.folder / "attention.npz"

    @property
    def calibration(self) -> Path:
        """Temperature and threshold, fitted on val, for predictions with the weights."""
        return self.folder / "calibration.json"

    @property
    def confusion(self) -> Path:
        return self.folder / "confusion_matrix.csv"

    @property
    def classification_report(self) -> Path:
        """scikit-learn's report of the test split, where the extra `metrics` is installed."""
        return self.folder / "classification_report.txt"

    @property
    def split(self) -> Path:
        """The run's copy of its split and certificate."""
        return self.folder / "split"

    @property
    def lock(self) -> Path:
        return self.folder / ".lock"
