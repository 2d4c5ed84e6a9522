"""The options of a prediction, from the command line to the predictor."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ser.home import expand_home

if TYPE_CHECKING:  # the command line imports this module without numpy
    from ser.audio.vad_silero import Voice


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """The model of a prediction, and the windows that a recording is cut into."""

    model: str | Path | None = None
    """Folder of a run, or a file that `ser export` wrote; None: see `ser.inference.choose_model.choose_model`."""
    window: float | None = None
    """Length of a window in seconds; None: the length that the model was trained on, or 8 s if that was whole clips."""
    hop: float | None = None
    """Seconds from one window to the next; None: half a window."""
    backbone: str | None = None
    """Folder or hub model of the speech backbone, for a run whose backbone has moved."""
    voice: "Voice" = "auto"
    """The speech detector: silero, energy, or auto, which is silero where the extra `voice` is installed."""

    def __post_init__(self) -> None:
        """The options with `~` in the paths replaced by the home folder. Raises the errors of `ser.home.expand_home`."""
        for name in ("model", "backbone"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, type(given)(expand_home(os.fspath(given))))
