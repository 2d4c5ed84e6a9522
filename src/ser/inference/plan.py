"""Which regions of a recording are given to a model, and for which stretches of time there is an answer."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ser.audio.scan import Scan
from ser.audio.vad_energy import find_speech, speech_between
from ser.audio.waveform import TRIM_HOP_SECONDS, frame_power
from ser.config import AudioConfig
from ser.inference.prediction import Floats, Span
from ser.inference.windows import cell_edges, smooth, window_starts
from ser.units import seconds_to_samples

Hops = NDArray[np.bool_]
"""(hops,) which are loud, or speech."""

LEAST_SPEECH = 0.2
"""Seconds of speech that a window, or a cell of the timeline, needs to be answered; half of it if that is less."""
MARGIN_HOPS = 4
"""Around what is loud in a long recording, so that the model's own trim finds there what it would find in the whole."""
VOICE_MARGIN_HOPS = 16
"""Around what silero calls speech: a quarter of a second, which the trim leaves before half of the clips of the corpora."""


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of a recording, in samples."""

    first: int
    end: int
    """The first sample behind it."""

    @property
    def length(self) -> int:
        return self.end - self.first

    def widened(self, margin: int) -> Self:
        """By so many samples on both sides, also beyond the recording."""
        return replace(self, first=self.first - margin, end=self.end + margin)

    def contains(self, other: "Region") -> bool:
        return self.first <= other.first and other.end <= self.end

    def joined(self, other: "Region") -> "Region":
        """The shortest region that contains both."""
        return Region(min(self.first, other.first), max(self.end, other.end))

    def clipped(self, other: "Region") -> "Region":
        """The part of it inside another."""
        return Region(max(self.first, other.first), min(self.end, other.end))


@dataclass(frozen=True, slots=True)
class Plan:
    """What of a recording is inferred, and for which stretches of time there will be an answer. All numbers are samples of the
    recording."""

    regions: list[Region]
    """Each is a clip for the model, in the order of their starts, and all of one length."""
    edges: NDArray[np.int64]
    """(cells + 1,)"""
    speech: NDArray[np.int64]
    """(cells,) hops of speech in each."""
    least: Floats
    """(cells,) hops of speech for which each is answered."""
    speech_in_regions: list[int]
    """Hops of speech in each region."""

    @property
    def spans(self) -> list[Span]:
        return [(region.first, region.end) for region in self.regions]


def lay_out(found: Scan, audio: AudioConfig, window_seconds: float, hop_seconds: float) -> Plan:
    """One region where that is enough: a recording no longer than a window, one with little to hear in it (`short_region`), and one
    without speech, of which the loudest window is taken. Else the windows that hold speech."""
    window, hop = (seconds_to_samples(seconds, found.sample_rate) for seconds in (window_seconds, hop_seconds))
    loud = find_speech(frame_power(found.energy, found.hop), audio.trim_top_db)
    speech = loud if found.voiced is None else found.voiced
    whole = Region(0, found.num_samples)
    if whole.length <= window:
        return one_region(whole, speech, found)
    if audio.trim_silence and (region := short_region(loud, speech, window, found)):
        return one_region(region, speech, found)
    covered = bounds(speech, found) if audio.trim_silence else whole
    starts = covered.first + np.array(window_starts(covered.length, window, hop))
    if not speech.any():
        start = fullest_start(starts, window, loud, found.hop)
        return one_region(Region(start, start + window), speech, found)
    edges = covered.first + cell_edges(covered.length, hop)
    chosen = np.array(speech_starts(starts, window, speech, found.hop))
    return Plan(
        regions=[Region(start, start + window) for start in chosen.tolist()],
        edges=edges,
        speech=speech_between(speech, edges // found.hop),
        least=least_hops(np.diff(edges) / found.hop),
        speech_in_regions=hops_within(chosen, window, speech, found.hop).tolist(),
    )


def short_region(loud: Hops, speech: Hops, window: int, found: Scan) -> Region | None:
    """What is loud, if that is no longer than a window and holds all speech; else what is speech, if that is no longer. With a margin that
    the model's own trim cuts. Loud sounds outside of which there is speech are a door that slams."""
    needed = bounds(speech if speech.any() else loud, found)
    for hops, margin in ((loud, MARGIN_HOPS), (speech, VOICE_MARGIN_HOPS)):
        region = bounds(hops, found)
        if region.length <= window and region.widened(VOICE_MARGIN_HOPS * found.hop).contains(needed):
            return region.widened(margin * found.hop).joined(needed).clipped(Region(0, found.num_samples))
    return None


def bounds(hops: Hops, found: Scan) -> Region:
    """From the first of these hops to the last; of none of them, the whole recording."""
    chosen = np.flatnonzero(hops)
    if not len(chosen):
        return Region(0, found.num_samples)
    return Region(int(chosen[0]) * found.hop, min(found.num_samples, (int(chosen[-1]) + 1) * found.hop))


def least_hops(hops: Floats) -> Floats:
    """Of speech, for stretches of so many hops; at least one.

    >>> least_hops(np.array([300.0, 20.0, 1.0])).tolist()
    [12.5, 10.0, 1.0]
    """
    return np.maximum(1, np.minimum(LEAST_SPEECH / TRIM_HOP_SECONDS, hops / 2))


def one_region(region: Region, speech: Hops, found: Scan) -> Plan:
    """With one cell, from the first speech to the last, that is always answered."""
    cell = bounds(speech, found)
    return Plan([region], np.array([cell.first, cell.end]), np.array([np.count_nonzero(speech)]), np.ones(1), [1])


def speech_starts(starts: NDArray[np.int64], window: int, speech: Hops, hop: int) -> list[int]:
    """Of the windows that hold enough speech; if none does, of the one with most."""
    enough = hops_within(starts, window, speech, hop) >= least_hops(np.array(window / hop))
    chosen: list[int] = starts[enough].tolist()
    return chosen or [fullest_start(starts, window, speech, hop)]


def fullest_start(starts: NDArray[np.int64], window: int, speech: Hops, hop: int) -> int:
    """Of the window with most speech."""
    return int(starts[hops_within(starts, window, speech, hop).argmax()])


def hops_within(starts: NDArray[np.int64], window: int, speech: Hops, hop: int) -> NDArray[np.int64]:
    """Of speech, in each window."""
    before = np.concatenate([[0], np.cumsum(speech)])
    return np.asarray(before[np.minimum((starts + window) // hop, len(speech))] - before[starts // hop])


def weigh(probabilities: Floats, plan: Plan) -> tuple[Floats, NDArray[np.int64]]:
    """The probabilities for each cell, (cells, C), and its hops of speech, (cells,): 0 for a cell that is not answered. At least one is
    answered if anybody speaks."""
    if len(plan.speech) == 1:
        return probabilities, plan.speech
    answers, covered = smooth(probabilities, [region.first for region in plan.regions], plan.regions[0].length, plan.edges)
    least = np.minimum(plan.least, plan.speech[covered].max())
    return answers, np.where(covered & (plan.speech >= least), np.maximum(plan.speech, 1), 0)
