"""Check of MPEG audio: layer III is accepted, other layers and AAC are rejected by name."""

from ser.audio.formats.base import Container
from ser.audio.source import Source
from ser.errors import AudioError

MPEG1_KILOBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
"""Bit rates of MPEG 1 layer III in kbit/s, indexed by the code in the frame header."""
MPEG2_KILOBITS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
"""Bit rates of MPEG 2 and 2.5 layer III in kbit/s."""
SAMPLE_RATES = (44_100, 48_000, 32_000)
"""Sample rates of MPEG 1 in Hz; MPEG 2 has half of them, MPEG 2.5 a quarter."""
MAX_SECONDS = 60.0
"""Duration after which `count_mp3_seconds` stops counting."""


def is_mpeg(frame: bytes) -> bool:
    """Whether the first eleven bits are ones, as in every MPEG audio frame (ISO 11172-3, 2.4.1.3)."""
    return len(frame) >= 4 and frame[0] == 0xFF and frame[1] & 0xE0 == 0xE0


def check_mpeg(source: Source, start: int, frame: bytes) -> Container:
    """Check the first frame.

    Args:
        frame: beginning of the first frame, at the offset `start`.

    Raises:
        AudioError: unsupported-codec or not-audio.
    """
    layer = frame[1] >> 1 & 3
    if layer == 2 or (layer == 0 and frame[1] & 0x10):
        raise AudioError("unsupported-codec", "MPEG layer II" if layer == 2 else "AAC")
    if mp3_frame(frame[:4]) is None:
        raise AudioError("not-audio", "not a known audio format")
    if b"Xing" in frame or b"Info" in frame:
        return Container("mp3")
    return Container("mp3", states_length=False, least_seconds=count_mp3_seconds(source, start))


def mp3_frame(header: bytes) -> tuple[int, float] | None:
    """(bytes, seconds) of the frame with this four-byte header; None if the header is invalid. The size is 0 for a free bit rate.

    >>> mp3_frame(bytes.fromhex("fffb9000"))
    (417, 0.026122448979591838)
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version, bit_rate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bit_rate == 15 or rate == 3:
        return None
    mpeg1 = version == 3
    sample_rate = SAMPLE_RATES[rate] >> (0 if mpeg1 else 1 if version == 2 else 2)
    samples = 1152 if mpeg1 else 576
    padding = header[2] >> 1 & 1
    kilobits = (MPEG1_KILOBITS if mpeg1 else MPEG2_KILOBITS)[bit_rate]
    return (samples * kilobits * 125 // sample_rate + padding if kilobits else 0), samples / sample_rate


def count_mp3_seconds(source: Source, start: int) -> float:
    """Duration of the consecutive frames from `start` on, without the two frames that decoders drop; counting stops after a minute."""
    total = lost = 0.0
    while total < MAX_SECONDS and (frame := mp3_frame(source.at(start, 4))):
        size, seconds = frame
        if not size:
            break
        start, total, lost = start + size, total + seconds, 2 * seconds
    return total - lost
