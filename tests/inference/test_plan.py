"""Which regions of a recording a model is given: one where that is enough, else the windows that hold speech."""

import numpy as np
import pytest

from ser.audio.scan import Scan
from ser.config import AudioConfig
from ser.inference.plan import Plan, Region, lay_out

RATE, HOP = 1000, 16
"""Few samples, so that positions can be read: a hop is 16 ms, a window of 2 s 2000 samples."""
MARGIN, VOICE_MARGIN = 4 * HOP, 16 * HOP


def scan_of(hops: int, loud: list[tuple[int, int]], voiced: list[tuple[int, int]] | None = None) -> Scan:
    """Of so many hops, of which those from the first of each pair to before the second are loud, or speech."""
    energy = np.full(hops + 1, 1e-9)
    for first, end in loud:
        energy[first:end] = 1.0
    voice = None
    if voiced is not None:
        voice = np.zeros(hops + 1, np.bool_)
        for first, end in voiced:
            voice[first:end] = True
    return Scan(hops * HOP, RATE, 1, "wav", (), HOP, energy, voice, None)


def plan_of(found: Scan, trim: bool = True, window: float = 2.0, hop: float = 1.0) -> Plan:
    return lay_out(found, AudioConfig(trim_silence=trim), window, hop)


@pytest.mark.parametrize(
    ("one", "other", "contains"), [((0, 9), (2, 9), True), ((0, 9), (0, 10), False), ((1, 9), (0, 9), False), ((3, 4), (3, 4), True)]
)
def test_a_region_contains_another(one: tuple[int, int], other: tuple[int, int], contains: bool) -> None:
    assert Region(*one).contains(Region(*other)) is contains


def test_regions_are_widened_joined_and_clipped() -> None:
    assert Region(3, 5).widened(4) == Region(-1, 9)
    assert Region(3, 5).joined(Region(8, 9)) == Region(8, 9).joined(Region(3, 5)) == Region(3, 9)
    assert Region(-1, 9).clipped(Region(0, 7)) == Region(0, 7)
    assert Region(3, 5).length == 2


@pytest.mark.parametrize("trim", [True, False])
def test_a_recording_no_longer_than_the_window_is_one_region(trim: bool) -> None:
    assert plan_of(scan_of(125, [(20, 40)]), trim).regions == [Region(0, 125 * HOP)]


def test_a_loud_region_no_longer_than_the_window_is_taken_with_a_margin() -> None:
    plan = plan_of(scan_of(500, [(200, 260)]))
    (region,) = plan.regions
    assert region.length < 60 * HOP + 2 * MARGIN + 2 * 2 * HOP
    assert region.contains(Region(200 * HOP - MARGIN, 260 * HOP + MARGIN))
    assert len(plan.speech) == 1


def test_a_door_that_slams_far_from_the_speech_is_no_reason_to_take_it_alone() -> None:
    plan = plan_of(scan_of(500, [(10, 20)], [(300, 360)]))
    (region,) = plan.regions
    assert region == Region(300 * HOP - VOICE_MARGIN, 360 * HOP + VOICE_MARGIN)


def test_without_trim_all_windows_that_hold_speech_are_taken() -> None:
    plan = plan_of(scan_of(500, [(200, 260)]), trim=False)
    assert [region.first % 1000 for region in plan.regions] == [0] * len(plan.regions)
    assert all(region.length == 2000 for region in plan.regions)
    assert 1 < len(plan.regions) < 7
    assert all(Region(200 * HOP, 260 * HOP).joined(region).length < 2000 + 60 * HOP for region in plan.regions), "each holds some speech"


def test_of_long_speech_the_windows_begin_with_it_and_silence_between_is_left_out() -> None:
    plan = plan_of(scan_of(2000, [], [(100, 400), (1500, 1800)]))
    assert plan.regions[0].first == 100 * HOP
    assert plan.regions[-1].end == 1800 * HOP
    assert not any(Region(400 * HOP, 1500 * HOP).contains(region) for region in plan.regions)
    assert len(plan.edges) == len(plan.speech) + 1 == len(plan.least) + 1


def test_of_a_recording_without_speech_the_loudest_window_is_taken() -> None:
    plan = plan_of(scan_of(2000, [(500, 1000), (1200, 1500)], []), trim=False)
    (region,) = plan.regions
    assert region.length == 2000
    assert Region(500 * HOP, 1500 * HOP).contains(region)
    assert plan.speech.tolist() == [0]


def test_of_less_speech_than_a_window_needs_the_window_with_most_is_taken() -> None:
    (region,) = plan_of(scan_of(500, [], [(200, 201)]), trim=False).regions
    assert region.contains(Region(200 * HOP, 201 * HOP))
