"""Choose the regions of a recording that a model gets, and the cells of the timeline that get an answer."""

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
"""(hops,) whether each is loud, or speech."""

LEAST_SPEECH = 0.2
"""Seconds of speech that a window or a cell of the timeline must hold to get an answer; half its length if that is shorter."""
MARGIN_HOPS = 4
"""Seconds added around the loud part of a long recording, so that the model's own trim gives the same result as on the whole recording."""
VOICE_MARGIN_HOPS = 16
"""Seconds added around the speech found by silero: the trim leaves this much before half of the clips of the corpora."""


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a recording, in samples."""

    first: int
    end: int
    """The first sample after it."""

    @property
    def length(self) -> int:
        return self.end - self.first

    def widened(self, margin: int) -> Self:
        """The region, longer by so many samples on both sides, also beyond the recording."""
        return replace(self, first=self.first - margin, end=self.end + margin)

    def contains(self, other: "Region") -> bool:
        return self.first <= other.first and other.end <= self.end

    def joined(self, other: "Region") -> "Region":
        """The shortest region that contains both."""
        return Region(min(self.first, other.first), max(self.end, other.end))

    def clipped(self, other: "Region") -> "Region":
        """The part of the region that is inside another."""
        return Region(max(self.first, other.first), min(self.end, other.end))


@dataclass(frozen=True, slots=True)
class Plan:
    """The regions of a recording that are inferred, and the cells that get an answer. All positions are samples of the recording."""

    regions: list[Region]
    """The clips for the model, in the order of their starts, all of one length."""
    edges: NDArray[np.int64]
    """(cells + 1,) edges of the cells."""
    speech: NDArray[np.int64]
    """(cells,) hops of speech in each."""
    least: Floats
    """(cells,) hops of speech that each needs to get an answer."""
    speech_in_regions: list[int]
    """Hops of speech in each region."""

    @property
    def spans(self) -> list[Span]:
        return [(region.first, region.end) for region in self.regions]


def lay_out(found: Scan, audio: AudioConfig, window_seconds: float, hop_seconds: float) -> Plan:
    """Plan one region where that is enough: for a recording no longer than a window, for one with little sound (`short_region`), and for
    one without speech, of which the loudest window is used. Otherwise plan the windows that hold speech."""
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
    """The loud part, if it is no longer than a window and holds all speech; otherwise the speech, if that is no longer than a window. Both
    with a margin that the model's own trim cuts. If there is speech outside the loud part, the loud sound is a slamming door or the
    like."""
    needed = bounds(speech if speech.any() else loud, found)
    for hops, margin in ((loud, MARGIN_HOPS), (speech, VOICE_MARGIN_HOPS)):
        region = bounds(hops, found)
        if region.length <= window and region.widened(VOICE_MARGIN_HOPS * found.hop).contains(needed):
            return region.widened(margin * found.hop).joined(needed).clipped(Region(0, found.num_samples))
    return None


def bounds(hops: Hops, found: Scan) -> Region:
    """The region from the first of these hops to the last; the whole recording if there are none."""
    chosen = np.flatnonzero(hops)
    if not len(chosen):
        return Region(0, found.num_samples)
    return Region(int(chosen[0]) * found.hop, min(found.num_samples, (int(chosen[-1]) + 1) * found.hop))


def least_hops(hops: Floats) -> Floats:
    """The hops of speech that stretches of so many hops need; at least one.

    >>> least_hops(np.array([300.0, 20.0, 1.0])).tolist()
    [12.5, 10.0, 1.0]
    """
    return np.maximum(1, np.minimum(LEAST_SPEECH / TRIM_HOP_SECONDS, hops / 2))


def one_region(region: Region, speech: Hops, found: Scan) -> Plan:
    """A plan with one cell, from the first speech to the last, that always gets an answer."""
    cell = bounds(speech, found)
    return Plan([region], np.array([cell.first, cell.end]), np.array([np.count_nonzero(speech)]), np.ones(1), [1])


def speech_starts(starts: NDArray[np.int64], window: int, speech: Hops, hop: int) -> list[int]:
    """A plan of the windows that hold enough speech; if none does, of the one with the most."""
    enough = hops_within(starts, window, speech, hop) >= least_hops(np.array(window / hop))
    chosen: list[int] = starts[enough].tolist()
    return chosen or [fullest_start(starts, window, speech, hop)]


def fullest_start(starts: NDArray[np.int64], window: int, speech: Hops, hop: int) -> int:
    """A plan of the window with the most speech."""
    return int(starts[hops_within(starts, window, speech, hop).argmax()])


def hops_within(starts: NDArray[np.int64], window: int, speech: Hops, hop: int) -> NDArray[np.int64]:
    """Hops of speech in each window."""
    before = np.concatenate([[0], np.cumsum(speech)])
    return np.asarray(before[np.minimum((starts + window) // hop, len(speech))] - before[starts // hop])


def weigh(probabilities: Floats, plan: Plan) -> tuple[Floats, NDArray[np.int64]]:
    """The probabilities for each cell, (cells, C), and its hops of speech, (cells,): 0 for a cell without an answer. At least one
    cell has an answer if there is speech."""
    if len(plan.speech) == 1:
        return probabilities, plan.speech
    answers, covered = smooth(probabilities, [region.first for region in plan.regions], plan.regions[0].length, plan.edges)
    least = np.minimum(plan.least, plan.speech[covered].max())
    return answers, np.where(covered & (plan.speech >= least), np.maximum(plan.speech, 1), 0)
