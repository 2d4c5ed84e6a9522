"""Where the model listened: at the right time, whole or windowed, whatever was trimmed, and in bounded memory."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ser.audio.waveform import prepare
from ser.config import AudioConfig
from ser.evaluation.calibration import Calibration
from ser.inference.attention import MAX_CELLS, MAX_RATE, Attention, Curve
from ser.inference.clip_output import Clip, ClipOutput
from ser.inference.predictor import Predictor

RATE = 16_000
STEP_RATE = 62.5 / 4
SURE = Calibration(temperature=None, threshold=None, max_error=0.2, reason=None)


def weights(*values: float) -> NDArray[np.float64]:
    return np.array(values) / sum(values)


# -- known answers --------------------------------------------------------------------


def test_a_clip_without_trim_has_its_own_steps() -> None:
    curve = Curve(seconds=2.0, step_rate=2.0)
    curve.add(weights(1, 1, 4, 2), 2.0, start=0.0, window=(0.0, 2.0))
    assert curve.attention() == Attention(2.0, (0.5, 0.5, 2.0, 1.0))


def test_what_was_trimmed_was_not_heard() -> None:
    curve = Curve(seconds=3.0, step_rate=2.0)
    curve.add(weights(1, 3), 2.0, start=1.0, window=(0.0, 3.0))
    assert curve.attention().weights == pytest.approx((0, 0, 0.5, 1.5, 0, 0))


def test_steps_between_two_cells_go_to_both() -> None:
    curve = Curve(seconds=2.0, step_rate=2.0)
    curve.add(weights(1, 3, 2), 2.0, start=0.25, window=(0.0, 2.0))
    assert curve.attention().weights == pytest.approx(np.array([1, 2, 2.5, 2]) / 1.875)


def test_windows_that_overlap_are_weighted_by_how_near_they_are() -> None:
    """Cells of 1 s: that from 1 to 2 s lies at 3/4 of the first window, and at 1/4 of the second."""
    curve = Curve(seconds=3.0, step_rate=1.0)
    curve.add(weights(1, 3), 1.0, start=0.0, window=(0.0, 2.0))
    curve.add(weights(1, 1), 1.0, start=1.0, window=(1.0, 3.0))
    raw = np.array([0.5, (1.5 + 1) / 2, 1])
    assert curve.attention().weights == pytest.approx(raw / raw.mean())


def test_a_window_that_cut_a_moment_off_has_no_word_on_it() -> None:
    curve = Curve(seconds=3.0, step_rate=1.0)
    curve.add(weights(1), 1.0, start=0.0, window=(0.0, 2.0))
    curve.add(weights(1, 1), 1.0, start=1.0, window=(1.0, 3.0))
    assert curve.attention().weights == pytest.approx((1, 1, 1))


def test_zeros_around_a_padded_clip_are_no_part_of_the_recording() -> None:
    curve = Curve(seconds=1.0, step_rate=2.0)
    curve.add(weights(9, 1, 3, 9), 2.0, start=-0.5, window=(0.0, 1.0))
    assert curve.attention().weights == pytest.approx((0.5, 1.5))


def test_nothing_heard_is_zero() -> None:
    assert Curve(1.0, 2.0).attention().weights == (0.0, 0.0)


@pytest.mark.parametrize(("seconds", "step_rate", "rate"), [(1, 50, MAX_RATE), (1, 15.625, 15.625), (86_400, 15.625, MAX_CELLS / 86_400)])
def test_cells_are_few(seconds: float, step_rate: float, rate: float) -> None:
    curve = Curve(seconds, step_rate)
    assert curve.rate == rate
    assert len(curve.covered) <= MAX_CELLS


def test_hours_need_little_memory() -> None:
    curve = Curve(3 * 3600.0, STEP_RATE)
    curve.add(np.full(78, 1 / 78), STEP_RATE, 0.0, (0.0, 5.0))
    found = curve.attention().weights
    assert sys.getsizeof(found) + sum(map(sys.getsizeof, found)) + curve.covered.nbytes + curve.attended.nbytes < 3e6


# -- properties -----------------------------------------------------------------------

WINDOWS = st.lists(st.tuples(st.floats(0, 15), st.floats(0.3, 5), st.floats(0, 1), st.floats(0.2, 1)), min_size=1, max_size=8)


@given(windows=WINDOWS, step_rate=st.floats(2, 50), seed=st.integers(0, 99), even=st.booleans())
@settings(max_examples=50, deadline=None)
def test_the_mean_of_what_was_heard_is_one_and_an_even_ear_is_a_flat_curve(
    windows: list[tuple[float, float, float, float]], step_rate: float, seed: int, even: bool
) -> None:
    generator = np.random.default_rng(seed)
    curve = Curve(20.0, step_rate)
    for first, length, offset, share in windows:
        count = max(1, int(length * share * step_rate))
        shape = np.ones(count) if even else generator.uniform(0.01, 1, count)
        curve.add(shape / shape.sum(), step_rate, first + offset * length * (1 - share), (first, first + length))
    found = np.array(curve.attention().weights)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert found[found > 0].mean() == pytest.approx(1)
    if even:
        np.testing.assert_allclose(found[found > 0], 1, rtol=1e-6)


@dataclass
class Startled:
    """A model that listens to the loudest instant of what it hears, if that is a bang."""

    audio: AudioConfig
    calibration: Calibration = SURE
    classes: tuple[str, ...] = ("calm", "angry")
    step_rate: float = STEP_RATE

    def infer_clips(self, clips: Sequence[Clip]) -> list[ClipOutput]:
        return [self.hear(*clip) for clip in clips]

    def hear(self, samples: NDArray[np.float32], rate: int) -> ClipOutput:
        stages = prepare(samples, rate, self.audio)
        step = int(self.audio.sampling_rate / self.step_rate)
        loud = np.array([np.abs(stages.fixed[k : k + step]).max() for k in range(0, max(1, len(stages.fixed) - step + 1), step)])
        shape = np.where(loud == loud.max(), 1.0, 0.01) if loud.max() > 0.5 else np.ones(len(loud))
        weights = {"ear": (shape / shape.sum()).astype(np.float32)}
        return ClipOutput(np.array([0.5, 0.5]), np.zeros(0, np.float32), weights, {"ear": self.step_rate}, start=stages.start)


@given(
    seconds=st.floats(1, 12),
    at=st.floats(0.05, 0.9),
    silence=st.tuples(st.floats(0, 3), st.floats(0, 3)),
    rate=st.sampled_from([8_000, 16_000, 44_100]),
    duration=st.sampled_from([2.0, None]),
    trim=st.booleans(),
    pad=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_an_instant_that_was_listened_to_is_a_peak_at_that_instant(
    seconds: float, at: float, silence: tuple[float, float], rate: int, duration: float | None, trim: bool, pad: bool
) -> None:
    generator = np.random.default_rng(0)
    speech = generator.normal(0, 0.05, round(seconds * rate))
    instant = int(at * len(speech))
    speech[instant : instant + rate // 500] = 0.95
    hush = [generator.normal(0, 1e-4, round(seconds * rate)) for seconds in silence]
    samples = np.concatenate([hush[0], speech, hush[1]]).clip(-1, 1).astype(np.float32)
    model = Startled(AudioConfig(duration=duration, trim_silence=trim, pad=pad and duration is not None))
    found = Predictor(model, voice="energy").predict(samples, rate).attention["ear"]
    peak = (int(np.argmax(found.weights)) + 0.5) / found.rate
    assert peak == pytest.approx(len(hush[0]) / rate + instant / rate, abs=1.01 / STEP_RATE)
    assert abs(len(found.weights) / found.rate - len(samples) / rate) <= 1 / found.rate
