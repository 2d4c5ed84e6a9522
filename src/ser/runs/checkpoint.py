"""Checkpoints: plain tensors and values, weights-only on reading, with a digest that finds a flipped bit."""

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
"""Characters of what torch says of tensors that do not fit."""


def save_checkpoint(path: Path, content: dict[str, object]) -> None:
    """Atomic; `content` may hold dicts, lists, tensors, numbers, text, None."""
    with atomic_write(path) as file:
        torch.save({"schema": SCHEMA, "digest": digest(content), "content": content}, file)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` was given, on the CPU. Nothing in the file is executed.

    Raises:
        ArtefactError: not there, damaged, or of a newer schema.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ArtefactError(f"{path} does not exist") from None
    except (RuntimeError, OSError, EOFError, BadZipFile, ValueError, KeyError, IndexError, AttributeError) as error:
        raise ArtefactError(f"{path} is corrupted: {first_line(error)}") from None
    except Exception as error:
        # torch raises pickle.UnpicklingError for code and for garbage alike, zipfile and zlib errors of their own
        raise ArtefactError(f"{path} is no checkpoint: {first_line(error)}") from None
    if not isinstance(stored, dict) or not isinstance(stored.get("schema"), int) or not isinstance(stored.get("content"), dict):
        raise ArtefactError(f"{path} is no checkpoint of this program")
    if stored["schema"] > SCHEMA:
        raise ArtefactError(f"{path} has schema {stored['schema']}, this version reads up to {SCHEMA}: update ser")
    try:
        fits = digest(stored["content"]) == stored.get("digest")
    except RuntimeError as error:  # a tensor of a size or layout that torch cannot copy
        raise ArtefactError(f"{path} is corrupted: {first_line(error)}") from None
    if not fits:
        raise ArtefactError(f"{path} is corrupted (checksum mismatch)")
    content: dict[str, Any] = stored["content"]
    return content


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """For the block that puts the content of the checkpoint `path` into a model and an optimiser.

    Raises:
        ArtefactError: it has other tensors than this version's network.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = " ".join(str(error).split())[:MAX_ERROR_LENGTH]
        raise ArtefactError(f"{path} does not fit the network of this version, {__version__}: start a new run ({what})") from None


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def digest(value: object) -> str:
    """sha256 over structure, numbers and the bytes of tensors: equal weights, equal digest.

    >>> digest({"w": torch.zeros(2)}) == digest({"w": torch.zeros(2)}), digest({"w": torch.ones(2)}) == digest({"w": torch.zeros(2)})
    (True, False)
    """
    sha = hashlib.sha256()
    for piece in pieces(value):
        sha.update(piece)
    return sha.hexdigest()


def pieces(value: object) -> Iterator[bytes]:
    """The value as a sequence of bytes that says where each part begins."""
    if isinstance(value, torch.Tensor):
        yield f"tensor {value.dtype} {tuple(value.shape)} ".encode()
        # a clone, because a damaged file may give a tensor strides that no other one has, and a view of bytes asks for usual ones
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
