"""Voice activity by energy, over a recording of any length, where silero-vad (`ser.audio.vad_silero`) is not installed.

It is the trim of `ser.audio.waveform` applied to the whole recording: a frame of 64 ms is speech if it is less than `top_db` below
the loud ones. Below some 20 dB of signal to noise it finds speech everywhere, which costs time and loses nothing.
"""

import numpy as np
from numpy.typing import NDArray

from ser.audio.waveform import SILENT_POWER, TRIM_HOP_SECONDS

LOUD_SHARE = 0.01
LOUD_SECONDS = 3.0
"""Loud is what a hundredth of a recording exceeds, or three seconds of a long one: a slammed door does not make all speech silence. What is
loud for less than that counts as such a door, and a recording that holds nothing else is heard whole."""


def find_speech(power: NDArray[np.float64], top_db: float) -> NDArray[np.bool_]:
    """
    Args:
        power: of each hop, as of `ser.audio.waveform.frame_power`.

    Shape:
        (hops,) -> (hops,)

    >>> find_speech(np.array([0.0, 1.0, 0.002, 0.0005, 1.0, 0.0]), 30).tolist()
    [False, True, True, False, True, False]
    """
    floored = np.maximum(power, SILENT_POWER)
    loud = int(min(LOUD_SHARE * len(power), LOUD_SECONDS / TRIM_HOP_SECONDS))
    reference = np.partition(floored, len(floored) - 1 - loud)[len(floored) - 1 - loud]
    return np.asarray(floored > reference * 10 ** (-top_db / 10))


def speech_between(speech: NDArray[np.bool_], edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Hops of speech from each edge to the next.

    Shape:
        (hops,), edges (n + 1,) in hops -> (n,)

    >>> speech_between(np.array([True, True, False, True]), np.array([0, 1, 4])).tolist()
    [1, 2]
    """
    before = np.concatenate([[0], np.cumsum(speech)])
    return np.diff(before[np.minimum(edges, len(speech))])
