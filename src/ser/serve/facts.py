"""The description of a model, the same for run folders and exported files."""

from dataclasses import dataclass
from pathlib import Path

from ser.inference.exported import Exported
from ser.inference.load_model import TrainedRun
from ser.inference.prediction import Prediction
from ser.inference.predictor import Predictor


@dataclass(frozen=True, slots=True)
class Facts:
    """The description as plain values, which are sent through a pipe as JSON."""

    classes: list[str]
    licence: str
    """The terms of the corpora's licences for a user of the model, in one sentence."""
    threshold: float | None
    """Confidence below which the answer is `unknown`."""
    corpora: list[str]
    certificate: str
    """Digest of the split that the model was trained on."""
    weights: str
    """Digest of the weights."""
    window: float
    """Length of a window in seconds."""
    voice: str
    """The speech detector."""

    def beside_answers(self) -> dict[str, object]:
        """The part that is included in each prediction."""
        return {"classes": self.classes, "licence": self.licence, "threshold": self.threshold, "weights": self.weights}


def facts_of(path: Path, predictor: Predictor, prediction: Prediction) -> Facts:
    """
    Args:
        path: the file or folder that the predictor's model was loaded from.
        prediction: any prediction of it.

    Raises:
        DataError, ArtefactError: a run does not record which corpora its model was trained on.
    """
    model = predictor.model
    assert isinstance(model, TrainedRun | Exported)
    source = model.recogniser if isinstance(model, TrainedRun) else model.facts
    return Facts(
        classes=list(predictor.classes),
        licence=licence_of_run(path, model) if isinstance(model, TrainedRun) else model.licence,
        threshold=model.calibration.threshold,
        corpora=list(source.corpora),
        certificate=source.certificate,
        weights=source.weights,
        window=predictor.window,
        voice=prediction.voice,
    )


def licence_of_run(folder: Path, model: TrainedRun) -> str:
    """Raises the errors of `facts_of`."""
    from ser.corpora.licences import model_licence
    from ser.export.original import made_with
    from ser.runs.run import Run

    return model_licence(made_with(Run(folder), model.recogniser.corpora))
