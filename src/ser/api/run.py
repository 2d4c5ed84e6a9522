"""Runs from Python: train, open, and read the scores."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ser.api.config import load_config
from ser.api.predictor import load
from ser.api.table import PredictionTable
from ser.config import ExperimentConfig
from ser.errors import ConfigError, DataError
from ser.evaluation.predictions import read_predictions
from ser.evaluation.run_scores import RunScores, read_run_scores
from ser.home import user_path
from ser.inference.predictor import Predictor
from ser.pipeline.names import STEPS
from ser.runs import run as run_files
from ser.runs.compare import stored_config
from ser.wording import percent

if TYPE_CHECKING:
    from ser.audio.vad_silero import Voice


@dataclass(frozen=True)
class Run:
    """A finished run. Its files are read when an attribute is used.

    Example:
        ```python
        run = ser.load_run("runs/NAME")
        print(run.scores.uar.value, run.scores.uar.low, run.scores.uar.high)
        prediction = run.load().predict("call.wav")
        ```
    """

    path: Path
    """The folder."""

    @property
    def files(self) -> run_files.Run:
        """The paths of all files of the run, such as `files.best`, the weights."""
        return run_files.Run(self.path)

    @property
    def config(self) -> ExperimentConfig:
        """The config that the run was trained with.

        Raises:
            ArtefactError: cfg.json is corrupted.
        """
        return stored_config(self.files)

    @property
    def scores(self) -> RunScores:
        """The scores on test: `uar`, `wa` and `macro_f1` as shares of 1 with intervals over speakers, overall and by class, corpus,
        gender and speaker. `to_json()` gives them as in `test_metrics.json`.

        Raises:
            ArtefactError: the file is corrupted.
        """
        return read_run_scores(self.files.metrics)

    @property
    def predictions(self) -> PredictionTable:
        """The raw probabilities for every utterance of val and test.

        Raises:
            ArtefactError: the file is corrupted.
        """
        return PredictionTable(read_predictions(self.files.predictions))

    def load(
        self, window: float | None = None, hop: float | None = None, backbone: str | None = None, voice: "Voice" = "auto"
    ) -> Predictor:
        """Load the model of the run to predict with; see `ser.load` for arguments and errors."""
        return load(self.path, window, hop, backbone, voice)

    def report(self, audio: bool = True, clips: int = 400, settings: Sequence[str] = ()) -> Path:
        """Write `report.html` and `MODEL_CARD.md` into the folder of the run, as `ser report` does.

        Args:
            audio: whether the page holds the sound of its examples.
            clips: number of test clips that are degraded to measure robustness; 0 leaves robustness out.
            settings: `key.sub=value` for files in another place than during training, such as `project.raw_dir`.

        Returns:
            The path of the page.

        Raises:
            ConfigError: the extra `viz` is not installed, or a setting cannot be changed.
            ArtefactError: a file of the run is corrupted.
            LockedError: another process is writing into the folder.
        """
        from ser.pipeline.report import report

        return report(str(self.path), audio=audio, clips=clips, settings=settings)

    def __repr__(self) -> str:
        score = self.scores.uar.value if self.files.metrics.is_file() else None
        return f"<Run {self.path}{'' if score is None else f': UAR {percent(score)} %'}>"


def load_run(path: str | os.PathLike[str]) -> Run:
    """Open a finished run.

    Args:
        path: its folder, such as `runs/NAME`.

    Raises:
        DataError: the folder is not a finished run.

    Example:
        ```python
        run = ser.load_run("runs/NAME")
        print(run.scores.uar.value)
        ```
    """
    run = Run(user_path(path))
    if not run.files.metrics.is_file():
        raise DataError(f"{run.path} is not a finished run: it has no {run.files.metrics.name}")
    return run


def train(config: ExperimentConfig | str | os.PathLike[str], run_name: str | None = None, resume: bool = False) -> Run:
    """Run the whole pipeline, as `ser --config` does: extract, transform, load and train. Steps that are up to date are quick.

    Tables are printed, and progress is shown on terminals. May be called from any thread. Several trainings at once need
    different folders: `project.processed_dir` for their data, unless it is complete already, and `run_name`.

    Args:
        config: from `load_config`, or the name or path of a config.
        run_name: name of the folder below `project.runs_dir`; by default the time and the model.
        resume: continue the run of that name, or the latest run with this config, where it was stopped.

    Returns:
        The finished run.

    Raises:
        ConfigError: the config is not valid or needs a package that is not installed; the folder of the run exists.
        DataError: no corpus was found, too many files are unreadable, the split leaves nothing to train or test on, or out of memory.
        LeakageError: the certificate of the split is not valid.
        ArtefactError: a stored file is corrupted.
        LockedError: another process is writing to the same folders.

    Example:
        ```python
        config = ser.load_config("spectral_crnn", train={"epochs": 20})
        run = ser.train(config, run_name="first")
        print(run.scores.uar.value)
        ```
    """
    from ser.pipeline.steps import run_steps

    if run_name is not None and (not run_name.strip(".") or "/" in run_name):
        raise ConfigError(f"run_name={run_name!r} is not the name of a folder")
    loaded = config if isinstance(config, ExperimentConfig) else load_config(config)
    finished = run_steps(loaded, STEPS, run_name=run_name, resume=resume)
    assert finished is not None, "the train step returns its run"
    return Run(finished.folder)
