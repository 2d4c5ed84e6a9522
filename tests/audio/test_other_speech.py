"""Speech that nobody trained on, synthesised here, at several rates and in every container: an answer or a reason for each file."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from conftest import Ser
from ser.export.onnx_file import export_run
from ser.runs.run import Run

pytestmark = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")

VOICES = ("en-gb", "en-us+f3", "de", "fr+m2", "cmn")
SENTENCE = "This is no sentence that anybody recorded for a corpus, and nobody acts it."
KINDS = {
    "16.wav": ("WAV", "PCM_16"),
    "24.wav": ("WAV", "PCM_24"),
    "float.wav": ("WAV", "FLOAT"),
    "alaw.wav": ("WAV", "ALAW"),
    ".flac": ("FLAC", "PCM_16"),
    ".aiff": ("AIFF", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
RATES = (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000)
LOSSLESS = ("16.wav", "24.wav", "float.wav", ".flac", ".aiff")


def speak(voice: str, path: Path) -> tuple[NDArray[np.float64], int]:
    subprocess.run(["espeak-ng", "-v", voice, "-w", str(path), SENTENCE], check=True)
    return soundfile.read(path)  # type: ignore[no-any-return]


def supports(rate: int, kind: str) -> bool:
    return rate in (8_000, 16_000, 48_000) if kind == ".opus" else kind != ".mp3" or rate <= 48_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every voice once as it comes; the first at every rate in every container, also in stereo; and what is no speech at all."""
    found = tmp_path_factory.mktemp("speech")
    voices = [speak(voice, found / f"voice-{number}.wav") for number, voice in enumerate(VOICES)]
    spoken, rate = voices[0]
    for other in RATES:
        resampled = 0.5 * soxr.resample(spoken, rate, other)
        for kind, (container, subtype) in KINDS.items():
            if supports(other, kind):
                soundfile.write(found / f"rate-{other}{kind}", resampled, other, format=container, subtype=subtype)
    soundfile.write(found / "stereo.flac", np.stack([spoken, 0.5 * spoken], axis=1), rate)
    soundfile.write(found / "long.ogg", np.tile(spoken, 12), rate)
    return found


@pytest.fixture(scope="module")
def broken(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("broken")
    whole = (folder / "voice-0.wav").read_bytes()
    (found / "empty.wav").touch()
    (found / "header-only.wav").write_bytes(whole[:44])
    (found / "truncated.wav").write_bytes(whole[: len(whole) // 2])
    (found / "not-audio.wav").write_bytes(b"<html>not found</html>" * 100)
    (found / "not-audio.mp3").write_bytes(np.random.default_rng(0).bytes(20_000))
    (found / "lfs-pointer.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    soundfile.write(found / "silent.wav", np.zeros(16_000), 16_000)
    soundfile.write(found / "too-short.wav", np.ones(160), 16_000)
    soundfile.write(found / "rate-too-low.wav", np.random.default_rng(0).normal(size=20_000) / 9, 2_000)
    soundfile.write(found / "not-finite.wav", np.full(16_000, np.nan), 16_000, subtype="FLOAT")
    return found


@pytest.fixture(scope="module")
def model(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_run(finished, path)
    return path


def predict(ser: Ser, model: Path, folder: Path, code: int = 0) -> dict[str, dict[str, Any]]:
    """{name of the file: what was said of it}"""
    answer = ser("predict", folder, "--model", model, "--format", "jsonl")
    assert answer.code == code, answer.err
    return {Path(record["path"]).name: record for record in map(json.loads, answer.out.splitlines())}


def test_every_voice_rate_and_container_gets_an_answer(ser: Ser, model: Path, folder: Path) -> None:
    records = predict(ser, model, folder)
    assert set(records) == {path.name for path in folder.iterdir()}
    for record in records.values():
        assert record["reason"] is None
        assert sum(record["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert 0 < record["speech_seconds"] <= record["seconds"]
    assert len(records["long.ogg"]["timeline"]) > 1
    assert records["rate-8000.ogg"]["warnings"] == ["8khz"]
    assert records["stereo.flac"]["warnings"] == ["stereo"]


def test_a_container_without_loss_changes_no_answer(ser: Ser, model: Path, folder: Path) -> None:
    records = predict(ser, model, folder)
    for rate in RATES:
        first, *others = (records[f"rate-{rate}{kind}"]["probabilities"] for kind in LOSSLESS)
        for other in others:
            assert other == pytest.approx(first, abs=5e-3)  # 16 bits are rounded


def test_what_is_broken_gets_the_reason_that_it_is_called_after(ser: Ser, model: Path, broken: Path) -> None:
    records = predict(ser, model, broken, code=3)
    assert {name: record["reason"] for name, record in records.items()} == {path.name: path.stem for path in broken.iterdir()}
    assert all(record["emotion"] is None for record in records.values())
