"""A recording block by block is what the decoder gives in one piece, and is screened alike."""

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.audio import reader, spool
from ser.audio import recording as recording_module
from ser.audio import scan as scan_module
from ser.audio.decode import read_audio, read_screened
from ser.audio.reader import open_recording
from ser.audio.recording import ArrayRecording, full_scale
from ser.audio.scan import Scan, cut, scan
from ser.audio.spool import spool_recording
from ser.audio.waveform import hop_energy, mix_down
from ser.errors import AudioError
from sound_files import DATA, SAME_SAMPLES, encode, wave, wave_format, with_sizes, write

RATE = 16_000
EXACT = {"mp3": 1e-6}
"""Its decoder rounds by where a read begins."""


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a clip of a second has several."""
    monkeypatch.setattr(recording_module, "BLOCK_SECONDS", 0.1)


def scan_file(path: Path) -> Scan:
    with open_recording(path) as recording:
        return scan(recording)


def reason_of(path: Path) -> str:
    with pytest.raises(AudioError) as caught:
        scan_file(path)
    return caught.value.reason


ENCODED = [
    ("WAV", "PCM_24"),
    ("WAV", "ULAW"),
    ("AIFF", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]
CONTENTS = {**SAME_SAMPLES, **{f"{form} {codec}": encode(form, codec, channels=2) for form, codec in ENCODED}}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=list(CONTENTS))
def test_blocks_are_what_the_decoder_gives_in_one_piece(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, content)
    whole = read_audio(path)
    with open_recording(path) as recording:
        assert (recording.sample_rate, recording.channels, recording.container) == (
            whole.sample_rate,
            whole.samples.shape[1],
            whole.container,
        )
        for _ in range(2):
            blocks = list(recording.blocks())
            assert len(blocks) >= 5
            np.testing.assert_allclose(np.concatenate(blocks), whole.samples, rtol=0, atol=EXACT.get(whole.container, 0))
        found = scan(recording)
    assert found.warnings == read_screened(path)[1]
    mono = mix_down(whole.samples)
    np.testing.assert_allclose(found.energy, hop_energy(mono, found.hop), rtol=EXACT.get(whole.container, 0))
    assert found.kept is not None
    np.testing.assert_allclose(found.kept, mono, rtol=0, atol=EXACT.get(whole.container, 0))
    assert found.seconds == len(mono) / whole.sample_rate


@pytest.mark.parametrize(
    ("reason", "content"),
    [
        ("empty", b""),
        ("not-audio", b"hello, world"),
        ("lfs-pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0"),
        ("header-only", wave(data=b"")),
        ("truncated", wave()[:-9_000]),
        ("truncated", encode("FLAC", "PCM_16")[:-9_000]),
        ("truncated", encode("OGG", "OPUS")[:-1_000]),
        ("bad-header", wave(fmt=b"")),
        ("unsupported-codec", wave(wave_format(tag=2))),
        ("unsupported-codec", b"\x00\x00\x00\x20ftypM4A " + b"\0" * 99),
        ("rate-too-low", wave(wave_format(rate=3_000))),
        ("too-short", wave(data=DATA[:1_000])),
        ("silent", wave(data=b"\0\0" * 8_000)),
        ("too-long", wave(wave_format(rate=400_000_000))),
    ],
)
def test_what_cannot_be_used_has_its_reason(tmp_path: Path, reason: str, content: bytes) -> None:
    assert reason_of(write(tmp_path, content)) == reason


def test_links_and_folders_have_their_reasons(tmp_path: Path) -> None:
    (tmp_path / "nowhere.wav").symlink_to(tmp_path / "gone.wav")
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    (tmp_path / "folder.wav").mkdir()
    names = ("nowhere", "loop", "folder", "absent")
    assert [reason_of(tmp_path / f"{name}.wav") for name in names] == ["dangling-link", "link-loop", "not-a-file", "unreadable"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e16])
def test_one_sample_that_is_no_number_is_enough(value: float) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    samples[-1] = value
    with pytest.raises(AudioError, match="not-finite"):
        scan(ArrayRecording(samples, RATE))


@pytest.mark.parametrize(
    ("samples", "first"),
    [
        (np.array([16384, 0], np.int16), 0.5),
        (np.array([2**30, 0], np.int32), 0.5),
        (np.array([0.5, 0]), 0.5),
        (np.array([[0.5, 0.25]] * 2, np.float32), 0.5),
    ],
)
def test_samples_of_every_type_have_full_scale_1(samples: np.ndarray[tuple[int, ...], np.dtype[np.generic]], first: float) -> None:
    scaled = full_scale(samples)
    assert scaled.dtype == np.float32
    assert (scaled.ndim, float(scaled[0, 0])) == (2, first)


@pytest.mark.parametrize(
    "samples", [np.zeros((2, 2, 2)), np.zeros((2, 100)), np.zeros(5, np.uint8), np.zeros(5, complex), np.zeros((5, 0))]
)
def test_other_samples_are_refused(samples: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    with pytest.raises(ValueError, match="samples of"):
        full_scale(samples)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [1e300, -1e39])
def test_a_number_too_large_for_32_bits_is_none(value: float) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, RATE)
    samples[-1] = value
    with pytest.raises(AudioError, match="not-finite"):
        scan(ArrayRecording(samples, RATE))


def test_a_stream_is_read_like_the_file(tmp_path: Path) -> None:
    content = encode("FLAC", "PCM_16", channels=2)
    with spool_recording(io.BytesIO(content)) as recording:
        found = scan(recording)
    expected = scan_file(write(tmp_path, content, "clip.flac"))
    np.testing.assert_array_equal(found.energy, expected.energy)
    assert found.warnings == expected.warnings == ("stereo",)


class Endless(io.RawIOBase):
    """These bytes, and then others for ever."""

    def __init__(self, content: bytes, others: bytes = b"\0") -> None:
        super().__init__()
        self.content, self.others, self.given = content, others, 0

    def read(self, size: int = -1) -> bytes:
        piece = self.content[self.given : self.given + size]
        self.given += size
        return piece + self.others * (size - len(piece))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not-audio"),
        (b"hello", "not-audio"),
        (wave(wave_format(tag=2)), "unsupported-codec"),
        (b"\0\0\0\x20ftypM4A ", "unsupported-codec"),
    ],
)
def test_a_stream_that_is_no_audio_is_not_read_to_its_end(content: bytes, reason: str) -> None:
    stream = Endless(content)
    with pytest.raises(AudioError) as caught, spool_recording(stream):  # type: ignore[arg-type]
        pass
    assert caught.value.reason == reason
    assert stream.given <= 1 << 16


@pytest.mark.parametrize("content", [b"ID3\x04\0\0\0\0\x7f\x7f", b"FORM\0\0\0\0AIFF", wave()], ids=["tag", "aiff", "wav"])
def test_a_stream_without_an_end_is_too_long(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(spool, "STREAM_BYTES", 1 << 20)
    with pytest.raises(AudioError, match="too-long: more than"), spool_recording(Endless(content)):  # type: ignore[arg-type]
        pass


class Dripping(io.BytesIO):
    """A pipe whose writer is slow."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 700))


@pytest.mark.parametrize("before", [b"", b"ID3\x04\0\0\0\0\x3f\x76" + bytes(8_182)])
def test_a_stream_may_come_in_drops_and_behind_a_long_tag(before: bytes) -> None:
    """The tag is as long as the beginning that is looked at, to a byte or two."""
    content = encode("FLAC", "PCM_16")
    with spool_recording(Dripping(before + content)) as recording:
        assert scan(recording).container == "flac"


spans_of = st.lists(st.tuples(st.integers(0, 7_999), st.integers(1, 3_000)), min_size=1, max_size=10)


@given(spans=spans_of, kept=st.booleans())
@settings(max_examples=40, deadline=None)
def test_cut_gives_each_span(spans: list[tuple[int, int]], kept: bool) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 8_000).astype(np.float32)
    recording = ArrayRecording(samples, RATE)
    found = scan(recording)
    assert found.kept is not None
    if not kept:
        found = Scan(**{name: getattr(found, name) for name in Scan.__dataclass_fields__} | {"kept": None})
    wanted = sorted((first, min(first + length, len(samples))) for first, length in spans)
    for (first, last), piece in zip(wanted, cut(recording, found, wanted), strict=True):
        np.testing.assert_array_equal(piece, samples[first:last])


def test_a_file_that_shrinks_while_it_is_read_is_truncated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_module, "KEPT_SECONDS", 0.2)
    with open_recording(write(tmp_path, with_sizes(wave(), 0, 0))) as recording:
        found = scan(recording)
        assert found.kept is None
        monkeypatch.setattr(type(recording), "blocks", lambda self: iter([np.zeros((100, 1), np.float32)]))
        with pytest.raises(AudioError, match="truncated"):
            list(cut(recording, found, [(0, found.num_samples)]))


def test_hours_need_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an hour of silence with a word in it, 57 MB as float32."""
    monkeypatch.setattr(recording_module, "BLOCK_SECONDS", 10.0)
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8_000, 1, "PCM_16") as file:
        for minute in range(30):
            block = np.random.default_rng(minute).normal(0, 0.1 if minute == 20 else 1e-3, 60 * 8_000)
            file.write(block)
    tracemalloc.start()
    try:
        with open_recording(path) as recording:
            found = scan(recording)
            assert sum(len(piece) for piece in cut(recording, found, [(0, 40_000), (9_000_000, 9_040_000)])) == 80_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20e6


def test_more_than_a_day_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_HOURS", 0.3 / 3600)
    assert reason_of(write(tmp_path, wave())) == "too-long"


def test_an_mp3_that_hides_its_length_is_a_bad_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, encode("MP3", "MPEG_LAYER_III"), "clip.mp3")
    with open_recording(path) as recording:
        object.__setattr__(recording.form, "least_seconds", 99.0)
        with pytest.raises(AudioError, match="bad-header"):
            scan(recording)
