"""Speech emotion recognition with scores you can trust.

    import ser

    predictor = ser.load("runs/NAME")  # or an exported file: "model.onnx"
    print(predictor.predict("call.wav").emotion)

`import ser` is cheap: every name below is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ser.system.environment import set_defaults

set_defaults()  # set first: some dependencies read them when they are imported

if TYPE_CHECKING:
    from ser.api.compare import RunComparison, compare
    from ser.api.config import load_config
    from ser.api.predictor import load
    from ser.api.run import Run, load_run, train
    from ser.api.table import PredictionTable
    from ser.config import ExperimentConfig
    from ser.errors import ArtefactError, AudioError, ConfigError, DataError, LeakageError, LockedError, SerError
    from ser.inference.prediction import Passage, Prediction
    from ser.inference.predictor import Predictor

__version__ = "0.1.0"

__all__ = [
    "ArtefactError",
    "AudioError",
    "ConfigError",
    "DataError",
    "ExperimentConfig",
    "LeakageError",
    "LockedError",
    "Passage",
    "Prediction",
    "PredictionTable",
    "Predictor",
    "Run",
    "RunComparison",
    "SerError",
    "__version__",
    "compare",
    "load",
    "load_config",
    "load_run",
    "train",
]

LAZY = {
    "ArtefactError": "errors",
    "AudioError": "errors",
    "ConfigError": "errors",
    "DataError": "errors",
    "ExperimentConfig": "config",
    "LeakageError": "errors",
    "LockedError": "errors",
    "Passage": "inference.prediction",
    "Prediction": "inference.prediction",
    "PredictionTable": "api.table",
    "Predictor": "inference.predictor",
    "Run": "api.run",
    "RunComparison": "api.compare",
    "SerError": "errors",
    "compare": "api.compare",
    "load": "api.predictor",
    "load_config": "api.config",
    "load_run": "api.run",
    "train": "api.run",
}
"""{name: module that defines it}"""

ADVICE = {
    "predict": "load a model first: ser.load(MODEL).predict(PATH)",
    "embed": "load a model first: ser.load(MODEL).embed(PATH)",
    "Pipeline": "ser.train(config) runs the pipeline",
    "evaluate": "the scores of a run are in ser.load_run(RUN).scores",
}
"""Hints for names that users may expect here."""


if not TYPE_CHECKING:  # so that type checkers report unknown names

    def __getattr__(name: str) -> object:
        if name in LAZY:
            value = globals()[name] = getattr(import_module(f"ser.{LAZY[name]}"), name)
            return value
        hint = f"; {ADVICE[name]}" if name in ADVICE else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return __all__.copy()
