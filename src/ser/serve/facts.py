"""What a model says of itself, from a run's folder or an exported file alike."""

from dataclasses import dataclass
from pathlib import Path

from ser.inference.exported import Exported
from ser.inference.load_model import TrainedRun
from ser.inference.prediction import Prediction
from ser.inference.predictor import Predictor


@dataclass(frozen=True, slots=True)
class Facts:
    """Plain values, which go through a pipe as JSON."""

    classes: list[str]
    licence: str
    """What the corpora mean for whoever uses the model, in one sentence."""
    threshold: float | None
    """Of the confidence; below it the answer is `unknown`."""
    corpora: list[str]
    certificate: str
    """Digest of the split that it was trained on."""
    weights: str
    """Digest of its weights."""
    window: float
    """Seconds that are heard at once."""
    voice: str
    """Which detector tells speech from silence."""

    def beside_answers(self) -> dict[str, object]:
        """What stands beside each prediction."""
        return {"classes": self.classes, "licence": self.licence, "threshold": self.threshold, "weights": self.weights}


def facts_of(path: Path, predictor: Predictor, prediction: Prediction) -> Facts:
    """
    Args:
        path: where the predictor's model was loaded from.
        prediction: anything that it predicted.

    Raises:
        DataError, ArtefactError: a run does not say which corpora its model was made with.
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
    """Errors as of `facts_of`."""
    from ser.corpora.licences import model_licence
    from ser.export.original import made_with
    from ser.runs.run import Run

    return model_licence(made_with(Run(folder), model.recogniser.corpora))
