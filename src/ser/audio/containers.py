"""Detection of the container and codec of a file from its content, and a check of its header against its size.

Decoders correct wrong sizes silently, so headers are checked here before the file is decoded.
"""

from typing import NoReturn

from ser.audio.formats.aiff import check_aiff
from ser.audio.formats.base import Container
from ser.audio.formats.mpeg import check_mpeg, is_mpeg
from ser.audio.formats.ogg import check_ogg
from ser.audio.formats.wav import check_wav
from ser.audio.source import Source
from ser.errors import AudioError

SUFFIX_CONTAINERS = {
    ".wav": ("wav",),
    ".aiff": ("aiff",),
    ".aif": ("aiff",),
    ".flac": ("flac",),
    ".ogg": ("ogg", "opus"),
    ".opus": ("opus",),
    ".mp3": ("mp3",),
}
"""{suffix in lower case: containers that such a file may have}"""

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
"""{first bytes: name} of known formats that are not decoded."""


def identify(source: Source) -> Container:
    """Detect the container from the content and check its header.

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
    return identify_tagged(source, id3_bytes(head))


def id3_bytes(head: bytes) -> int:
    """Length in bytes of the ID3v2 tag before the audio, 0 without one. The size has 7 bits in each byte and excludes the 10-byte header.

    >>> id3_bytes(bytes([73, 68, 51, 4, 0, 0, 0, 0, 1, 2]))
    140
    """
    if not head.startswith(b"ID3") or len(head) < 10:
        return 0
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


def identify_tagged(source: Source, start: int) -> Container:
    """Identify MP3, or FLAC after an ID3 tag that ends at `start`. Raises the errors of `identify`."""
    frame = source.at(start, 256)
    if frame.startswith(b"fLaC"):
        return Container("flac")
    if not is_mpeg(frame):
        refuse_unknown(source, start)
    return check_mpeg(source, start, frame)


def refuse_unknown(source: Source, start: int) -> NoReturn:
    """Raise the error for an unknown format.

    Raises:
        AudioError: always.
    """
    if start:
        raise AudioError("truncated" if start >= source.size else "not-audio", "an ID3 tag without audio after it")
    name = "MP4 or QuickTime" if source.at(4, 4) == b"ftyp" else OTHER_CONTAINERS.get(source.at(0, 4))
    if name:
        raise AudioError("unsupported-codec", f"{name}; convert it to WAV or FLAC")
    raise AudioError("not-audio", "not a known audio format")
