"""Sound files byte by byte: good ones of every container, odd ones, and bad ones with their reason."""

import io
import struct
from pathlib import Path

import numpy as np
import soundfile

from ser.audio.formats.mpeg import mp3_frame

RATE = 16_000
SAMPLES = (np.random.default_rng(0).normal(0, 0.1, 8_000) * 32768).astype("<i2")
DATA = SAMPLES.tobytes()
PCM_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def wave_format(tag: int = 1, channels: int = 1, rate: int = RATE, width: int = 2, bits: int | None = None) -> bytes:
    frame = channels * width
    return struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, 8 * width if bits is None else bits)


def wave(fmt: bytes = wave_format(), data: bytes = DATA, before: bytes = b"", after: bytes = b"") -> bytes:
    body = b"WAVE" + chunk(b"fmt ", fmt) + before + chunk(b"data", data) + after
    return b"RIFF" + struct.pack("<I", len(body)) + body


def with_sizes(content: bytes, riff: int, data: int) -> bytes:
    """A wave file of one fmt and one data chunk whose sizes are written over."""
    return content[:4] + struct.pack("<I", riff) + content[8:40] + struct.pack("<I", data) + content[44:]


def encode(container: str, subtype: str, channels: int = 1, seconds: float = 1.0) -> bytes:
    waveform = np.random.default_rng(1).normal(0, 0.1, (round(seconds * RATE), channels))
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, RATE, format=container, subtype=subtype)
    return buffer.getvalue()


def aiff(kind: bytes = b"AIFF", codec: bytes = b"", samples: bytes = SAMPLES.astype(">i2").tobytes(), comm_first: bool = True) -> bytes:
    rate = struct.pack(">HQ", 16383 + 13, RATE << (63 - 13))
    common = struct.pack(">HIH", 1, 8_000, 16) + rate + codec
    parts = [b"COMM" + struct.pack(">I", len(common)) + common, b"SSND" + struct.pack(">III", len(samples) + 8, 0, 0) + samples]
    body = kind + b"".join(parts if comm_first else parts[::-1])
    return b"FORM" + struct.pack(">I", len(body)) + body


def write(folder: Path, content: bytes, name: str = "clip.wav") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


SAME_SAMPLES = {
    "plain": wave(),
    "extra chunk before the samples": wave(before=chunk(b"bext", b"x" * 602)),
    "odd chunk with its padding": wave(before=chunk(b"LIST", b"INFOa")),
    "metadata after the samples": wave(after=chunk(b"LIST", b"INFO")),
    "header longer than the first read": wave(before=chunk(b"JUNK", b"\0" * 9_001)),
    "extensible": wave(wave_format(0xFFFE) + struct.pack("<HHIH", 22, 16, 4, 1) + PCM_TAIL),
    "streamed, sizes 0": with_sizes(wave(), 0, 0),
    "streamed, sizes of an empty file": with_sizes(wave(), 36, 0),
    "streamed, sizes 0xFFFFFFFF": with_sizes(wave(), 0xFFFF_FFFF, 0xFFFF_FFFF),
    "streamed, sizes 0x7FFFFFFF": with_sizes(wave(), 0x7FFF_FFFF, 0x7FFF_FFFF - 36),
    "wrong RIFF size": with_sizes(wave(), 100, len(DATA)),
    "aiff": aiff(),
    "aiff, COMM last": aiff(comm_first=False),
    "aifc": aiff(b"AIFC", b"NONE\0\0"),
    "aifc, little endian": aiff(b"AIFC", b"sowt\0\0", DATA),
}


def without_length(content: bytes) -> bytes:
    """An MP3 without its first frame, which holds no audio but the length (Xing or Info)."""
    frame = mp3_frame(content[:4])
    assert frame is not None
    assert b"Info" in content[: frame[0]] or b"Xing" in content[: frame[0]]
    return content[frame[0] :]


FLAC, VORBIS, OPUS = encode("FLAC", "PCM_16"), encode("OGG", "VORBIS", seconds=4), encode("OGG", "OPUS", seconds=4)
MP3, FLOATS = encode("MP3", "MPEG_LAYER_III"), encode("WAV", "FLOAT")
BAD_FILES = [
    ("empty", b""),
    ("lfs-pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 80000\n"),
    ("not-audio", b"This is a text file about audio.\n" * 10),
    ("not-audio", "UTF-16 text".encode("utf-16")),
    ("not-audio", bytes(5_000)),
    ("not-audio", b"\x89PNG\r\n\x1a\n" + bytes(100)),
    ("not-audio", b"\xff\xfb"),
    ("not-audio", b"\xff\xfb\xff\xff" + bytes(100)),
    ("header-only", wave(data=b"")),
    ("header-only", wave(data=b"", after=chunk(b"LIST", b"INFOabcd"))),
    ("header-only", wave()[:44]),
    ("header-only", aiff()[:54]),
    ("truncated", wave()[:-802]),
    ("truncated", wave()[: len(DATA) // 2]),
    ("truncated", wave(before=chunk(b"LIST", b"INFO" * 100))[:100]),
    ("truncated", wave()[:10]),
    ("truncated", FLOATS[: len(FLOATS) // 2]),
    ("truncated", aiff()[:-802]),
    ("truncated", aiff()[:10]),
    ("truncated", aiff()[:38]),
    ("truncated", FLAC[: len(FLAC) // 2]),
    ("truncated", VORBIS[: len(VORBIS) * 9 // 10]),
    ("truncated", OPUS[: len(OPUS) * 9 // 10]),
    ("truncated", OPUS[: OPUS.rindex(b"OggS")]),
    ("truncated", MP3[: len(MP3) // 2]),
    ("bad-header", FLAC[:20]),
    ("bad-header", wave(wave_format(channels=0))),
    ("bad-header", wave(wave_format(rate=0))),
    ("bad-header", wave(wave_format(width=2, bits=24))),
    ("bad-header", wave(wave_format()[:14])),
    ("bad-header", b"RIFF\x24\0\0\0WAVE" + chunk(b"data", DATA) + chunk(b"fmt ", wave_format())),
    ("bad-header", b"RIFF\x24\0\0\0WAVE" + chunk(b"fmt ", wave_format())),
    ("bad-header", b"RIFF\x24\0\0\0WAVE" + chunk(b"null", b"") * 2_000),
    ("bad-header", b"FORM\0\0\0\x08AIFFabcd\0\0\0\0"),
    ("bad-header", aiff().replace(b"COMM\0\0\0\x12\0\x01", b"COMM\0\0\0\x12\0\0")),
    ("unsupported-codec", encode("WAV", "IMA_ADPCM")),
    ("unsupported-codec", encode("WAV", "GSM610")),
    ("unsupported-codec", wave(wave_format(0x55))),
    ("unsupported-codec", wave(wave_format(0xFFFE) + struct.pack("<HHIH", 22, 16, 4, 1) + bytes(14))),
    ("unsupported-codec", wave(wave_format(width=8))),
    ("unsupported-codec", wave(wave_format(width=1, bits=4))),
    ("unsupported-codec", aiff(b"AIFC", b"ima4\0\0")),
    ("unsupported-codec", b"RIFF\0\0\0\0AVI " + bytes(100)),
    ("unsupported-codec", b"FORM\0\0\0\x08ILBM" + bytes(100)),
    ("unsupported-codec", encode("RF64", "PCM_16")),
    ("unsupported-codec", encode("CAF", "PCM_16")),
    ("unsupported-codec", encode("AU", "PCM_16")),
    ("unsupported-codec", b"\0\0\0\x20ftypM4A " + bytes(100)),
    ("unsupported-codec", OPUS.replace(b"OpusHead", b"Speex   ")),
    ("unsupported-codec", b"\xff\xf1\x50\x80" + bytes(100)),
    ("unsupported-codec", b"\xff\xfd\x50\x80" + bytes(100)),
]
