"""A trained model from Python."""

import os
from typing import TYPE_CHECKING

from ser.inference.predictor import Predictor

if TYPE_CHECKING:
    from ser.audio.vad_silero import Voice


def load(
    model: str | os.PathLike[str],
    window: float | None = None,
    hop: float | None = None,
    backbone: str | None = None,
    voice: "Voice" = "auto",
) -> Predictor:
    """Load a trained model to predict with.

    Args:
        model: folder of a run (`runs/NAME`), or a file written by `ser export` (`model.onnx`), which loads faster and does not use torch.
        window: length of a window of a long recording in seconds; by default the duration the model was trained on, or 8 s.
        hop: seconds from one window to the next; by default half the window.
        backbone: folder or hub model of the speech backbone, for a run whose backbone has moved.
        voice: speech detector: `silero`, `energy`, or `auto`, which is silero where the extra `voice` is installed.

    Returns:
        A predictor, which may be used from several threads at once.

    Raises:
        DataError: there is no model at this path, or the files of its backbone cannot be found.
        ArtefactError: the model is corrupted, or was written by a newer version.
        ConfigError: an option does not fit the model, or a package that the model needs is not installed.

    Example:
        ```python
        predictor = ser.load("runs/NAME")
        print(predictor.predict("call.wav").emotion)
        ```
    """
    return Predictor.load(model, window=window, hop=hop, backbone=backbone, voice=voice)
