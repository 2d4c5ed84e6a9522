"""Recordings spoiled by known amounts, and what that does to scores."""

import json
import math
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.audio.waveform import Waveform
from ser.corpora.manifest import Manifest, read_manifest
from ser.errors import DataError
from ser.evaluation.predictions import read_predictions
from ser.inference.recogniser import Recogniser
from ser.report.robustness import CLEAN, CONDITIONS, choose_evenly, measure_robustness, power, speech, spoil
from ser.runs.run import Run
from ser.splits.certificate import Entry
from ser.splits.split import read_entries
from workspace import Workspace

RATES = (8_000, 16_000, 24_414, 44_100, 48_000)
KEY = "0badcafe"


def recording(seconds: float, rate: int, quiet: float = 0.5) -> Waveform:
    """A swelling tone with overtones, a little noise, and `quiet` seconds of near silence at both ends."""
    time = np.arange(round(seconds * rate)) / rate
    tone = 0.3 * np.sin(np.pi * time / seconds) * sum(np.sin(2 * np.pi * 180 * k * time) / k for k in range(1, 20))
    hush = np.random.default_rng(1).normal(0, 1e-5, (2, round(quiet * rate)))
    return np.concatenate([hush[0], tone, hush[1]]).astype(np.float32)


def spoiled(name: str, samples: Waveform, rate: int, key: str = KEY) -> Waveform:
    return np.asarray(dict(zip(CONDITIONS, spoil(samples, rate, key), strict=True))[name][0])


def share_above(samples: Waveform, rate: int, hertz: float) -> float:
    """Of the power."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    return float(spectrum[np.fft.rfftfreq(len(samples), 1 / rate) > hertz].sum() / spectrum.sum())


# the conditions


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("decibels", [20, 10, 0])
def test_noise_lies_so_many_decibels_below_the_speech(rate: int, decibels: int) -> None:
    samples = recording(1.5, rate)
    noise = spoiled(f"noise, {decibels} dB", samples, rate) - samples
    assert 10 * math.log10(power(speech(samples, rate)) / power(noise)) == pytest.approx(decibels, abs=0.1)


@pytest.mark.parametrize("rate", RATES)
def test_noise_is_white_up_to_8_khz_whatever_the_rate(rate: int) -> None:
    samples = recording(3, rate)
    noise = spoiled("noise, 0 dB", samples, rate) - samples
    edge = min(rate / 2, 8_000)
    assert share_above(noise, rate, edge * 1.05) < 1e-6
    for part in (0.25, 0.5, 0.75):
        assert share_above(noise, rate, part * edge) == pytest.approx(1 - part, abs=0.05)


@pytest.mark.parametrize("rate", RATES)
def test_a_narrow_band_leaves_nothing_above_4_khz_and_all_below(rate: int) -> None:
    chirp = np.random.default_rng(0).normal(0, 0.1, 2 * rate).astype(np.float32)
    narrow = spoiled("8 kHz", chirp, rate)
    assert len(narrow) == pytest.approx(len(chirp), abs=8)
    assert share_above(narrow, rate, 4_000) < 1e-4
    low = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate).astype(np.float32)
    middle = slice(rate // 4, rate // 2)
    np.testing.assert_allclose(spoiled("8 kHz", low, rate)[middle], low[middle], atol=1e-3)


def test_gain_is_exact_and_full_scale_cuts_it_off() -> None:
    samples = np.array([0.001, -0.1, 0.2, 0.5, -1], np.float32)
    np.testing.assert_allclose(spoiled("20 dB quieter", samples, 16_000), samples / 10, rtol=1e-6)
    factor = 10 ** (12 / 20)
    np.testing.assert_allclose(
        spoiled("12 dB louder, clipped", samples, 16_000), [0.001 * factor, -0.1 * factor, 0.2 * factor, 1, -1], rtol=1e-6
    )


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.5])
def test_speech_breaks_off_counted_from_where_it_begins(rate: int, seconds: float) -> None:
    samples = recording(seconds, rate)
    spoken = speech(samples, rate)
    assert len(spoken) < (seconds + 0.3) * rate, "without the quiet ends"
    second, half = spoiled("first second", samples, rate), spoiled("first half", samples, rate)
    assert len(second) == min(rate, len(spoken))
    assert len(half) == math.ceil(len(spoken) / 2)
    for part in (second, half):
        np.testing.assert_array_equal(part, spoken[: len(part)])


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("count", [1, 10, 1_600, 40_000])
@pytest.mark.parametrize("silent", [True, False])
def test_no_condition_touches_the_recording_or_fails_on_a_short_or_silent_one(name: str, count: int, silent: bool) -> None:
    samples = (np.zeros(count) if silent else np.random.default_rng(0).normal(0, 0.1, count)).astype(np.float32)
    before = samples.copy()
    samples.flags.writeable = False
    altered = spoiled(name, samples, 16_000)
    np.testing.assert_array_equal(samples, before)
    assert altered.dtype == np.float32
    assert 0 < len(altered) <= count + 8
    assert np.isfinite(altered).all()
    assert not silent or not altered.any(), "noise below nothing is nothing"


def test_noise_depends_on_the_key_alone_and_not_on_its_level() -> None:
    samples = recording(1, 16_000)
    loud, soft = (spoiled(f"noise, {decibels} dB", samples, 16_000) - samples for decibels in (0, 20))
    np.testing.assert_array_equal(loud, spoiled("noise, 0 dB", samples, 16_000) - samples)
    np.testing.assert_allclose(loud, 10 * soft, atol=1e-5)
    other = spoiled("noise, 0 dB", samples, 16_000, key="0badcaff") - samples
    assert abs(np.corrcoef(loud, other)[0, 1]) < 0.05


# the choice


@given(cells=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=60), clips=st.integers(1, 70), seed=st.integers(0, 9))
@settings(max_examples=100, deadline=None)
def test_every_speaker_gives_as_many_clips_as_any_other_and_so_do_his_classes(cells: list[tuple[int, int]], clips: int, seed: int) -> None:
    entries = [Entry(f"clip{index}", "crema", f"crema/{speaker}", "sad", label) for index, (speaker, label) in enumerate(cells)]
    chosen = choose_evenly(entries, clips, seed)
    assert len(chosen) == len({entry.id for entry in chosen}) == min(clips, len(entries))
    assert chosen == choose_evenly(entries[::-1], clips, seed)
    refuse_favourites(Counter(entry.speaker for entry in chosen), Counter(entry.speaker for entry in entries))
    for speaker in {entry.speaker for entry in entries}:
        taken, there = (Counter(entry.label for entry in group if entry.speaker == speaker) for group in (chosen, entries))
        refuse_favourites(taken, there)


def refuse_favourites(taken: Counter[Any], there: Counter[Any]) -> None:
    """Who gives fewer than the most generous less one has no more."""
    most = max(taken.values(), default=0)
    for key, count in there.items():
        assert taken[key] >= min(count, most - 1)


def test_another_seed_chooses_others() -> None:
    entries = [Entry(f"clip{index}", "crema", "crema/1", "sad", 0) for index in range(100)]
    assert choose_evenly(entries, 20, 1) != choose_evenly(entries, 20, 2)


# the measurement


@pytest.fixture(scope="module")
def recogniser(finished: Run) -> Recogniser:
    return Recogniser.load(finished.best)


@pytest.fixture(scope="module")
def manifest(prepared: Workspace) -> Manifest:
    return read_manifest(prepared.processed / "manifest.csv")


@pytest.fixture(scope="module")
def entries(finished: Run) -> tuple[Entry, ...]:
    return read_entries(finished.split / "test.csv")


def test_every_condition_is_measured_on_the_same_clips_and_compared_with_clean(
    recogniser: Recogniser, entries: tuple[Entry, ...], manifest: Manifest, raw: Path
) -> None:
    measured = measure_robustness(recogniser, entries, manifest, raw, clips=20)
    json.dumps(measured.to_json(), allow_nan=False)
    assert list(measured.conditions) == list(CONDITIONS)
    assert (measured.n, measured.left_out) == (20, {})
    assert measured.speakers == len({entry.speaker for entry in choose_evenly(entries, 20, 42)})
    clean = measured.conditions[CLEAN]
    assert clean.uar.value is not None
    for scores in measured.conditions.values():
        assert (scores.n, scores.speakers) == (20, measured.speakers)
        assert scores.uar.value is not None
        assert scores.change.uar.value == pytest.approx(scores.uar.value - clean.uar.value)
    assert clean.change.uar.low == clean.change.uar.value == 0
    assert measured == measure_robustness(recogniser, entries[::-1], manifest, raw, clips=20)


def test_clean_recordings_score_as_they_did_in_the_run(
    recogniser: Recogniser, entries: tuple[Entry, ...], manifest: Manifest, raw: Path, finished: Run
) -> None:
    table = read_predictions(finished.predictions)["test"]
    measured = measure_robustness(recogniser, entries, manifest, raw, clips=len(entries))
    assert measured.n == len(table.ids)
    assert measured.conditions[CLEAN].wa.value == pytest.approx(np.mean(table.prediction == table.truth))


def test_what_cannot_be_heard_is_counted_with_its_reason(
    recogniser: Recogniser, entries: tuple[Entry, ...], manifest: Manifest, raw: Path, tmp_path: Path
) -> None:
    chosen = list(entries[:6])
    for entry in chosen:
        target = tmp_path / manifest[entry.id].path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(raw / manifest[entry.id].path, target)
    gone, damaged, other = (tmp_path / manifest[entry.id].path for entry in chosen[:3])
    gone.unlink()
    damaged.write_bytes(b"")
    shutil.copy(raw / manifest[chosen[5].id].path, other)
    foreign = replace(chosen[0], id="nobody")
    measured = measure_robustness(recogniser, [*chosen, foreign], manifest, tmp_path)
    assert measured.left_out == {"gone": 1, "empty": 1, "changed": 1, "not in the manifest": 1}
    assert measured.n == 3


def test_without_any_audio_there_is_one_line(
    recogniser: Recogniser, entries: tuple[Entry, ...], manifest: Manifest, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"none of 5 test clips can be read below .* \(gone: 5\)"):
        measure_robustness(recogniser, entries, manifest, tmp_path, clips=5)
    with pytest.raises(DataError, match="the test split is empty"):
        measure_robustness(recogniser, [], manifest, tmp_path)
