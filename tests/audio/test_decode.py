"""Good files in every container decode; every kind of bad file has its reason; nothing else ever comes out."""

import io
import os
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ser.audio import reader
from ser.audio.decode import Audio, audio_hash, read_audio
from ser.errors import AudioError
from ser.reasons import SKIP_REASONS
from sound_files import (
    BAD_FILES,
    FLAC,
    FLOATS,
    MP3,
    OPUS,
    RATE,
    SAME_SAMPLES,
    SAMPLES,
    VORBIS,
    aiff,
    chunk,
    encode,
    wave,
    with_sizes,
    without_length,
    write,
)


def reason_of(path: Path) -> str:
    with pytest.raises(AudioError) as caught:
        read_audio(path)
    assert caught.value.reason in SKIP_REASONS
    assert caught.value.detail
    return caught.value.reason


@pytest.mark.parametrize("content", SAME_SAMPLES.values(), ids=list(SAME_SAMPLES))
def test_headers_of_every_shape_give_the_same_samples(tmp_path: Path, content: bytes) -> None:
    audio = read_audio(write(tmp_path, content))
    assert audio.sample_rate == RATE
    assert audio.samples.dtype == np.float32
    np.testing.assert_array_equal(audio.samples, SAMPLES[:, None].astype(np.float32) / 32768)


@pytest.mark.parametrize(
    ("container", "subtype", "told"),
    [
        ("WAV", "PCM_U8", "wav"),
        ("WAV", "PCM_24", "wav"),
        ("WAV", "PCM_32", "wav"),
        ("WAV", "FLOAT", "wav"),
        ("WAV", "DOUBLE", "wav"),
        ("WAV", "ULAW", "wav"),
        ("WAV", "ALAW", "wav"),
        ("WAVEX", "PCM_24", "wav"),
        ("WAVEX", "FLOAT", "wav"),
        ("AIFF", "PCM_S8", "aiff"),
        ("AIFF", "PCM_24", "aiff"),
        ("AIFF", "FLOAT", "aiff"),
        ("AIFF", "ULAW", "aiff"),
        ("FLAC", "PCM_16", "flac"),
        ("OGG", "VORBIS", "ogg"),
        ("OGG", "OPUS", "opus"),
        ("MP3", "MPEG_LAYER_III", "mp3"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_containers_are_told_by_content(tmp_path: Path, container: str, subtype: str, told: str, channels: int) -> None:
    audio = read_audio(write(tmp_path, encode(container, subtype, channels)))
    assert audio.container == told
    assert audio.samples.shape == (RATE, channels)
    assert 0.05 < audio.samples.std() < 0.15


def test_an_id3_tag_hides_neither_mp3_nor_flac(tmp_path: Path) -> None:
    tag = b"ID3\x04\0\0\0\0\x7f\x7f" + bytes(0x3FFF)
    assert read_audio(write(tmp_path, tag + encode("MP3", "MPEG_LAYER_III"))).container == "mp3"
    assert read_audio(write(tmp_path, tag + encode("FLAC", "PCM_16"))).container == "flac"
    assert reason_of(write(tmp_path, tag)) == "truncated"
    assert reason_of(write(tmp_path, tag + b"text")) == "not-audio"


def test_an_mp3_without_a_length_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    constant, variable = io.BytesIO(), io.BytesIO()
    waveform = np.random.default_rng(1).normal(0, 0.1, 2 * RATE) * np.linspace(1, 0, 2 * RATE) ** 4
    for buffer, mode in ((constant, "CONSTANT"), (variable, "VARIABLE")):
        soundfile.write(buffer, waveform, RATE, format="MP3", bitrate_mode=mode, compression_level=0.5)
    assert len(read_audio(write(tmp_path, without_length(constant.getvalue()))).samples) >= 2 * RATE
    assert len(read_audio(write(tmp_path, variable.getvalue())).samples) == 2 * RATE
    assert reason_of(write(tmp_path, without_length(variable.getvalue()))) == "bad-header"


@pytest.mark.parametrize(("reason", "content"), BAD_FILES)
def test_a_bad_file_has_its_reason(tmp_path: Path, reason: str, content: bytes) -> None:
    assert reason_of(write(tmp_path, content)) == reason


def test_up_to_25_ms_may_be_missing(tmp_path: Path) -> None:
    assert len(read_audio(write(tmp_path, wave()[:-800])).samples) == 7_600


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    fifo, folder, listening = tmp_path / "fifo.wav", tmp_path / "folder.wav", tmp_path / "s.wav"
    os.mkfifo(fifo)
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(listening))
        assert [reason_of(path) for path in (fifo, folder, listening, Path("/dev/zero"))] == ["not-a-file"] * 4


def test_links_are_followed_to_files_only(tmp_path: Path) -> None:
    write(tmp_path, wave(), "real.wav")
    for name, target in (("good.wav", "real.wav"), ("dangling.wav", "nowhere.wav"), ("loop.wav", "pool.wav"), ("pool.wav", "loop.wav")):
        (tmp_path / name).symlink_to(tmp_path / target)
    assert len(read_audio(tmp_path / "good.wav").samples) == len(SAMPLES)
    assert reason_of(tmp_path / "dangling.wav") == "dangling-link"
    assert reason_of(tmp_path / "loop.wav") == "link-loop"


def test_a_file_that_the_system_refuses_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, wave())

    def refuse(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    assert reason_of(tmp_path / "absent.wav") == "unreadable"
    assert reason_of(tmp_path / ("long" * 100)) == "unreadable"
    monkeypatch.setattr(os, "pread", refuse)
    assert reason_of(path) == "unreadable"
    monkeypatch.setattr(os, "open", refuse)
    assert reason_of(path) == "unreadable"


def test_names_that_decoders_fail_on_are_read(tmp_path: Path) -> None:
    for name in (os.fsdecode(b"\xff\xfe.wav"), "n" * 251 + ".wav", "line\nbreak.wav", "=1+1.wav"):
        assert len(read_audio(write(tmp_path, wave(), name)).samples) == len(SAMPLES)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    paths = [write(tmp_path, wave()), write(tmp_path, wave()[:100], "b.wav"), write(tmp_path, FLAC[:50], "c.wav")]
    before = os.dup(0)
    os.close(before)
    for path in paths * 5:
        try_to_read(path)
    assert os.dup(0) == before, "the lowest free descriptor is the same as before"
    os.close(before)


def try_to_read(path: Path) -> None:
    """Audio or an AudioError; anything else fails the test."""
    try:
        audio = read_audio(path)
    except AudioError as error:
        SKIP_REASONS[error.reason]
    else:
        assert audio.samples.ndim == 2
        assert audio.sample_rate > 0


def memory_of(action: Callable[[], object]) -> int:
    """Peak bytes that Python and numpy allocated."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_header_that_promises_gigabytes_allocates_none(tmp_path: Path) -> None:
    total = int.from_bytes(FLAC[18:26], "big") | 0xF_FFFF_FFFF
    liars = [
        with_sizes(wave(), 0xFFFF_FFFF, 0xFFFF_FFFF),
        with_sizes(wave(), 0xFFFF_FFFF, 0x7000_0000),
        FLAC[:18] + total.to_bytes(8, "big") + FLAC[26:],
    ]
    for content in liars:
        assert memory_of(lambda content=content: try_to_read(write(tmp_path, content))) < 20e6  # type: ignore[misc]


def test_long_audio_is_cut_shortly_after_a_minute(tmp_path: Path) -> None:
    minutes = bytes(2 * RATE * 120)
    assert len(read_audio(write(tmp_path, wave(data=minutes))).samples) == 61 * RATE
    assert len(read_audio(write(tmp_path, with_sizes(wave(data=minutes), 0, 0))).samples) == 61 * RATE


def test_more_channels_than_memory_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_VALUES", 7_999)
    assert reason_of(write(tmp_path, wave())) == "too-long"


@settings(max_examples=120, deadline=None)
@given(st.sampled_from([wave(), aiff(), FLOATS, FLAC, OPUS, VORBIS, MP3]), st.data())
def test_damage_gives_audio_or_a_reason(tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject) -> None:
    damaged = bytearray(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    for _ in range(data.draw(st.integers(0, 4))):
        position = data.draw(st.integers(0, 60) | st.integers(0, len(content)))
        if position < len(damaged):
            damaged[position] = data.draw(st.integers(0, 255))
    try_to_read(write(tmp_path_factory.getbasetemp(), bytes(damaged)))


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"FORM\0\0\0\0AIFF", b"OggS", b"fLaC", b"ID3", b"\xff\xfb\x90"]),
    st.binary(max_size=80),
)
@example(b"OggS", bytes(23))
def test_garbage_gives_audio_or_a_reason(tmp_path_factory: pytest.TempPathFactory, start: bytes, rest: bytes) -> None:
    try_to_read(write(tmp_path_factory.getbasetemp(), start + rest))


def test_equal_samples_hash_equal_in_whatever_container(tmp_path: Path) -> None:
    contents = {"a.wav": wave(), "b.aiff": aiff(), "c.wav": wave(before=chunk(b"bext", b"x"))}
    hashes = {audio_hash(read_audio(write(tmp_path, content, name))) for name, content in contents.items()}
    assert len(hashes) == 1
    assert len(hashes.pop()) == 32


def test_the_hash_knows_rate_shape_and_every_sample() -> None:
    samples = np.arange(8, dtype=np.float32)[:, None]
    changed = samples.copy()
    changed[3] = np.nextafter(changed[3], np.float32(9))
    arrays = (samples, samples.reshape(4, 2), changed, samples[:-1])
    hashes = {audio_hash(Audio(array, 16_000, "wav")) for array in arrays} | {audio_hash(Audio(samples, 8_000, "wav"))}
    assert len(hashes) == 5
    columns = Audio(np.asfortranarray(samples.reshape(4, 2)), 16_000, "wav")
    assert audio_hash(columns) == audio_hash(Audio(samples.reshape(4, 2), 16_000, "aiff"))
