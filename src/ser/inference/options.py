"""How recordings are predicted: the options that go together from a command line to the predictor."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ser.home import expand_home

if TYPE_CHECKING:  # a command line reads these without numpy
    from ser.audio.vad_silero import Voice


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """Which model predicts, and what of a recording it gets at once."""

    model: str | Path | None = None
    """Folder of a run, or a file that `ser export` wrote; None: as `ser.inference.choose_model.choose_model` finds."""
    window: float | None = None
    """Seconds that are given to the model at once; None: what it was trained on, or 8 s if that was whole clips."""
    hop: float | None = None
    """Seconds from one window to the next; None: half a window."""
    backbone: str | None = None
    """Folder or hub model of the speech backbone, for a run with one that has moved."""
    voice: "Voice" = "auto"
    """The speech detector: silero, energy, or auto, which is silero where the extra `voice` is installed."""

    def __post_init__(self) -> None:
        """`~` in the paths is the home folder; errors as of `ser.home.expand_home`."""
        for name in ("model", "backbone"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, type(given)(expand_home(os.fspath(given))))
