"""Load the model of a run folder, or an exported file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ser.errors import AudioError, ConfigError, DataError
from ser.evaluation.calibration import calibration_of
from ser.features.base import ClipError
from ser.inference.clip_output import Clip, ClipOutput
from ser.inference.prediction import Model

EXPORTED = ".onnx"
CHECKPOINT = ".pth"


def load_model(path: Path, backbone: str | None) -> Model:
    """Raises the errors of `ser.inference.predictor.Predictor.load`."""
    if path.is_dir():
        return TrainedRun(path, backbone)
    if path.suffix == CHECKPOINT and (path.parent / "best.pth").is_file():
        raise DataError(f"{path} is a checkpoint: give the folder of the run, {path.parent}")
    if path.suffix != EXPORTED:
        raise DataError(f"{path} is not a model: give the folder of a run, or an exported {EXPORTED} file")
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    if backbone is not None:
        raise ConfigError(f"{path} is an exported model, which contains its backbone, if it has one: leave the backbone out")
    from ser.inference.exported import Exported

    exported = Exported.load(path)
    if exported.missing:
        raise ConfigError(f"{path}: {exported.missing}")
    return exported


class TrainedRun:
    """The model of a run folder with its calibration."""

    def __init__(self, folder: Path, backbone: str | None = None) -> None:
        """Raises the errors of `ser.inference.predictor.Predictor.load`."""
        from ser.inference.recogniser import Recogniser
        from ser.runs.run import Run

        run = Run(folder)
        if not run.best.is_file():
            raise DataError(f"{folder} is not the folder of a trained run: it has no {run.best.name}")
        self.recogniser = Recogniser.load(run.best, backbone)
        self.calibration = calibration_of(run.calibration, self.recogniser.weights)
        self.classes, self.audio = self.recogniser.classes, self.recogniser.audio

    def infer_clips(self, clips: Sequence[Clip]) -> list[ClipOutput]:
        try:
            outputs = self.recogniser.infer_clips(clips)
        except ClipError as error:
            raise AudioError("not-finite", str(error)) from None
        return [replace(output, probabilities=self.calibration.apply(output.probabilities)) for output in outputs]
