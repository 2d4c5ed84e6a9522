"""Which stretches of a recording a model hears, and for which it answers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ser.audio.recording import Scan
from ser.audio.vad_energy import find_speech, speech_between
from ser.audio.waveform import TRIM_HOP_SECONDS, frame_power
from ser.config import AudioConfig
from ser.inference.prediction import Floats, Span
from ser.inference.windows import cell_edges, smooth, window_starts
from ser.units import seconds_to_samples

LEAST_SPEECH = 0.2
"""Seconds of speech that a window, or a cell of the timeline, needs to be answered; half of it if that is less."""
MARGIN_HOPS = 4
"""Around what is loud in a long recording, so that the model's own trim finds there what it would find in the whole."""
VOICE_MARGIN_HOPS = 16
"""Around what silero calls speech: a quarter of a second, which the trim leaves before half of the clips of the corpora."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What of a recording is heard, and for which stretches of time it will be answered. All numbers are samples of the recording."""

    spans: list[Span]
    """Heard, each on its own, in the order of their starts."""
    window: int
    """Length of a span."""
    edges: NDArray[np.int64]
    """(cells + 1,)"""
    speech: NDArray[np.int64]
    """(cells,) hops of speech in each."""
    least: Floats
    """(cells,) hops of speech for which each is answered."""


def lay_out(found: Scan, audio: AudioConfig, window_seconds: float, hop_seconds: float) -> Plan:
    """A recording no longer than a window is one span. So is one where what is loud, if that holds all speech, or what is speech, is no
    longer, with a margin that the model's trim cuts; and one without speech."""
    window, hop = (seconds_to_samples(seconds, found.sample_rate) for seconds in (window_seconds, hop_seconds))
    loud = find_speech(frame_power(found.energy, found.hop), audio.trim_top_db)
    speech = loud if found.voiced is None else found.voiced
    if found.num_samples <= window:
        return one_span((0, found.num_samples), speech, found)
    begin, end = bounds(speech if speech.any() else loud, found)
    beyond = VOICE_MARGIN_HOPS * found.hop
    for of, margin in ((loud, MARGIN_HOPS), (speech, VOICE_MARGIN_HOPS)) if audio.trim_silence else ():
        first, last = bounds(of, found)
        if last - first <= window and first - beyond <= begin and end <= last + beyond:  # else it is a door that slams, and no speech
            around = (max(0, min(first - margin * found.hop, begin)), min(found.num_samples, max(last + margin * found.hop, end)))
            return one_span(around, speech, found)
    first, last = bounds(speech, found) if audio.trim_silence else (0, found.num_samples)
    starts = first + np.array(window_starts(last - first, window, hop))
    if not speech.any():
        start = fullest_start(starts, window, loud, found.hop)
        return one_span((start, start + window), speech, found)
    edges = first + cell_edges(last - first, hop)
    return Plan(
        spans=[(start, start + window) for start in spoken_starts(starts, window, speech, found.hop)],
        window=window,
        edges=edges,
        speech=speech_between(speech, edges // found.hop),
        least=least_hops(np.diff(edges) / found.hop),
    )


def bounds(speech: NDArray[np.bool_], found: Scan) -> Span:
    """Where it begins and ends; a recording without any is taken whole."""
    hops = np.flatnonzero(speech)
    return (int(hops[0]) * found.hop, min(found.num_samples, (int(hops[-1]) + 1) * found.hop)) if len(hops) else (0, found.num_samples)


def least_hops(hops: Floats) -> Floats:
    """Of speech, for stretches of so many hops; at least one.

    >>> least_hops(np.array([300.0, 20.0, 1.0])).tolist()
    [12.5, 10.0, 1.0]
    """
    return np.maximum(1, np.minimum(LEAST_SPEECH / TRIM_HOP_SECONDS, hops / 2))


def one_span(span: Span, speech: NDArray[np.bool_], found: Scan) -> Plan:
    """Of which all speech has the answer."""
    return Plan([span], span[1] - span[0], np.array(bounds(speech, found)), np.array([np.count_nonzero(speech)]), np.ones(1))


def spoken_starts(starts: NDArray[np.int64], window: int, speech: NDArray[np.bool_], hop: int) -> list[int]:
    """Of the windows that hold enough speech; if none does, of the one with most."""
    enough = hops_within(starts, window, speech, hop) >= least_hops(np.array(window / hop))
    chosen: list[int] = starts[enough].tolist()
    return chosen or [fullest_start(starts, window, speech, hop)]


def fullest_start(starts: NDArray[np.int64], window: int, speech: NDArray[np.bool_], hop: int) -> int:
    """Of the window with most speech."""
    return int(starts[hops_within(starts, window, speech, hop).argmax()])


def hops_within(starts: NDArray[np.int64], window: int, speech: NDArray[np.bool_], hop: int) -> NDArray[np.int64]:
    """Of speech, in each window."""
    before = np.concatenate([[0], np.cumsum(speech)])
    return np.asarray(before[np.minimum((starts + window) // hop, len(speech))] - before[starts // hop])


def weigh(probabilities: Floats, plan: Plan) -> tuple[Floats, NDArray[np.int64]]:
    """What holds for each cell, (cells, C), and its hops of speech, (cells,): 0 for a cell that is not answered. At least one is answered
    if anybody speaks."""
    if len(plan.speech) == 1:
        return probabilities, plan.speech
    answers, heard = smooth(probabilities, [first for first, _ in plan.spans], plan.window, plan.edges)
    least = np.minimum(plan.least, plan.speech[heard].max())
    return answers, np.where(heard & (plan.speech >= least), np.maximum(plan.speech, 1), 0)
