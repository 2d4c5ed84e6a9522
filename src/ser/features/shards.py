"""One shard of a feature store: a matrix `<name>.npy` with the frames of some clips, and its sidecar `<name>.json`.

The name is a digest of the shard's fingerprint and clips, so an interrupted run that is started again writes the same names and bytes. The
sidecar is written after the matrix; a shard without it is incomplete.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from ser.errors import ArtefactError
from ser.features.base import StoredRows
from ser.system.files import atomic_write, digest_json, read_json, sha256_file, write_json

Key = tuple[str, str]
"""(id, audio hash) of a clip, which identify its features together with the store's fingerprint."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Location of one utterance's frames: rows `offset` to `offset + frames` of its shard."""

    id: str
    audio_hash: str
    shard: str
    offset: int
    frames: int


@dataclass(frozen=True, slots=True)
class Shard:
    """Content of a sidecar."""

    name: str
    clips: tuple[Clip, ...]
    num_bytes: int
    """Size of the matrix file."""
    sha256: str
    """SHA-256 of the matrix file."""


def shard_name(fingerprint: str, keys: Sequence[Key]) -> str:
    return digest_json([fingerprint, [list(key) for key in keys]])[:24]


def matrix_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def sidecar_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def write_shard(folder: Path, fingerprint: str, keys: Sequence[Key], blocks: Iterable[StoredRows], dtype: str, columns: int) -> None:
    """Write a shard from one block (frames, columns) for each key. Blocks are written one by one, so memory does not grow with the shard.

    A memory map is not used, because hundreds of megabytes of its modified pages would stay resident.
    """
    name = shard_name(fingerprint, keys)
    path = matrix_path(folder, name)
    offsets = [0]
    with atomic_write(path) as file:
        write_header(file, 0, columns, dtype)
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype).data)
            offsets.append(offsets[-1] + len(block))
        file.seek(0)
        write_header(file, offsets[-1], columns, dtype)
    sidecar = {"shard": name, "fingerprint": fingerprint, "bytes": path.stat().st_size, "sha256": sha256_file(path)}
    ids, hashes = zip(*keys, strict=True)
    write_json(sidecar_path(folder, name), sidecar | {"ids": ids, "audio_hashes": hashes, "offsets": offsets})


def write_header(file: IO[bytes], rows: int, columns: int, dtype: str) -> None:
    """Write the header of a matrix. numpy leaves room for a larger row count, so the final header replaces the first one."""
    shape = {"descr": np.dtype(dtype).newbyteorder("<").str, "fortran_order": False, "shape": (rows, columns)}
    np.lib.format.write_array_header_1_0(file, shape)


def read_sidecar(path: Path) -> Shard:
    """Read a sidecar.

    Raises:
        ArtefactError: the file is corrupted, or its content does not match its name.
    """
    content = read_json(path)
    try:
        keys = list(zip(content["ids"], content["audio_hashes"], strict=True))
        offsets = content["offsets"]
        spans = zip(keys, offsets[:-1], np.diff(offsets).tolist(), strict=True)
        name = shard_name(content["fingerprint"], keys)
        clips = tuple(Clip(*key, name, offset, frames) for key, offset, frames in spans)
        shard = Shard(name, clips, content["bytes"], content["sha256"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{path.name} is corrupted ({error!r})") from None
    if name != path.stem:
        raise ArtefactError(f"{path.name} describes another shard")
    return shard


def check_matrix(folder: Path, shard: Shard, checksum: bool) -> None:
    """Check the matrix of a shard.

    Raises:
        ArtefactError: the matrix is missing or truncated or, if `checksum` is set, does not match its checksum.
    """
    path = matrix_path(folder, shard.name)
    if not path.exists():
        raise ArtefactError(f"{path.name} is missing")
    if path.stat().st_size != shard.num_bytes:
        raise ArtefactError(f"{path.name} is truncated: {path.stat().st_size} of {shard.num_bytes} bytes")
    if checksum and sha256_file(path) != shard.sha256:
        raise ArtefactError(f"{path.name} does not match its checksum")


def remove_shard(folder: Path, name: str) -> None:
    """Remove a shard, the sidecar first, because a matrix without a sidecar is ignored."""
    sidecar_path(folder, name).unlink(missing_ok=True)
    matrix_path(folder, name).unlink(missing_ok=True)
