"""What a file's bytes say: which container and codec, and whether the header promises more than the bytes that are there.

Decoders correct wrong sizes without a word, so headers are checked here, before any decoder sees the file.
"""

import os
import struct
from dataclasses import dataclass
from typing import NoReturn

from ser.errors import AudioError

TRUNCATED_SECONDS = 0.025
"""More than this missing against the header, and the file counts as truncated."""
MAX_CHUNKS = 1000
"""RIFF and AIFF files have a handful; more is an attack or garbage."""
STREAMING_BYTES = 0x7FFF_0000
"""Programs that write into a pipe put 0x7FFFFFFF, 0xFFFFFFFF or nearly that for a size that they cannot know yet."""
HEAD_BYTES = 4096

WAVE_PCM, WAVE_FLOAT, WAVE_ALAW, WAVE_MULAW, WAVE_EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
WAVE_CODECS = {WAVE_PCM: (1, 2, 3, 4), WAVE_FLOAT: (4, 8), WAVE_ALAW: (1,), WAVE_MULAW: (1,)}
"""Codec tag: bytes that one sample of one channel may have."""
WAVE_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
AIFC_CODECS = {b"raw ": 1, b"alaw": 1, b"ALAW": 1, b"ulaw": 1, b"ULAW": 1, b"in24": 3, b"42ni": 3, b"in32": 4, b"23ni": 4}
AIFC_CODECS |= {b"fl32": 4, b"FL32": 4, b"fl64": 8, b"FL64": 8}
"""Compression type: bytes of one sample; the plain PCM types state their own width."""
AIFC_PCM = (b"NONE", b"twos", b"sowt")

MPEG1_KILOBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG2_KILOBITS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
"""Layer III, a second."""
MP3_SAMPLE_RATES = (44_100, 48_000, 32_000)
"""Hz, of MPEG 1; MPEG 2 has half, MPEG 2.5 a quarter."""

OTHER_CONTAINERS = {
    b"RF64": "RF64",
    b"RIFX": "RIFX",
    b"riff": "Wave64",
    b"caff": "CAF",
    b".snd": "AU",
    b"NIST": "NIST SPHERE",
    b"wvpk": "WavPack",
    b"MAC ": "Monkey's Audio",
    b"\x1aE\xdf\xa3": "Matroska or WebM",
    b"\x30\x26\xb2\x75": "Windows Media",
    b"#!AM": "AMR",
    b"ADIF": "AAC",
}


@dataclass(frozen=True, slots=True)
class Source:
    """An open file that never reads past its own end."""

    descriptor: int
    size: int
    """Bytes."""
    head: bytes

    @classmethod
    def of(cls, descriptor: int, size: int) -> "Source":
        return cls(descriptor, size, os.pread(descriptor, HEAD_BYTES, 0))

    def at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`. The position of the descriptor stays where it is."""
        if offset + count <= len(self.head):
            return self.head[offset : offset + count]
        return os.pread(self.descriptor, max(0, min(count, self.size - offset)), offset)


@dataclass(frozen=True, slots=True)
class Container:
    """What the bytes are."""

    name: str
    """wav, aiff, flac, ogg (Vorbis), opus or mp3."""
    states_length: bool = True
    """The header tells how many samples there are (an MP3 without a Xing header does not)."""
    least_seconds: float = 0.0
    """What the decoder must give, counted in an MP3 without a Xing header: of a variable bit rate decoders then guess the length."""
    repaired_header: bytes | None = None
    """A header with true sizes, for a WAV file whose writer never filled them in; the samples follow from `data_offset`."""
    data_offset: int = 0
    byte_rate: int = 0


def identify(source: Source) -> Container:
    """The container, told by content, its header checked.

    Raises:
        AudioError: empty, lfs-pointer, not-audio, unsupported-codec, bad-header, header-only or truncated.
    """
    head = source.head
    if not head:
        raise AudioError("empty", "0 bytes")
    if head.startswith(b"version https://git-lfs"):
        raise AudioError("lfs-pointer", "a git-LFS pointer, not the audio; git lfs pull fetches it")
    if head.startswith(b"RIFF"):
        return check_wav(source)
    if head.startswith(b"FORM"):
        return check_aiff(source)
    if head.startswith(b"OggS"):
        return check_ogg(source)
    if head.startswith(b"fLaC"):
        return Container("flac")
    return identify_mpeg(source, id3_bytes(head))


def id3_bytes(head: bytes) -> int:
    """Length of the ID3v2 tag in front of the audio: 7 bits a byte, 10 more for its own header.

    >>> id3_bytes(bytes([73, 68, 51, 4, 0, 0, 0, 0, 1, 2]))
    140
    """
    if not head.startswith(b"ID3") or len(head) < 10:
        return 0
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


def identify_mpeg(source: Source, start: int) -> Container:
    """MP3, FLAC behind an ID3 tag, or something that is not on the list. Bits of a frame header: ISO 11172-3, 2.4.1.3."""
    frame = source.at(start, 256)
    if frame.startswith(b"fLaC"):
        return Container("flac")
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        refuse_unknown(source, start)
    layer = frame[1] >> 1 & 3
    if layer == 2 or (layer == 0 and frame[1] & 0x10):
        raise AudioError("unsupported-codec", "MPEG layer II" if layer == 2 else "AAC")
    if mp3_frame(frame[:4]) is None:
        raise AudioError("not-audio", "no audio that is known here")
    if b"Xing" in frame or b"Info" in frame:
        return Container("mp3")
    return Container("mp3", states_length=False, least_seconds=count_mp3_seconds(source, start))


def mp3_frame(header: bytes) -> tuple[int, float] | None:
    """(bytes, seconds) of the frame that a four-byte header opens; None where it opens none. A free bit rate has 0 bytes.

    >>> mp3_frame(bytes.fromhex("fffb9000"))
    (417, 0.026122448979591838)
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version, bit_rate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bit_rate == 15 or rate == 3:
        return None
    mpeg1 = version == 3
    sample_rate = MP3_SAMPLE_RATES[rate] >> (0 if mpeg1 else 1 if version == 2 else 2)
    samples = 1152 if mpeg1 else 576
    padding = header[2] >> 1 & 1
    kilobits = (MPEG1_KILOBITS if mpeg1 else MPEG2_KILOBITS)[bit_rate]
    return (samples * kilobits * 125 // sample_rate + padding if kilobits else 0), samples / sample_rate


def count_mp3_seconds(source: Source, start: int) -> float:
    """Seconds of the frames that follow one another from `start` on, without the two that decoders lose; at most a minute."""
    total = lost = 0.0
    while total < 60 and (frame := mp3_frame(source.at(start, 4))):
        size, seconds = frame
        if not size:
            break
        start, total, lost = start + size, total + seconds, 2 * seconds
    return total - lost


def refuse_unknown(source: Source, start: int) -> NoReturn:
    """
    Raises:
        AudioError: always.
    """
    if start:
        raise AudioError("truncated" if start >= source.size else "not-audio", "an ID3 tag and no audio behind it")
    name = "MP4 or QuickTime" if source.at(4, 4) == b"ftyp" else OTHER_CONTAINERS.get(source.at(0, 4))
    if name:
        raise AudioError("unsupported-codec", f"{name}; convert it to WAV or FLAC")
    raise AudioError("not-audio", "no audio that is known here")


def check_wav(source: Source) -> Container:
    """Walk the RIFF chunks up to `data`: http://www-mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html

    Raises:
        AudioError: bad-header, header-only, truncated or unsupported-codec.
    """
    if source.at(8, 4) != b"WAVE":
        raise (
            AudioError("truncated", "the file ends in its header")
            if source.size < 12
            else AudioError("unsupported-codec", "RIFF without WAVE")
        )
    fmt, offset = b"", 12
    for _ in range(MAX_CHUNKS):
        if offset + 8 > source.size:
            break
        name, length = struct.unpack("<4sI", source.at(offset, 8))
        offset += 8
        if name == b"data":
            return check_wav_data(source, fmt, offset, length)
        if name == b"fmt ":
            fmt = source.at(offset, min(length, 40))
        offset += length + length % 2
    raise AudioError("truncated", "the file ends before its samples") if offset > source.size else AudioError("bad-header", "no data chunk")


def check_wav_data(source: Source, fmt: bytes, start: int, length: int) -> Container:
    """`length` bytes are promised from `start` on; are they there?"""
    rate, frame_bytes = parse_wav_format(fmt)
    (riff_bytes,) = struct.unpack("<I", source.at(4, 4))
    there = source.size - start
    never_filled_in = length >= STREAMING_BYTES or (length == 0 and (riff_bytes + 8 <= start or riff_bytes >= STREAMING_BYTES))
    check_length(there if never_filled_in else length, there, frame_bytes, rate)
    if not never_filled_in:
        return Container("wav")
    sizes = struct.pack("<I", 20 + len(fmt) + there & 0xFFFF_FFFF), struct.pack("<I", there & 0xFFFF_FFFF)
    header = b"RIFF" + sizes[0] + b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + sizes[1]
    return Container("wav", repaired_header=header, data_offset=start, byte_rate=rate * frame_bytes)


def check_length(promised: int, there: int, frame_bytes: int, rate: int) -> None:
    """Bytes against bytes.

    Raises:
        AudioError: header-only or truncated.
    """
    if min(promised, there) < frame_bytes:
        raise AudioError("header-only", "a header and no samples")
    missing = (promised - there) / (frame_bytes * rate)
    if missing > TRUNCATED_SECONDS:
        raise AudioError("truncated", f"{missing:.3f} s missing against the header")


def parse_wav_format(fmt: bytes) -> tuple[int, int]:
    """(sample rate, bytes of one sample of all channels).

    Raises:
        AudioError: bad-header or unsupported-codec.
    """
    if len(fmt) < 16:
        raise AudioError("bad-header", "no complete fmt chunk before the samples")
    tag, channels, rate, _, frame_bytes, bits = struct.unpack("<HHIIHH", fmt[:16])
    if tag == WAVE_EXTENSIBLE and fmt[26:40] == WAVE_GUID_TAIL:
        (tag,) = struct.unpack("<H", fmt[24:26])
    if tag not in WAVE_CODECS:
        raise AudioError("unsupported-codec", f"WAVE codec {tag:#06x}")
    if not channels or not rate or not frame_bytes or frame_bytes % channels:
        raise AudioError("bad-header", f"{channels} channels, {rate} Hz, {frame_bytes} bytes a frame")
    width = frame_bytes // channels
    if width not in WAVE_CODECS[tag] or bits < 8:
        raise AudioError("unsupported-codec", f"WAVE codec {tag:#06x} with {bits} bits in {width} bytes")
    if bits > 8 * width:
        raise AudioError("bad-header", f"{bits} bits in {width} bytes")
    return rate, frame_bytes


def check_aiff(source: Source) -> Container:
    """Walk the AIFF chunks; COMM may stand behind the samples: AIFF-C specification, Apple 1991.

    Raises:
        AudioError: bad-header, header-only, truncated or unsupported-codec.
    """
    if source.at(8, 4) not in (b"AIFF", b"AIFC"):
        raise (
            AudioError("truncated", "the file ends in its header")
            if source.size < 12
            else AudioError("unsupported-codec", "FORM without AIFF")
        )
    common, samples_at, offset = b"", 0, 12
    for _ in range(MAX_CHUNKS):
        if offset + 8 > source.size:
            break
        name, length = struct.unpack(">4sI", source.at(offset, 8))
        offset += 8
        if name == b"COMM":
            common = source.at(offset, min(length, 22))
        elif name == b"SSND" and offset + 4 <= source.size:
            samples_at = offset + 8 + struct.unpack(">I", source.at(offset, 4))[0]
        offset += length + length % 2
    frames, rate, frame_bytes = parse_aiff_common(common)
    if frames and not samples_at:
        raise AudioError("truncated", "the file ends before its samples")
    check_length(frames * frame_bytes, source.size - samples_at, frame_bytes, rate)
    return Container("aiff")


def parse_aiff_common(common: bytes) -> tuple[int, int, int]:
    """(samples for each channel, sample rate, bytes of one sample of all channels) of a COMM chunk.

    Raises:
        AudioError: bad-header or unsupported-codec.
    """
    if len(common) < 18:
        raise AudioError("bad-header", "no complete COMM chunk")
    channels, frames, bits, exponent, mantissa = struct.unpack(">HIHHQ", common[:18])
    # an 80-bit float: the mantissa has 63 bits behind its point
    rate = round(mantissa * 2.0 ** ((exponent & 0x7FFF) - 16383 - 63)) if exponent < 16383 + 32 else 0
    codec = common[18:22] or b"NONE"
    if codec not in AIFC_CODECS and codec not in AIFC_PCM:
        raise AudioError("unsupported-codec", f"AIFF-C codec {codec.decode('ascii', 'backslashreplace')}")
    width = AIFC_CODECS.get(codec) or (bits + 7) // 8
    if not channels or not rate or not 1 <= width <= 8:
        raise AudioError("bad-header", f"{channels} channels, {rate} Hz, {bits} bits")
    return frames, rate, channels * width


def check_ogg(source: Source) -> Container:
    """The codec of the first page, and a last page that is whole and says that it is the last: RFC 3533.

    Raises:
        AudioError: unsupported-codec or truncated.
    """
    packet = source.at(27 + ogg_segments(source.head), 8)
    name = "opus" if packet == b"OpusHead" else "ogg" if packet.startswith(b"\x01vorbis") else None
    if name is None:
        raise AudioError("unsupported-codec", "Ogg without Vorbis or Opus")
    largest_page = 27 + 255 + 255 * 255
    tail = source.at(max(0, source.size - 2 * largest_page), 2 * largest_page)
    page = tail[tail.rfind(b"OggS") :]
    whole = len(page) >= 27 and len(page) >= 27 + ogg_segments(page) + sum(page[27 : 27 + ogg_segments(page)])
    if not whole or not page[5] & 4:
        raise AudioError("truncated", "the stream stops before its last page")
    return Container(name)


def ogg_segments(page: bytes) -> int:
    """Entries of a page's segment table."""
    return page[26] if len(page) > 26 else 0
