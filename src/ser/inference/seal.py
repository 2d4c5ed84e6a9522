"""The checksum that an exported model contains of itself, so that a flipped bit is found before the model is used.

It is a sha256 over the file with 64 zeros in the place of the checksum.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import IO

from ser.errors import ArtefactError

UNSEALED = b"sha256:" + b"0" * 64
SEAL = re.compile(rb"sha256:([0-9a-f]{64})")
WEIGHTS = re.compile(rb"\n\x07weights\x12@([0-9a-f]{64})")
"""The bytes of the metadata entry with that name in an ONNX file."""
END = 1 << 20
"""Bytes at the end of a file that hold its metadata, after the weights."""
PIECE = 1 << 20
"""Bytes that are read at a time."""


def seal(content: bytes) -> bytes:
    """The bytes of a model with their checksum in the place that `ExportedFacts.metadata` left for it."""
    return content.replace(UNSEALED, b"sha256:" + hashlib.sha256(content).hexdigest().encode(), 1)


def check_seal(path: Path, file: IO[bytes]) -> None:
    """
    Args:
        file: `path`, open; it is read in pieces, because a backbone has hundreds of megabytes.

    Raises:
        ArtefactError: the file was changed after it was written, or was not written by this program.
    """
    start, content = end_of(file)
    match = SEAL.search(content)
    if match is None:
        raise ArtefactError(f"{path} is not a model exported by this program, or only a part of one")
    digest, left = hashlib.sha256(), start
    file.seek(0)
    while left and (piece := file.read(min(left, PIECE))):
        digest.update(piece)
        left -= len(piece)
    digest.update(content[: match.start()] + UNSEALED + content[match.end() :])
    if digest.hexdigest().encode() != match[1]:
        raise ArtefactError(f"{path} is corrupted (checksum mismatch)")


def end_of(file: IO[bytes]) -> tuple[int, bytes]:
    """The offset of the last `END` bytes, and the bytes."""
    start = max(0, file.seek(0, os.SEEK_END) - END)
    file.seek(start)
    return start, file.read()


def weights_of(path: Path) -> str | None:
    """Digest of the weights as recorded in an exported file, read in a millisecond and not checked; None for any other file."""
    try:
        with path.open("rb") as file:
            match = WEIGHTS.search(end_of(file)[1])
    except OSError:
        return None
    return match and match[1].decode()
