"""Checkpoints: tensors and plain values with a checksum. They are loaded without executing code (weights only)."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch

from ser import __version__
from ser.errors import ArtefactError
from ser.system.files import atomic_write

SCHEMA = 1
"""Version of the layout of a checkpoint file."""
MAX_ERROR_LENGTH = 200
"""Maximum number of characters of torch's message about mismatched tensors."""


def save_checkpoint(path: Path, content: dict[str, object]) -> None:
    """Write a checkpoint atomically. `content` may have dicts, lists, tensors, numbers, text and None."""
    with atomic_write(path) as file:
        torch.save({"schema": SCHEMA, "digest": digest(content), "content": content}, file)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Load the content of a checkpoint to the CPU. No code in the file is executed.

    Raises:
        ArtefactError: the file is missing, corrupted, or has a newer schema.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist") from None
    except (RuntimeError, OSError, EOFError, BadZipFile, ValueError, KeyError, IndexError, AttributeError) as error:
        raise ArtefactError(f"{path} is corrupted: {first_line(error)}") from None
    except Exception as error:
        # torch raises pickle.UnpicklingError for code and for random bytes, and zipfile and zlib raise errors of their own
        raise ArtefactError(f"{path} is not a checkpoint: {first_line(error)}") from None
    if not isinstance(stored, dict) or not isinstance(stored.get("schema"), int) or not isinstance(stored.get("content"), dict):
        raise ArtefactError(f"{path} is not a checkpoint of this program")
    if stored["schema"] > SCHEMA:
        raise ArtefactError(f"{path} has schema {stored['schema']}, but this version reads up to {SCHEMA}: update ser")
    try:
        fits = digest(stored["content"]) == stored.get("digest")
    except RuntimeError as error:  # a tensor of a size or layout that torch cannot copy
        raise ArtefactError(f"{path} is corrupted: {first_line(error)}") from None
    if not fits:
        raise ArtefactError(f"{path} is corrupted (checksum mismatch): restore it from a copy, or train again")
    content: dict[str, Any] = stored["content"]
    return content


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Convert errors of a block that loads the checkpoint `path` into a model and an optimiser.

    Raises:
        ArtefactError: its tensors do not match this version's network.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = " ".join(str(error).split())[:MAX_ERROR_LENGTH]
        raise ArtefactError(f"{path} does not match the network of this version, {__version__}: start a new run ({what})") from None


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def digest(value: object) -> str:
    """SHA-256 of the structure, the values and the bytes of tensors; equal weights have equal digests.

    >>> digest({"w": torch.zeros(2)}) == digest({"w": torch.zeros(2)}), digest({"w": torch.ones(2)}) == digest({"w": torch.zeros(2)})
    (True, False)
    """
    sha = hashlib.sha256()
    for piece in pieces(value):
        sha.update(piece)
    return sha.hexdigest()


def pieces(value: object) -> Iterator[bytes]:
    """Yield a value as bytes, with a header for each part so that different structures differ."""
    if isinstance(value, torch.Tensor):
        yield f"tensor {value.dtype} {tuple(value.shape)} ".encode()
        # a clone, because a tensor of a corrupted file may have unusual strides, and a view of bytes requires contiguous ones
        yield value.detach().cpu().clone(memory_format=torch.contiguous_format).view(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(value, dict):
        yield f"dict {len(value)} ".encode()
        for key, item in value.items():
            yield from pieces(key)
            yield from pieces(item)
    elif isinstance(value, (list, tuple)):
        yield f"{type(value).__name__} {len(value)} ".encode()
        for item in value:
            yield from pieces(item)
    else:
        yield f"{type(value).__name__} {value!r} ".encode()
