"""Check of AIFF and AIFF-C headers."""

import struct

from ser.audio.formats.base import MAX_CHUNKS, Container, check_length
from ser.audio.source import Source
from ser.errors import AudioError

CODECS = {b"raw ": 1, b"alaw": 1, b"ALAW": 1, b"ulaw": 1, b"ULAW": 1, b"in24": 3, b"42ni": 3, b"in32": 4, b"23ni": 4}
CODECS |= {b"fl32": 4, b"FL32": 4, b"fl64": 8, b"FL64": 8}
"""{compression type: bytes of one sample}"""
PCM_CODECS = (b"NONE", b"twos", b"sowt")
"""Compression types whose sample width is in the COMM chunk."""


def check_aiff(source: Source) -> Container:
    """Walk the AIFF chunks (AIFF-C specification, Apple 1991). COMM may follow the samples.

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
    # an 80-bit float: the mantissa has 63 fractional bits
    rate = round(mantissa * 2.0 ** ((exponent & 0x7FFF) - 16383 - 63)) if exponent < 16383 + 32 else 0
    codec = common[18:22] or b"NONE"
    if codec not in CODECS and codec not in PCM_CODECS:
        raise AudioError("unsupported-codec", f"AIFF-C codec {codec.decode('ascii', 'backslashreplace')}")
    width = CODECS.get(codec) or (bits + 7) // 8
    if not channels or not rate or not 1 <= width <= 8:
        raise AudioError("bad-header", f"{channels} channels, {rate} Hz, {bits} bits")
    return frames, rate, channels * width
