"""Speech emotion recognition whose number can be believed.

`ser.Predictor` predicts from Python, as `ser predict` does on the command line.
"""

from importlib import import_module

from ser.system.environment import set_defaults

set_defaults()  # first of all: some dependencies read them when they are loaded

__version__ = "0.1.0"

LAZY = {"Predictor": "ser.inference.predictor", "Prediction": "ser.inference.predictor"}
"""What is imported when it is first asked for: `import ser` alone loads nothing."""


def __getattr__(name: str) -> object:
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(LAZY[name]), name)
