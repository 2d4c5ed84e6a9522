"""A file is judged the same by the census of a corpus and by `predict`: the same reason with the same detail, or the same warnings."""

import io
import os
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.audio import recording
from ser.config import AudioConfig, ExperimentConfig, ProjectConfig, RuntimeConfig
from ser.corpora.census import Found, Skipped, examine, find_files, take_census
from ser.errors import AudioError
from ser.evaluation.calibration import Calibration
from ser.inference.clip_output import Clip, ClipOutput
from ser.inference.predictor import Predictor
from ser.reasons import SKIP_REASONS, WARN_REASONS
from sound_files import BAD_FILES, FLAC, FLOATS, MP3, OPUS, RATE, VORBIS, aiff, chunk, encode, wave, wave_format, without_length

Judgement = tuple[str, str] | tuple[str, ...]
"""Reason and detail, or warnings."""
Make = Callable[[Path], object]
"""Leaves a file at a path."""

LEFT_OUT = {
    "too-long": "a minute in a corpus, a day for predict: a test of its own below",
    "no-speech": "silero alone tells it, and predictions alone have it",
    "outside-root": "of a member of an archive, or an upload: it is refused before there is a file",
    "duplicate-samples": "of several files",
    "conflicting-label": "of several files",
    "bad-name": "of the name; predict takes a file of any name",
    "wrong-modality": "of the name",
    "wrong-channel": "of the name",
    "speaker-mismatch": "of the name and its folder",
    "timeout": "of the service's clock",
}
"""Code: why it does not depend on the bytes and samples of one file alone."""


class Guess:
    """A model that takes anything."""

    audio = AudioConfig()
    calibration = Calibration(temperature=None, threshold=None, max_error=0.2, reason=None)
    classes = ("calm", "angry")

    def infer_clips(self, clips: Sequence[Clip]) -> list[ClipOutput]:
        return [ClipOutput(np.full(2, 0.5), np.zeros(0, np.float32)) for _ in clips]


def by_census(path: Path) -> Judgement:
    """What `extract` writes of the one file below its corpus's folder."""
    project = ProjectConfig(raw_dir=str(path.parents[1]), corpora=("savee",))
    config = ExperimentConfig(project=project, runtime=RuntimeConfig(workers=1))
    census = take_census(find_files(Path(project.raw_dir), project.corpora), config)
    assert len(census.manifest) + len(census.skipped) == 1
    return next(((row.reason, row.detail) for row in census.skipped), tuple(sorted(census.warnings)))


def by_predict(path: Path) -> Judgement:
    try:
        return tuple(sorted(Predictor(Guess()).predict(path).warnings))
    except AudioError as error:
        return error.reason, error.detail


def tone(seconds: float = 0.5, level: float = 0.3, rate: int = RATE) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(samples,)"""
    return level * np.sin(2 * np.pi * 300 * np.arange(round(seconds * rate)) / rate)


def written(samples: np.ndarray[tuple[int, ...], np.dtype[np.float64]], rate: int = RATE, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


def with_one(value: float) -> bytes:
    samples = tone()
    samples[100] = value
    return written(samples, subtype="FLOAT")


def link_to(target: str) -> Make:
    return lambda path: path.symlink_to(path.parent / target)


FILES: list[tuple[str, bytes]] = [
    *BAD_FILES,
    ("rate-too-low", wave(wave_format(rate=3_999))),
    ("too-short", written(tone(0.099))),
    ("silent", written(0 * tone())),
    ("silent", written(0 * tone() + 0.25)),
    ("silent", written(0 * tone() + 0.1, subtype="DOUBLE")),
    ("silent", written(tone(level=1.3e-4), subtype="FLOAT")),
    ("silent", written(np.stack([tone(), -tone()], 1))),
    ("not-finite", with_one(np.nan)),
    ("not-finite", with_one(-np.inf)),
    ("not-finite", with_one(1e30)),
    ("clipped", written(np.clip(tone(level=1.5), -1, 1))),
    ("dc-offset", written(tone() + 0.05)),
    ("stereo", written(np.stack([tone(), 0 * tone()], 1))),
    ("8khz", written(tone(rate=8_000), 8_000)),
    ("name-content-mismatch", FLAC),
    # several defects: the first that is looked for
    ("rate-too-low", written(tone(0.05, rate=3_000), 3_000)),
    ("not-finite", written(np.full(800, np.nan), subtype="FLOAT")),
    ("too-short", written(0 * tone(0.05))),
]
PLACES: list[tuple[str, Make]] = [
    ("not-a-file", os.mkfifo),
    ("not-a-file", Path.mkdir),
    ("link-loop", link_to("DC_a01.wav")),
    ("dangling-link", link_to("nowhere.wav")),
]


def id3(text: bytes) -> bytes:
    body = b"TIT2" + struct.pack(">I", len(text) + 1) + b"\0\0\0" + text
    return b"ID3\x03\0\0\0\0" + bytes([len(body) >> 7, len(body) & 0x7F]) + body


def without_flac_length() -> bytes:
    """As a program leaves it that writes into a pipe: no number of samples, no checksum."""
    content = bytearray(FLAC)
    content[21] &= 0xF0
    content[22:42] = bytes(20)
    return bytes(content)


def without_last_flag(content: bytes) -> bytes:
    """Ogg whose last page does not say that it is the last."""
    last = content.rindex(b"OggS")
    return content[: last + 5] + bytes([content[last + 5] & ~4]) + content[last + 6 :]


ODD = {
    "chunk without its padding": wave(before=b"LIST" + struct.pack("<I", 5) + b"INFOa"),
    "four bytes a sample of two": wave(wave_format()[:8] + struct.pack("<IHH", 4 * RATE, 4, 16)),
    "floats of 0 bits": FLOATS[:34] + b"\0\0" + FLOATS[36:],
    "flac without length": without_flac_length(),
    "opus without its last page": OPUS[: OPUS.rindex(b"OggS")],
    "opus whose last page is not the last": without_last_flag(OPUS),
    "vorbis whose last page is not the last": without_last_flag(VORBIS),
    "mp3 after two tags": id3(b"one") + id3(b"two") + MP3,
    "mp3 after a tag and zeros": id3(b"one") + bytes(300) + MP3,
    "mp3 after zeros": bytes(1000) + MP3,
    "two mp3 in one": MP3 + MP3,
    "mp3 from its middle": MP3[700:],
    "mp3 without length": without_length(MP3),
    "mp3 before an old tag": MP3 + b"TAG" + b"x" * 125,
    "mp3 cut": MP3[: len(MP3) * 9 // 10],
    "flac cut": FLAC[: len(FLAC) * 9 // 10],
    "aiff with rubbish after it": aiff() + chunk(b"junk", b"x" * 99),
    "stereo mp3": encode("MP3", "MPEG_LAYER_III", channels=2),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a clip as SAVEE names them, which is not there yet."""
    (tmp_path / "savee").mkdir()
    return tmp_path / "savee" / "DC_a01.wav"


def words(cases: list[tuple[str, bytes]] | list[tuple[str, Make]]) -> list[str]:
    """Test ids: each code, numbered."""
    seen: Counter[str] = Counter()
    ids = []
    for code, _ in cases:
        seen[code] += 1
        ids.append(f"{code} {seen[code]}")
    return ids


def check_same(path: Path, code: str | None = None) -> None:
    in_a_corpus = by_census(path)
    assert by_predict(path) == in_a_corpus
    if code is not None:
        assert code in in_a_corpus
    assert not {"error", "warning"} & set(in_a_corpus)


@pytest.mark.parametrize(("code", "content"), FILES, ids=words(FILES))
def test_bytes_are_judged_the_same(path: Path, code: str, content: bytes) -> None:
    path.write_bytes(content)
    check_same(path, code)


@pytest.mark.parametrize(("code", "make"), PLACES, ids=words(PLACES))
def test_what_is_no_regular_file_is_judged_the_same(path: Path, code: str, make: Make) -> None:
    make(path)
    check_same(path, code)


def test_a_disk_that_fails_is_judged_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(wave())

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    check_same(path, "unreadable")


@pytest.mark.parametrize("content", ODD.values(), ids=list(ODD))
def test_odd_files_are_judged_the_same(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    check_same(path)


def test_every_code_that_one_file_can_have_has_a_case() -> None:
    cases = {code for code, _ in FILES} | {code for code, _ in PLACES} | {"unreadable"}
    assert cases == (SKIP_REASONS.keys() | WARN_REASONS.keys()) - LEFT_OUT.keys()
    assert LEFT_OUT.keys() <= SKIP_REASONS.keys() | WARN_REASONS.keys()


@pytest.mark.parametrize(("seconds", "corpus"), [(60.0, ("8khz",)), (60.1, ("too-long", "more than 60 s"))])
def test_too_long_begins_at_a_minute_in_a_corpus_and_at_a_day_for_predict(path: Path, seconds: float, corpus: Judgement) -> None:
    path.write_bytes(written(tone(seconds, rate=8_000), 8_000))
    assert by_census(path) == corpus
    assert by_predict(path) == ("8khz",)


def code_of(judge: Callable[[Path], Judgement], path: Path) -> Judgement | str:
    """Without the detail, which tells how far the decoder came."""
    judgement = judge(path)
    return judgement[0] if judgement and judgement[0] in SKIP_REASONS else judgement


def by_examination(path: Path) -> Judgement:
    """As `by_census`, for the one file alone."""
    found = examine(Found("savee", path, path.parent, path.parents[1]))
    return (found.reason, found.detail) if isinstance(found, Skipped) else tuple(sorted(found.warnings))


subtypes = st.sampled_from(["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
rates = st.sampled_from([1_000, 3_999, 4_000, 8_000, 16_000, 44_100, 192_000]) | st.integers(1, 200_000)


@st.composite
def small_waves(draw: st.DrawFn) -> bytes:
    """Of every format, number of channels, rate, length and level; with a sample that is no number; cut, or with a byte changed."""
    samples = np.random.default_rng(draw(st.integers(0, 99))).normal(0, 1, (draw(st.integers(0, 3_000)), draw(st.integers(1, 3))))
    samples = samples * 10 ** (draw(st.integers(-6, 0))) + draw(st.sampled_from([0.0, 0.0, 0.021, 0.3]))
    subtype = draw(subtypes)
    if subtype in ("FLOAT", "DOUBLE") and len(samples) and draw(st.booleans()):
        samples[draw(st.integers(0, len(samples) - 1)), 0] = draw(st.sampled_from([np.nan, np.inf, -1e20]))
    content = bytearray(written(samples, draw(rates), subtype))
    if draw(st.booleans()):
        del content[draw(st.integers(0, len(content))) :]
    if content and draw(st.booleans()):
        content[draw(st.integers(0, min(59, len(content) - 1)))] = draw(st.integers(0, 255))
    return bytes(content)


@given(content=small_waves(), block=st.sampled_from([0.016, 0.05, 10.0]))
@settings(max_examples=150, deadline=None)
def test_any_small_wave_is_judged_the_same(tmp_path_factory: pytest.TempPathFactory, content: bytes, block: float) -> None:
    """Also where `predict` takes it in many blocks."""
    folder = tmp_path_factory.getbasetemp() / "savee"
    folder.mkdir(exist_ok=True)
    path = folder / "DC_a01.wav"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "BLOCK_SECONDS", block)
        assert code_of(by_predict, path) == code_of(by_examination, path)
