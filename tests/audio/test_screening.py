"""Decoded audio that cannot be used, and audio that is used with a warning."""

from pathlib import PurePath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ser.audio.recording import ArrayRecording
from ser.audio.screening import MAX_SECONDS, Screener
from ser.errors import AudioError
from ser.reasons import SKIP_REASONS, WARN_REASONS

RATE = 16_000


class Clip(ArrayRecording):
    """Samples as of a file."""

    def __init__(self, samples: NDArray[np.float32], rate: int, container: str = "wav", name: str = "a.wav") -> None:
        super().__init__(samples, rate)
        self.name, self.container = PurePath(name), container


def screen(clip: ArrayRecording, block: int | None = None) -> tuple[str, ...]:
    """In blocks of so many samples; None: in one."""
    screener = Screener(clip, MAX_SECONDS)
    length = block or len(clip.samples)
    for _ in screener.watch(clip.samples[start : start + length] for start in range(0, len(clip.samples), length)):
        pass
    return screener.finish()


def judged(clip: ArrayRecording, block: int | None = None) -> tuple[str, ...] | str:
    """Warnings, or the reason."""
    try:
        return screen(clip, block)
    except AudioError as error:
        return error.reason


def tone(seconds: float = 0.5, rate: int = RATE, amplitude: float = 0.5) -> NDArray[np.float32]:
    samples = amplitude * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    return samples.astype(np.float32)[:, None]


def with_value(value: float) -> NDArray[np.float32]:
    samples = tone()
    samples[100] = value
    return samples


@pytest.mark.parametrize(
    ("reason", "samples", "rate"),
    [
        ("too-short", tone(0.099), RATE),
        ("too-long", tone(60.001), RATE),
        ("rate-too-low", tone(rate=3_999), 3_999),
        ("not-finite", with_value(np.nan), RATE),
        ("not-finite", with_value(-np.inf), RATE),
        ("silent", np.zeros((RATE, 1), np.float32), RATE),
        ("silent", np.full((RATE, 1), 0.25, np.float32), RATE),
        ("silent", tone(amplitude=1.3e-4), RATE),
        ("silent", np.hstack([tone(), -tone()]), RATE),
    ],
)
def test_audio_that_cannot_be_used_has_a_reason(reason: str, samples: NDArray[np.float32], rate: int) -> None:
    with pytest.raises(AudioError) as caught:
        screen(Clip(samples, rate))
    assert caught.value.reason == reason
    assert reason in SKIP_REASONS


@pytest.mark.parametrize(
    ("codes", "samples", "rate", "container", "name"),
    [
        ([], tone(), RATE, "wav", "a.wav"),
        ([], tone(rate=96_000), 96_000, "aiff", "a.AIF"),
        ([], tone(0.1), RATE, "opus", "a.ogg"),
        ([], tone(60.0), RATE, "wav", "a.WAV"),
        ([], tone(amplitude=1.5e-4), RATE, "wav", "a.wav"),
        ([], with_value(1.0), RATE, "flac", "a.flac"),
        (["clipped"], np.clip(tone(amplitude=1.5), -1, 32767 / 32768), RATE, "wav", "a.wav"),
        (["dc-offset"], tone() + np.float32(0.05), RATE, "wav", "a.wav"),
        (["stereo"], np.hstack([tone(), 0 * tone()]), RATE, "wav", "a.wav"),
        (["8khz"], tone(rate=8_000), 8_000, "wav", "a.wav"),
        ([], tone(rate=8_001), 8_001, "wav", "a.wav"),
        (["name-content-mismatch"], tone(), RATE, "mp3", "a.wav"),
        (["name-content-mismatch"], tone(), RATE, "ogg", "a.opus"),
        (["stereo", "8khz", "name-content-mismatch"], np.hstack([tone(), tone()]), 8_000, "aiff", "a.wav"),
    ],
)
def test_odd_audio_is_used_with_a_warning(codes: list[str], samples: NDArray[np.float32], rate: int, container: str, name: str) -> None:
    assert screen(Clip(samples, rate, container, name)) == tuple(codes)
    assert set(codes) <= set(WARN_REASONS)


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-3, 0.5), st.floats(-0.4, 0.4))
def test_silence_is_judged_without_the_mean(amplitude: float, mean: float) -> None:
    screen(Clip(tone(amplitude=amplitude) + np.float32(mean), RATE))
    with pytest.raises(AudioError, match="silent"):
        screen(Clip(tone(amplitude=1e-5) + np.float32(mean), RATE))


@given(st.floats(-1, 1, width=32), st.integers(1_600, 100_000))
def test_a_constant_is_digital_silence_whatever_its_value(value: float, samples: int) -> None:
    """The sums of the screener are rounded, and leave a trace of it."""
    with pytest.raises(AudioError, match="digital silence"):
        screen(Clip(np.full((samples, 1), value, np.float32), RATE))


@given(
    seed=st.integers(0, 999),
    channels=st.integers(1, 3),
    level=st.floats(-110, 0),
    offset=st.floats(-0.5, 0.5),
    rate=st.sampled_from([8_000, 16_000, 44_100]),
    seconds=st.floats(0.05, 0.5),
    block=st.integers(1, 5_000),
)
@settings(max_examples=60, deadline=None)
def test_no_verdict_depends_on_the_blocks(
    seed: int, channels: int, level: float, offset: float, rate: int, seconds: float, block: int
) -> None:
    noise = np.random.default_rng(seed).normal(0, 10 ** (level / 20), (round(seconds * rate), channels))
    clip = Clip(np.clip(noise + offset, -1, 1).astype(np.float32), rate)
    assert judged(clip, block) == judged(clip)
