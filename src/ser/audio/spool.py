"""A recording that comes as a stream, as from a pipe: kept in a temporary file, because a recording is gone through twice."""

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
"""Of a file that comes as a stream, at most: no WAV file can be longer."""
COPY_BYTES = 1 << 16
"""Of a stream, at once."""
HOPELESS = ("not-audio", "unsupported-codec", "lfs-pointer")
"""What the first bytes of a stream may be for good."""


def recording_of(audio: str | Path | IO[bytes]) -> AbstractContextManager[FileRecording]:
    """Of a file's path, or of the bytes of one.

    Raises:
        AudioError: as of `open_recording` and `spool_recording`.
    """
    return open_recording(Path(audio)) if isinstance(audio, str | Path) else spool_recording(audio)


@contextmanager
def spool_recording(stream: IO[bytes]) -> Iterator[FileRecording]:
    """Bytes of a file that cannot be gone through twice.

    Raises:
        AudioError: as of `open_recording`; too-long (more than `STREAM_BYTES`).
    """
    with tempfile.TemporaryFile(buffering=0) as file:
        source = copy_stream(stream, file)
        yield FileRecording(source, identify(source), PurePath())


def copy_stream(stream: IO[bytes], file: IO[bytes]) -> Source:
    """Errors as of `spool_recording`. What is no audio is refused by its beginning: it may have no end."""
    size = 0
    while block := stream.read(COPY_BYTES):
        size, before = size + len(block), size
        if size > STREAM_BYTES:
            raise AudioError("too-long", f"more than {STREAM_BYTES >> 30} GiB on a stream; give the file itself")
        file.write(block)
        if before < HEAD_BYTES <= size:
            check_beginning(Source.from_descriptor(file.fileno(), size))
    return Source.from_descriptor(file.fileno(), size)


def check_beginning(source: Source) -> None:
    """
    Raises:
        AudioError: these bytes are no audio, whatever follows. Behind an ID3 tag, and in an AIFF file, that cannot be told by them alone.
    """
    try:
        identify(source)
    except AudioError as error:
        if error.reason in HOPELESS and not source.head.startswith((b"ID3", b"FORM")):
            raise
