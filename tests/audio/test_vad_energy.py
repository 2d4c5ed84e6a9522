"""Speech is found where it is loud against the rest, and one bang does not make silence of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.audio.vad_energy import find_speech, speech_between
from ser.audio.waveform import frame_power, hop_energy, trim_bounds

HOP = 256


@given(seed=st.integers(0, 999), seconds=st.floats(0.1, 1.5), level=st.floats(-90, -20))
@settings(max_examples=30, deadline=None)
def test_in_a_short_clip_speech_begins_and_ends_where_the_trim_cuts(seed: int, seconds: float, level: float) -> None:
    generator = np.random.default_rng(seed)
    clip = generator.normal(0, 10 ** (level / 20), round(16_000 * (seconds + 1))).astype(np.float32)
    clip[8_000 : 8_000 + round(16_000 * seconds)] += generator.normal(0, 0.1, round(16_000 * seconds)).astype(np.float32)
    power = frame_power(hop_energy(clip, HOP), HOP)
    found, (first, last) = np.flatnonzero(find_speech(power, 30)), trim_bounds(clip, HOP, 30)
    bounds = (found[0] * HOP, min(len(clip), (found[-1] + 1) * HOP))
    if len(power) < 100:
        assert bounds == (first, last)
    else:  # a hundredth is one hop or more: what is loud begins a little lower than with the loudest
        assert bounds[0] <= first < last <= bounds[1]


def test_a_slammed_door_leaves_the_speech_of_a_long_recording() -> None:
    power = np.full(20_000, 1e-9)
    power[5_000:9_000] = 1e-3
    power[100:110] = 1e2  # 50 dB louder, for 0.16 s
    speech = find_speech(power, 30)
    assert speech[5_000:9_000].all()
    assert speech.sum() == 4_010


def test_three_seconds_of_speech_in_an_hour_are_found() -> None:
    power = np.full(225_000, 1e-9)
    power[50_000:50_200] = 1e-3
    assert find_speech(power, 30).sum() == 200


def test_steady_sound_is_speech_throughout_and_so_is_digital_silence() -> None:
    assert find_speech(np.full(1_000, 1e-4), 30).all()
    assert find_speech(np.zeros(1_000), 30).all()  # which the screening refuses before


@pytest.mark.parametrize(("edges", "found"), [([0, 2, 4], [1, 2]), ([0, 4, 9], [3, 0]), ([2, 2, 3], [0, 1])])
def test_speech_is_counted_between_edges(edges: list[int], found: list[int]) -> None:
    assert speech_between(np.array([True, False, True, True]), np.array(edges)).tolist() == found
