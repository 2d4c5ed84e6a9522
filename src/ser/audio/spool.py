"""Recordings from a stream such as a pipe, copied to a temporary file because a recording is read twice."""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePath
from typing import IO

from ser.audio.containers import identify
from ser.audio.reader import FileRecording, open_recording
from ser.audio.source import HEAD_BYTES, Source
from ser.errors import AudioError

STREAM_BYTES = 1 << 32
"""Maximum number of bytes of a stream, which is also the maximum size of a WAV file."""
COPY_BYTES = 1 << 16
"""Number of bytes read from a stream at once."""
HOPELESS = ("not-audio", "unsupported-codec", "lfs-pointer")
"""Reasons that the first bytes of a stream can establish."""


def recording_of(audio: str | Path | IO[bytes]) -> AbstractContextManager[FileRecording]:
    """Open a recording from the path of a file or from a stream of its bytes.

    Raises:
        AudioError: as of `open_recording` and `spool_recording`.
    """
    return open_recording(Path(audio)) if isinstance(audio, str | Path) else spool_recording(audio)


@contextmanager
def spool_recording(stream: IO[bytes]) -> Iterator[FileRecording]:
    """Open a recording from a stream that can be read only once.

    Raises:
        AudioError: as of `open_recording`; too-long (more than `STREAM_BYTES`).
    """
    with tempfile.TemporaryFile(buffering=0) as file:
        source = copy_stream(stream, file)
        yield FileRecording(source, identify(source), PurePath())


def copy_stream(stream: IO[bytes], file: IO[bytes]) -> Source:
    """Copy a stream to a file. Raises the errors of `spool_recording`. Other content than audio is rejected early, as the stream may be
    endless."""
    size = 0
    while block := read_block(stream):
        size, before = size + len(block), size
        if size > STREAM_BYTES:
            raise AudioError("too-long", f"more than {STREAM_BYTES >> 30} GiB on a stream; give the file itself")
        file.write(block)
        if before < HEAD_BYTES <= size:
            check_beginning(Source.from_descriptor(file.fileno(), size))
    return Source.from_descriptor(file.fileno(), size)


def read_block(stream: IO[bytes]) -> bytes:
    """
    Raises:
        ValueError: the stream gives something else than bytes, as one of text does, or one that does not block.
    """
    block: object = stream.read(COPY_BYTES)
    if not isinstance(block, bytes | bytearray | memoryview):
        raise ValueError(f"a stream of bytes is needed; read() of this {type(stream).__name__} returned {type(block).__name__}")
    return bytes(block)


def check_beginning(source: Source) -> None:
    """Check the first bytes of a stream. Those of AIFF files and of files with an ID3 tag are not sufficient and always pass.

    Raises:
        AudioError: the bytes are not the beginning of an audio file.
    """
    try:
        identify(source)
    except AudioError as error:
        if error.reason in HOPELESS and not source.head.startswith((b"ID3", b"FORM")):
            raise
