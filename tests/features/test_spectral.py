"""Features against librosa at equal settings, and signals with known answers."""

from typing import Any

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.audio.waveform import Waveform
from ser.config import AudioConfig, ChromaConfig, FeaturesConfig, MelConfig, MfccConfig
from ser.features import spectral
from ser.features.base import FeatureExtractor, Frames
from ser.features.spectral import SpectralExtractor, chroma_filters, mel_filters

RATE = 16_000
TOLERANCE = {"mel": 1e-2, "mfcc": 1e-2, "chroma": 1e-4}
GENERATOR = np.random.default_rng(7)


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE) -> Waveform:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def white(level: float, samples: int = RATE) -> Waveform:
    return (level * GENERATOR.standard_normal(samples)).astype(np.float32)


def voice(samples: int = RATE) -> Waveform:
    """Harmonics that fall off, a pause, and 16-bit noise."""
    time = np.arange(samples) / RATE
    harmonics = sum(np.sin(2 * np.pi * 140 * n * time * (1 + 0.05 * time)) / n**2 for n in range(1, 30))
    loudness = np.where((time > 0.4) & (time < 0.6), 0, np.hanning(samples))
    quantised = np.round(harmonics * loudness * 16_000) / 32_768
    return quantised.astype(np.float32)


SIGNALS = {
    "tone": tone(440),
    "low tone over noise that single precision loses": tone(250) + white(3e-6),
    "noise": white(0.3),
    "faint noise": white(1e-5),
    "voice": voice(),
    "impulse": np.eye(1, RATE, 5000, dtype=np.float32)[0],
    "step": np.repeat(np.array([0, 1], np.float32), RATE // 2),
    "silence": np.zeros(RATE, np.float32),
    "one frame": white(0.1, 100),
    "no sample": np.zeros(0, np.float32),
}

CONFIGS = {
    "shipped": (AudioConfig(), FeaturesConfig()),
    "other sizes": (
        AudioConfig(sampling_rate=22_050),
        FeaturesConfig(
            n_fft=2048,
            hop_length=512,
            mel=MelConfig(n_mels=64, fmin=50, fmax=8000),
            mfcc=MfccConfig(n_mfcc=13),
            chroma=ChromaConfig(n_chroma=24),
        ),
    ),
    "odd hop": (
        AudioConfig(sampling_rate=8000),
        FeaturesConfig(n_fft=512, hop_length=77, mel=MelConfig(n_mels=40), mfcc=MfccConfig(n_mfcc=40)),
    ),
}


def by_librosa(waveform: Waveform, rate: int, config: FeaturesConfig) -> dict[str, Frames]:
    """Three calls, as its manual shows them."""
    common: dict[str, Any] = {
        "y": np.pad(waveform, (0, max(0, 1 - len(waveform)))),
        "sr": rate,
        "n_fft": config.n_fft,
        "hop_length": config.hop_length,
    }
    mel = librosa.feature.melspectrogram(**common, n_mels=config.mel.n_mels, fmin=config.mel.fmin, fmax=config.mel.fmax)
    log_mel = librosa.power_to_db(mel, ref=1.0, amin=1e-10, top_db=None)
    mfcc = librosa.feature.mfcc(S=log_mel, n_mfcc=config.mfcc.n_mfcc)
    return {"mel": log_mel, "mfcc": mfcc, "chroma": librosa.feature.chroma_stft(**common, n_chroma=config.chroma.n_chroma, tuning=0)}


def split_columns(extractor: SpectralExtractor, frames: Frames) -> dict[str, Frames]:
    ends = np.cumsum(list(extractor.dims.values()))
    return dict(zip(extractor.dims, np.split(frames, ends[:-1], axis=1), strict=True))


def worst_difference(signal: Waveform, audio: AudioConfig, config: FeaturesConfig) -> dict[str, float]:
    extractor = SpectralExtractor(audio, config)
    ours = split_columns(extractor, extractor.extract([signal])[0])
    reference = by_librosa(signal, audio.sampling_rate, config)
    return {name: float(np.abs(ours[name] - reference[name].T).max()) for name in reference}


@pytest.mark.filterwarnings("ignore:n_fft=:UserWarning", "ignore:Empty filters:UserWarning")
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("signal", SIGNALS)
def test_features_agree_with_librosa(signal: str, config: str) -> None:
    differences = worst_difference(SIGNALS[signal], *CONFIGS[config])
    assert {name: difference for name, difference in differences.items() if difference > TOLERANCE[name]} == {}


def test_double_precision_is_what_makes_quiet_bands_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectral, "QUIET_BAND", 0.0)
    signal = SIGNALS["low tone over noise that single precision loses"]
    assert worst_difference(signal, *CONFIGS["shipped"])["mel"] > TOLERANCE["mel"]


@pytest.mark.filterwarnings("ignore:Empty filters:UserWarning")
@pytest.mark.parametrize(
    ("rate", "n_fft", "n_mels", "fmin", "fmax"),
    [(16_000, 1024, 128, 0.0, 8000.0), (22_050, 2048, 40, 30.0, 7600.0), (8000, 256, 128, 0.0, 4000.0), (16_000, 401, 23, 0.0, 8000.0)],
)
def test_mel_filters_are_those_of_librosa(rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> None:
    expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, dtype=np.float64)
    assert np.allclose(mel_filters(rate, n_fft, n_mels, fmin, fmax), expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize(("rate", "n_fft", "n_chroma"), [(16_000, 1024, 12), (22_050, 2048, 24), (44_100, 4096, 36), (16_000, 512, 7)])
def test_chroma_filters_are_those_of_librosa(rate: int, n_fft: int, n_chroma: int) -> None:
    expected = librosa.filters.chroma(sr=rate, n_fft=n_fft, n_chroma=n_chroma, tuning=0, dtype=np.float64)
    assert np.allclose(chroma_filters(rate, n_fft, n_chroma), expected, rtol=1e-9, atol=1e-14)


def test_it_is_a_feature_extractor() -> None:
    extractor: FeatureExtractor = SpectralExtractor(AudioConfig(), FeaturesConfig())
    assert extractor.name == "spectral"


@given(lengths=st.lists(st.integers(0, 20_000), max_size=12), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_a_clip_has_the_same_features_in_any_group(lengths: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    clips = [generator.standard_normal(length).astype(np.float32) for length in lengths]
    extractor = SpectralExtractor(AudioConfig(), FeaturesConfig())
    together = extractor.extract(clips)
    assert [frames.shape for frames in together] == [(1 + length // 256, 180) for length in lengths]
    for clip, frames in zip(clips, together, strict=True):
        assert frames.dtype == np.float32
        assert np.array_equal(frames, extractor.extract([clip])[0])


@pytest.mark.parametrize("types", [("chroma",), ("mel", "chroma"), ("mfcc",), ("mfcc", "mel")])
def test_a_feature_is_the_same_whatever_else_is_asked_for(types: tuple[str, ...]) -> None:
    everything = SpectralExtractor(AudioConfig(), FeaturesConfig())
    some = SpectralExtractor(AudioConfig(), FeaturesConfig.model_validate({"types": types}))
    reference = split_columns(everything, everything.extract([SIGNALS["voice"]])[0])
    found = split_columns(some, some.extract([SIGNALS["voice"]])[0])
    assert list(found) == [name for name in reference if name in types]
    assert all(np.array_equal(found[name], reference[name]) for name in found)


@pytest.mark.parametrize(("hertz", "pitch_class"), [(261.63, 0), (440.0, 9), (880.0, 9), (493.88, 11)])
def test_chroma_names_the_pitch_class_of_a_tone(hertz: float, pitch_class: int) -> None:
    extractor = SpectralExtractor(AudioConfig(), FeaturesConfig(types=("chroma",)))
    middle = extractor.extract([tone(hertz)])[0][10:-10]
    assert (middle.argmax(axis=1) == pitch_class).all()
    assert (middle.max(axis=1) == 1).all()


def test_twice_the_amplitude_is_six_decibels_in_every_mel_band() -> None:
    extractor = SpectralExtractor(AudioConfig(), FeaturesConfig(types=("mel",)))
    single, double = extractor.extract([SIGNALS["noise"], 2 * SIGNALS["noise"]])
    assert np.allclose(double - single, 20 * np.log10(2), atol=1e-3)


def test_silence_is_the_floor_in_mel_and_nothing_in_chroma() -> None:
    extractor = SpectralExtractor(AudioConfig(), FeaturesConfig())
    columns = split_columns(extractor, extractor.extract([SIGNALS["silence"]])[0])
    assert np.allclose(columns["mel"], -100)
    assert not columns["chroma"].any()


def test_a_frame_depends_on_its_own_samples_only() -> None:
    """No top_db, no tuning from the whole clip: windows of long audio, batches and an exported graph agree."""
    extractor = SpectralExtractor(AudioConfig(), FeaturesConfig())
    quiet = white(1e-3)
    alone, beside_loud = extractor.extract([quiet, np.concatenate([quiet, white(1.0)])])
    assert np.array_equal(alone[:59], beside_loud[:59])
