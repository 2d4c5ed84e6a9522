"""Voice activity detection by energy, used if silero-vad (`ser.audio.vad_silero`) is not installed.

The criterion is that of the trim in `ser.audio.waveform`: a frame of 64 ms is speech if its level is less than `top_db` below the loud
frames of the recording. At signal-to-noise ratios below about 20 dB all frames count as speech, which takes time but misses nothing.
"""

import numpy as np
from numpy.typing import NDArray

from ser.audio.waveform import SILENT_POWER, TRIM_HOP_SECONDS

LOUD_SHARE = 0.01
LOUD_SECONDS = 3.0
"""The reference is the level that is exceeded during a hundredth of the recording, but at most during 3 s. Shorter peaks such as a slammed
door do not turn speech into silence; if a recording has nothing else, all of it counts as speech."""


def find_speech(power: NDArray[np.float64], top_db: float) -> NDArray[np.bool_]:
    """Whether each hop is speech.

    Args:
        power: power of each hop, see `ser.audio.waveform.frame_power`.
        top_db: threshold in dB below the reference level.

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
    """Number of speech hops between consecutive edges.

    Shape:
        (hops,), edges (n + 1,) in hops -> (n,)

    >>> speech_between(np.array([True, True, False, True]), np.array([0, 1, 4])).tolist()
    [1, 2]
    """
    before = np.concatenate([[0], np.cumsum(speech)])
    return np.diff(before[np.minimum(edges, len(speech))])
