"""Check of WAV headers, and repair of sizes that programs do not fill in when they write to a pipe."""

import struct

from ser.audio.formats.base import MAX_CHUNKS, Container, check_length
from ser.audio.source import Source
from ser.errors import AudioError

STREAMING_BYTES = 0x7FFF_0000
"""Sizes from here on are placeholders: programs that write to a pipe use 0x7FFFFFFF, 0xFFFFFFFF or slightly less for an unknown size."""

PCM = 1
FLOAT = 3
ALAW = 6
MULAW = 7
EXTENSIBLE = 0xFFFE
"""The codec's tag is the first two bytes of a GUID later in the chunk."""
CODECS = {PCM: (1, 2, 3, 4), FLOAT: (4, 8), ALAW: (1,), MULAW: (1,)}
"""{codec tag: allowed numbers of bytes in one sample of one channel}"""
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
"""Remaining bytes of a GUID that begins with a codec tag."""


def check_wav(source: Source) -> Container:
    """Walk the RIFF chunks up to `data`, see http://www-mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html

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
    """Check that the file has the `length` bytes of samples from `start` on that the header states. Raises the errors of `check_wav`."""
    rate, frame_bytes = parse_wav_format(fmt)
    (riff_bytes,) = struct.unpack("<I", source.at(4, 4))
    there = source.size - start
    never_filled_in = length >= STREAMING_BYTES or (length == 0 and (riff_bytes + 8 <= start or riff_bytes >= STREAMING_BYTES))
    check_length(there if never_filled_in else length, there, frame_bytes, rate)
    if not never_filled_in:
        return Container("wav")
    sizes = struct.pack("<I", 20 + len(fmt) + there & 0xFFFF_FFFF), struct.pack("<I", there & 0xFFFF_FFFF)
    header = b"RIFF" + sizes[0] + b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + sizes[1]
    return Container("wav", repaired_header=header, data_offset=start)


def parse_wav_format(fmt: bytes) -> tuple[int, int]:
    """(sample rate, bytes of one sample of all channels).

    Raises:
        AudioError: bad-header or unsupported-codec.
    """
    if len(fmt) < 16:
        raise AudioError("bad-header", "no complete fmt chunk before the samples")
    tag, channels, rate, _, frame_bytes, bits = struct.unpack("<HHIIHH", fmt[:16])
    if tag == EXTENSIBLE and fmt[26:40] == GUID_TAIL:
        (tag,) = struct.unpack("<H", fmt[24:26])
    if tag not in CODECS:
        raise AudioError("unsupported-codec", f"WAVE codec {tag:#06x}")
    if not channels or not rate or not frame_bytes or frame_bytes % channels:
        raise AudioError("bad-header", f"{channels} channels, {rate} Hz, {frame_bytes} bytes a frame")
    width = frame_bytes // channels
    if width not in CODECS[tag] or bits < 8:
        raise AudioError("unsupported-codec", f"WAVE codec {tag:#06x} with {bits} bits in {width} bytes")
    if bits > 8 * width:
        raise AudioError("bad-header", f"{bits} bits in {width} bytes")
    return rate, frame_bytes
