"""The stages of a waveform; librosa's trim is the reference for ours."""

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.audio.waveform import Waveform, fix_duration, mix_down, normalise_peak, prepare, resample, trim, trim_bounds
from ser.config import AudioConfig

LOUDNESS = st.sampled_from([0.0, 1e-6, 1e-4, 1e-3, 0.03, 0.3, 1.0])
SEGMENTS = st.lists(st.tuples(st.integers(1, 900), LOUDNESS), min_size=1, max_size=8)


def noise(segments: list[tuple[int, float]], seed: int = 0) -> Waveform:
    """Stretches of noise, (samples, amplitude) each."""
    generator = np.random.default_rng(seed)
    return np.concatenate([generator.uniform(-level, level, length) for length, level in segments]).astype(np.float32)


def tone(hertz: float, seconds: float, sample_rate: int) -> Waveform:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * sample_rate)) / sample_rate).astype(np.float32)


@given(segments=SEGMENTS, hop_length=st.sampled_from([16, 50, 127]), top_db=st.sampled_from([20.0, 30.0, 60.0]), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_trim_bounds_are_those_of_librosa(segments: list[tuple[int, float]], hop_length: int, top_db: float, seed: int) -> None:
    waveform = noise(segments, seed)
    _, expected = librosa.effects.trim(waveform, top_db=top_db, frame_length=4 * hop_length, hop_length=hop_length)
    assert trim_bounds(waveform, hop_length, top_db) == tuple(expected)


@pytest.mark.parametrize("sample_rate", [8000, 16_000, 24_414, 44_100, 48_000])
def test_silence_around_a_tone_is_cut_to_within_a_frame_at_any_rate(sample_rate: int) -> None:
    silence = np.zeros(sample_rate, np.float32)
    trimmed = trim(np.concatenate([silence, tone(300, 0.5, sample_rate), silence]), sample_rate, top_db=30)
    assert 0.5 <= len(trimmed) / sample_rate <= 0.5 + 2 * 0.064


def test_a_trim_that_would_leave_less_than_a_tenth_of_a_second_is_not_made() -> None:
    click = np.zeros(16_000, np.float32)
    click[8000] = 1
    assert len(trim(click, 16_000, top_db=30)) == 16_000


@given(
    segments=SEGMENTS,
    rate=st.sampled_from([8000, 16_000, 44_100, 48_000]),
    pad=st.booleans(),
    duration=st.sampled_from([None, 0.11, 0.2, 2.0]),
)
@settings(max_examples=60, deadline=None)
def test_every_stage_keeps_its_promise(segments: list[tuple[int, float]], rate: int, pad: bool, duration: float | None) -> None:
    config = AudioConfig(duration=duration, pad=pad)
    samples = noise(segments)
    before = samples.copy()
    stages = prepare(samples, rate, config)
    assert np.array_equal(samples, before), "the input is never changed"
    assert len(stages.trimmed) <= len(stages.raw)
    assert abs(len(stages.resampled) / 16_000 - len(stages.trimmed) / rate) <= 1 / 16_000 + 1 / rate
    if duration is None:
        assert len(stages.fixed) == len(stages.resampled)
    else:
        limit = round(duration * 16_000)
        assert len(stages.fixed) == limit if pad else len(stages.fixed) == min(limit, len(stages.resampled))
    for stage in (stages.raw, stages.trimmed, stages.resampled, stages.fixed, stages.prepared):
        assert stage.dtype == np.float32
        assert stage.ndim == 1
        assert np.isfinite(stage).all()
    peak = np.abs(stages.prepared).max(initial=0)
    assert peak == pytest.approx(1, abs=1e-6) or not stages.fixed.any()


@pytest.mark.parametrize(
    ("length", "pad", "expected"),
    [(10, False, (3, 7)), (11, False, (3, 7)), (3, False, (0, 3)), (3, True, None), (4, True, (0, 4))],
    ids=["even excess", "odd excess", "short stays", "short is padded", "exact"],
)
def test_the_centre_is_what_stays(length: int, pad: bool, expected: tuple[int, int] | None) -> None:
    scale = 200  # 0.2 s at 4 kHz are 800 samples: blocks of 200, so that the table stays readable
    waveform = np.repeat(np.arange(1, length + 1, dtype=np.float32), scale)
    fixed = fix_duration(waveform, AudioConfig(sampling_rate=4000, duration=0.2, pad=pad))
    if expected is None:
        assert fixed.tolist() == [0] * 100 + waveform.tolist() + [0] * 100
    else:
        start = (length * scale - len(fixed)) // 2
        assert np.array_equal(fixed, waveform[start : start + len(fixed)])
        assert len(fixed) == (expected[1] - expected[0]) * scale


@given(
    before=st.floats(0, 3),
    after=st.floats(0, 3),
    rate=st.sampled_from([8_000, 16_000, 44_100]),
    duration=st.sampled_from([None, 0.3, 0.31, 2.0]),
    pad=st.booleans(),
    trim_silence=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_the_start_tells_when_in_the_clip_the_prepared_waveform_begins(
    before: float, after: float, rate: int, duration: float | None, pad: bool, trim_silence: bool
) -> None:
    def chirp(seconds: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        since = seconds - before
        return np.where((since >= 0) & (since < 0.5), 0.5 * np.sin(2 * np.pi * (20 + 100 * since) * since), 0)

    config = AudioConfig(duration=duration, pad=pad, trim_silence=trim_silence)
    stages = prepare(chirp(np.arange(round((before + 0.5 + after) * rate)) / rate).astype(np.float32), rate, config)
    times = stages.start + np.arange(len(stages.fixed)) / config.sampling_rate
    assert stages.start >= 0 or pad
    inner = (abs(times - before) > 0.02) & (abs(times - before - 0.5) > 0.02)  # not where the resampler smears a step
    inner[:300] = inner[-300:] = False
    assert np.abs(stages.fixed - chirp(times))[inner].max(initial=0) < 0.02


def test_channels_are_averaged() -> None:
    left, right = tone(300, 0.1, 8000), tone(500, 0.1, 8000)
    assert np.allclose(mix_down(np.stack([left, right], axis=1)), (left + right) / 2)


def test_a_tone_above_the_new_band_is_gone_and_one_below_stays() -> None:
    kept, gone = (resample(tone(hertz, 0.5, 48_000), 48_000, 16_000)[500:-500] for hertz in (1000, 12_000))
    assert np.abs(kept).max() == pytest.approx(1, abs=1e-3)
    assert np.abs(gone).max() < 1e-4


def test_digital_silence_is_not_divided_by_its_peak() -> None:
    assert not normalise_peak(np.zeros(100, np.float32)).any()
    assert normalise_peak(np.zeros(0, np.float32)).shape == (0,)


def test_nothing_is_trimmed_when_the_config_says_so() -> None:
    waveform = np.concatenate([np.zeros(16_000, np.float32), tone(300, 0.5, 16_000)])
    assert len(prepare(waveform, 16_000, AudioConfig(trim_silence=False)).trimmed) == len(waveform)
