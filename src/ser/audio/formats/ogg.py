"""Check of Ogg files with Vorbis or Opus."""

from ser.audio.formats.base import Container
from ser.audio.source import Source
from ser.errors import AudioError

LARGEST_PAGE = 27 + 255 + 255 * 255
"""Maximum size of a page in bytes: header, segment table and segments."""


def check_ogg(source: Source) -> Container:
    """Detect the codec from the first page, and check that the last page is complete and marked as the last (RFC 3533).

    Raises:
        AudioError: unsupported-codec or truncated.
    """
    packet = source.at(27 + ogg_segments(source.head), 8)
    name = "opus" if packet == b"OpusHead" else "ogg" if packet.startswith(b"\x01vorbis") else None
    if name is None:
        raise AudioError("unsupported-codec", "Ogg without Vorbis or Opus")
    tail = source.at(max(0, source.size - 2 * LARGEST_PAGE), 2 * LARGEST_PAGE)
    page = tail[tail.rfind(b"OggS") :]
    whole = len(page) >= 27 and len(page) >= 27 + ogg_segments(page) + sum(page[27 : 27 + ogg_segments(page)])
    if not whole or not page[5] & 4:
        raise AudioError("truncated", "the stream stops before its last page")
    return Container(name)


def ogg_segments(page: bytes) -> int:
    """Number of entries in the segment table of a page."""
    return page[26] if len(page) > 26 else 0
