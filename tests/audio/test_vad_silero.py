"""What silero-vad says through ser is what its own package says, and a recording without speech gets no emotion."""

import logging
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from conftest import Ser
from places import SAMPLE
from ser.audio import vad_silero as silero_module
from ser.audio.decode import read_audio
from ser.audio.recording import ArrayRecording
from ser.audio.scan import Scan, scan
from ser.audio.vad_silero import CHUNK, MINUTE, RATE, Silero, detector, find_stretches
from ser.audio.waveform import mix_down, normalise_peak
from ser.config import AudioConfig
from ser.errors import ConfigError, DataError
from ser.evaluation.calibration import Calibration
from ser.inference.clip_output import Clip, ClipOutput
from ser.inference.prediction import Prediction
from ser.inference.predictor import UNKNOWN, Predictor
from ser.system.onnx_session import Session
from ser.system.optional import install_hint

pytestmark = pytest.mark.skipif(find_spec("silero_vad") is None, reason="needs the extra voice: silero-vad")

Samples = np.ndarray[Any, np.dtype[np.float32]]
RATES = (8_000, 16_000, 22_050, 24_414, 44_100, 48_000)
FOUR_SECONDS = AudioConfig(duration=4.0)
SURE = Calibration(temperature=None, threshold=None, max_error=0.2, reason=None)


@pytest.fixture(autouse=True)
def without_silero() -> None:
    """Here it is there."""


@cache
def network() -> Silero:
    return Silero.load()


@pytest.fixture(scope="module")
def original() -> Iterator[Any]:
    """The package's own model and functions; its import sets the threads of torch."""
    import torch

    threads = torch.get_num_threads()
    package = pytest.importorskip("silero_vad")
    package.model = package.load_silero_vad(onnx=True)
    yield package
    torch.set_num_threads(threads)


@cache
def voice(index: int = 0) -> Samples:
    """A clip of the sample, some 2.5 s at 16 kHz with a peak of 1."""
    audio = read_audio(sorted(SAMPLE.iterdir())[index])
    return normalise_peak(soxr.resample(mix_down(audio.samples), audio.sample_rate, RATE))


def noise(seconds: float, level: float = 0.1, seed: int = 0, rate: int = RATE) -> Samples:
    return np.random.default_rng(seed).normal(0, level, round(seconds * rate)).astype(np.float32)


def tone(seconds: float) -> Samples:
    return (0.3 * np.sin(2 * np.pi * 300 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def in_noise(snr: float, around: float = 5.0) -> Samples:
    """Silence of a tenth of the noise, steady noise, in its middle a voice so many dB above it, and silence again."""
    clip = voice()
    level = float(np.sqrt(np.mean(clip**2))) / 10 ** (snr / 20)
    steady = noise(2 * around, level)
    return np.concatenate([noise(3, 1e-5), steady[: len(steady) // 2], clip + noise(len(clip) / RATE, level), steady, noise(3, 1e-5)])


def hear(samples: Samples, rate: int = RATE, sizes: Sequence[int] = ()) -> Samples:
    stream, start = network().start(rate), 0
    for size in sizes:
        stream.add(samples[start : start + size])
        start += size
    stream.add(samples[start:])
    return stream.finish()


def scanned(samples: Samples, rate: int = RATE) -> Scan:
    return scan(ArrayRecording(samples, rate), network())


SOUNDS: dict[str, Callable[[], Samples]] = {
    "clip 0": voice,
    "clip 7": lambda: voice(7),
    "clip 30": lambda: voice(30),
    "several": lambda: np.concatenate([voice(1), noise(1, 1e-3), voice(2), noise(0.3, 1e-3), voice(3)]),
    "in noise": lambda: in_noise(10),
    "noise": lambda: noise(3),
    "tone": lambda: tone(3),
    "short": lambda: voice()[:700],
}


# -- as the package -------------------------------------------------------------------


@pytest.mark.parametrize("sound", SOUNDS.values(), ids=list(SOUNDS))
def test_probabilities_and_stretches_are_the_package_s_own(original: Any, sound: Callable[[], Samples]) -> None:
    import torch

    samples = normalise_peak(sound())
    waveform = torch.from_numpy(samples)
    own = original.model.audio_forward(waveform, RATE).numpy()[0]
    found = hear(samples)
    np.testing.assert_allclose(found, own, rtol=0, atol=1e-4)
    stretches = original.get_speech_timestamps(waveform, original.model)
    assert find_stretches(found, len(samples)) == [(stretch["start"], stretch["end"]) for stretch in stretches]


@given(
    parts=st.lists(st.tuples(st.integers(1, 30), st.floats(0, 1)), max_size=20),
    spread=st.floats(0, 0.4),
    seed=st.integers(0, 999),
    rest=st.integers(1, CHUNK),
)
@settings(max_examples=100, deadline=None)
def test_the_rules_are_the_package_s_own(original: Any, parts: list[tuple[int, float]], spread: float, seed: int, rest: int) -> None:
    steady = np.concatenate([np.zeros(0), *(np.full(count, level) for count, level in parts)])
    probabilities = np.clip(steady + np.random.default_rng(seed).normal(0, spread, len(steady)), 0, 1).astype(np.float32)
    length = max(0, len(probabilities) - 1) * CHUNK + rest
    own = original.get_speech_timestamps_from_probs(probabilities.tolist(), audio_length_samples=length)
    assert find_stretches(probabilities, length) == [(stretch["start"], stretch["end"]) for stretch in own]


def test_neither_torch_nor_the_package_is_imported() -> None:
    code = "import sys\nfrom ser.audio.vad_silero import Silero\nSilero.load()\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "silero_vad", "scipy"} & set(done.stdout.split())


# -- pieces, rates, levels, hours -------------------------------------------------------


@given(sizes=st.lists(st.integers(0, 20_000), max_size=8), rate=st.sampled_from(RATES))
@settings(max_examples=20, deadline=None)
def test_what_is_said_does_not_depend_on_the_pieces(sizes: list[int], rate: int) -> None:
    samples = soxr.resample(voice(), RATE, rate)
    np.testing.assert_allclose(hear(samples, rate, sizes), hear(samples, rate), rtol=0, atol=0 if rate == RATE else 1e-5)


@pytest.mark.parametrize("rate", RATES)
def test_speech_is_found_when_it_is_spoken_whatever_the_rate(rate: int) -> None:
    samples = np.concatenate([noise(2, 1e-4), voice(), noise(2, 1e-4)])
    (first, last), *_ = [(stretches[0][0], stretches[-1][1]) for stretches in [find_stretches(hear(samples), len(samples))]]
    found = scanned(soxr.resample(samples, RATE, rate), rate)
    assert found.voiced is not None
    hops = np.flatnonzero(found.voiced) * found.hop / rate
    assert hops[0] == pytest.approx(first / RATE, abs=0.032)
    assert hops[-1] + found.hop / rate == pytest.approx(last / RATE, abs=0.032)
    assert 1.9 <= first / RATE <= 2.9
    assert len(found.voiced) == len(found.energy)


@pytest.mark.parametrize("level", [1e-3, 0.03, 30.0])
def test_a_voice_is_one_however_far_away_the_microphone_was(level: float) -> None:
    np.testing.assert_allclose(hear(np.float32(level) * voice()), hear(voice()), rtol=0, atol=1e-4)


def test_what_comes_later_does_not_change_what_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second for a minute: the first holds the loudest sample, so that all have one gain."""
    samples = np.concatenate([voice(), noise(0.5, 1e-3), voice(1), voice(2)])
    samples[100] = 1.0
    whole = hear(samples)
    monkeypatch.setattr(silero_module, "MINUTE", 32 * CHUNK)
    np.testing.assert_allclose(hear(samples, sizes=[7_000] * 9), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("level", [1e-4, 1e-2])
def test_a_voice_behind_minutes_of_hush_is_the_voice_alone(level: float) -> None:
    """Hush alone is shown as loud as a voice, and the network would still think of it."""
    for index in (0, 7, 30):
        clip = 0.5 * voice(index)
        samples = np.concatenate([noise(120, level, seed=index), clip])
        found = find_stretches(hear(samples), len(samples))
        assert [(first - 2 * MINUTE, last - 2 * MINUTE) for first, last in found] == find_stretches(hear(clip), len(clip))


def test_nothing_is_no_number() -> None:
    assert hear(np.zeros(0, np.float32)).shape == (0,)
    assert find_stretches(hear(np.zeros(RATE, np.float32)), RATE) == []


def test_hours_need_the_memory_of_a_minute() -> None:
    stream, minute = network().start(8_000), noise(60, rate=8_000)
    tracemalloc.start()
    try:
        for start in range(0, 5 * len(minute), 80_000):
            stream.add(minute[start % len(minute) :][:80_000])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(np.concatenate(stream.probabilities)) in range(4 * MINUTE // CHUNK, 5 * MINUTE // CHUNK + 1)
    assert peak < 30e6


# -- predictions ------------------------------------------------------------------------


class Constant:
    """A model that says the same of everything, and remembers what it heard."""

    classes = ("sad", "angry")
    calibration = SURE

    def __init__(self, audio: AudioConfig = FOUR_SECONDS) -> None:
        self.audio = audio
        self.heard: list[Clip] = []

    def infer_clips(self, clips: Sequence[Clip]) -> list[ClipOutput]:
        self.heard += clips
        return [ClipOutput(np.array([0.25, 0.75]), np.zeros(0, np.float32)) for _ in clips]


def predict(samples: Samples, detector: Any = "silero") -> Prediction:
    return Predictor(Constant(), voice=detector).predict(samples, RATE)


def test_in_steady_noise_silero_finds_the_voice_and_energy_finds_all() -> None:
    samples, length = in_noise(10), len(voice()) / RATE
    found, loud = predict(samples), predict(samples, "energy")
    assert (found.voice, loud.voice) == ("silero", "energy")
    assert loud.speech_seconds == pytest.approx(15 + length, abs=0.3)
    assert 0.4 * length < found.speech_seconds < length + 0.1
    assert all(7.9 <= segment.start < segment.end <= 8.1 + length for segment in found.segments)
    assert (loud.segments[0].start, loud.segments[-1].end) == pytest.approx((3, 18 + length), abs=0.1)


def test_of_a_long_recording_only_windows_with_a_voice_are_heard() -> None:
    model = Constant()
    samples = np.concatenate([noise(20, 0.05), voice(), noise(20, 0.05, seed=1), voice(1), noise(20, 0.05, seed=2)])
    found = Predictor(model, voice="silero").predict(samples, RATE)
    assert len(model.heard) <= 8  # of 32
    assert found.speech_seconds < 6
    assert len(found.segments) == 2
    assert (found.emotion, found.warnings) == ("angry", ())


@pytest.mark.parametrize("seconds", [2.0, 4.0, 9.0, 70.0])
def test_who_says_nothing_has_no_emotion(seconds: float) -> None:
    found = predict(noise(seconds))
    assert (found.emotion, found.warnings, found.voice) == (UNKNOWN, ("no-speech",), "silero")
    assert (found.speech_seconds, found.timeline, found.segments) == (0, (), ())
    assert found.probabilities == {"sad": 0.25, "angry": 0.75}
    assert predict(noise(seconds), "energy").emotion == "angry"


@pytest.mark.parametrize("index", range(0, 288, 12))
def test_a_clip_has_speech(index: int) -> None:
    found = predict(voice(index))
    assert (found.emotion, len(found.timeline)) == ("angry", 1)
    assert "no-speech" not in found.warnings
    assert 0 < found.speech_seconds <= found.seconds


def test_less_than_a_second_is_too_little_to_deny_that_somebody_speaks() -> None:
    assert (predict(noise(0.9)).voice, predict(noise(0.9)).emotion) == ("energy", "angry")


def test_a_recording_in_doubt_is_told_by_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silero_module, "DOUBT", 1e-3)
    found = predict(noise(3))
    assert (found.voice, found.emotion, found.warnings) == ("energy", "angry", ())
    assert predict(noise(70)).warnings == ("no-speech",)  # too long for one chunk to matter


def test_a_clip_in_a_long_silence_is_heard_as_the_clip_alone() -> None:
    model = Constant()
    Predictor(model, voice="silero").predict(np.concatenate([noise(10, 1e-5), voice(), noise(10, 1e-5)]), RATE)
    ((heard, _),) = model.heard
    assert len(heard) <= len(voice()) + 8 * 256 + 2 * 256


def told(parts: Sequence[tuple[int, bool]]) -> tuple["Constant", Predictor, NDArray[np.bool_]]:
    """A predictor whose detector says so, for (hops, speech) one after another."""
    voiced = np.concatenate([np.full(hops, speech) for hops, speech in parts])
    model = Constant()
    predictor = Predictor(model, voice="energy")
    predictor.silero = Told(np.append(voiced, False))  # type: ignore[assignment]
    return model, predictor, voiced


def test_a_ring_that_drowns_quiet_speech_is_not_all_that_is_heard() -> None:
    model, predictor, voiced = told([(60, False), (1400, True), (40, False)])
    samples = noise(len(voiced) * 256 / RATE, 3e-3)
    samples[5 * RATE : 6 * RATE] += 2 * tone(1)
    found = predictor.predict(samples, RATE)
    assert (found.timeline[0].start, found.timeline[-1].end) == pytest.approx((60 * 0.016, 1460 * 0.016))
    assert len(found.timeline) > 5
    assert sum(len(clip) for clip, _ in model.heard) >= 1400 * 256


@pytest.mark.parametrize("beyond", [0, 3, 16, 17])
def test_what_has_an_answer_was_heard(beyond: int) -> None:
    """Speech that ends so many hops behind what is loud."""
    model, predictor, voiced = told([(400, False), (100 + beyond, True), (400, False)])
    samples = noise(len(voiced) * 256 / RATE, 1e-4)
    samples[400 * 256 : 500 * 256] += tone(1.6)
    found = predictor.predict(samples, RATE)
    ((clip, _),) = model.heard
    assert len(clip) >= (100 + beyond + 4) * 256
    assert (found.timeline[0].start, found.timeline[0].end) == pytest.approx((6.4, 8 + 0.016 * beyond))


@given(
    parts=st.lists(st.tuples(st.integers(1, 300), st.booleans()), min_size=1, max_size=12),
    window=st.floats(0.5, 4),
    share=st.floats(0.2, 1),
    trim=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_wherever_a_voice_is_told_the_timeline_is_in_order_and_holds_it(
    parts: list[tuple[int, bool]], window: float, share: float, trim: bool
) -> None:
    voiced = np.concatenate([np.full(hops, speech) for hops, speech in parts])
    if len(voiced) * 256 < 0.1 * RATE:
        return
    model = Constant(AudioConfig(duration=4.0, trim_silence=trim))
    predictor = Predictor(model, window, max(0.1, window * share), voice="energy")
    predictor.silero = Told(np.append(voiced, False))  # type: ignore[assignment]
    found = predictor.predict(noise(len(voiced) * 256 / RATE), RATE)
    edges = [(passage.start, passage.end) for passage in found.timeline]
    assert edges == sorted(edges)
    assert all(0 <= start < end <= found.seconds for start, end in edges)
    assert found.speech_seconds == pytest.approx(voiced.sum() * 256 / RATE)
    assert bool(edges) == bool(found.segments) == bool(voiced.any()) == (found.emotion != UNKNOWN) == ("no-speech" not in found.warnings)
    for hop in np.flatnonzero(voiced):
        in_a_cell = any(start <= hop * 256 / RATE < end for start, end in edges)
        few = voiced[max(0, hop - 14) : hop + 15].sum() < 29  # less than 0.2 s in a cell may be left out
        assert in_a_cell or few


class Told:
    """A detector that was told where the speech is; it is its own stream."""

    def __init__(self, voiced: NDArray[np.bool_]) -> None:
        self.voiced = voiced

    def start(self, _: int) -> "Told":
        return self

    def add(self, _: Samples) -> None: ...

    def speech(self, _: int, hops: int) -> NDArray[np.bool_]:
        assert hops == len(self.voiced)
        return self.voiced


# -- what may be missing ----------------------------------------------------------------


def missing() -> Path:
    raise ConfigError(f"silero is not installed: {install_hint('voice')}")


def test_without_the_extra_energy_tells_and_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("ser.system.optional.find_spec", lambda _: None)
    with caplog.at_level(logging.INFO):
        assert detector("auto") is None
    assert caplog.messages == [f"speech is detected by its energy: silero is not installed: {install_hint('voice')}"]
    with pytest.raises(ConfigError, match=r"pip install '.*\[voice\]'"):
        detector("silero")
    assert detector("energy") is None


def test_an_older_package_a_damaged_one_and_no_onnxruntime_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    monkeypatch.setattr("ser.system.optional.find_spec", lambda _: spec)
    with pytest.raises(ConfigError, match=r"came with its version 6\.2\.2"):
        detector("silero")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / silero_module.FILE).write_bytes(b"hello")
    with pytest.raises(ConfigError, match="install silero-vad again"):
        detector("silero")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"silero_vad\w+\.onnx needs onnxruntime: pip install"):
        detector("silero")


def test_too_little_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail

    class Full:
        def __init__(self, *_: Any, **__: Any) -> None:
            raise Fail("Failed to allocate memory for requested buffer of size 1")

        @staticmethod
        def run(*_: Any) -> Any:
            raise Fail("Failed to allocate memory for requested buffer of size 1")

    with pytest.raises(DataError, match="out of memory"):
        scan(ArrayRecording(noise(1), RATE), Silero(cast(Session, Full)))
    monkeypatch.setattr("onnxruntime.InferenceSession", Full)
    with pytest.raises(DataError, match=r"out of memory: .*\.onnx cannot be loaded"):
        detector("auto")


def test_another_detector_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no speech detector 'bat': choose auto, silero, energy"):
        Predictor(Constant(), voice="bat")  # type: ignore[arg-type]


def test_the_command_says_in_one_line_that_silero_is_missing(ser: Ser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(silero_module, "find_file", missing)
    monkeypatch.setattr("ser.inference.predictor.load_model", lambda *_: Constant())
    soundfile.write(tmp_path / "x.wav", noise(1), RATE)
    answer = ser("predict", tmp_path / "x.wav", "--model", "model.onnx", "--vad", "silero")
    assert (answer.code, answer.err) == (2, f"ser: silero is not installed: {install_hint('voice')}\n")
    answer = ser("predict", tmp_path / "x.wav", "--model", "model.onnx", "-v", "--format", "jsonl")
    assert answer.code == 0
    assert '"voice": "energy"' in answer.out
    assert "speech is detected by its energy" in answer.err
