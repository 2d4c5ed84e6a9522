"""The feature store: a folder of few big files that describes itself and is read through memory maps.

    <name>-<fingerprint>/
        store.json          what the numbers are and everything that they depend on (its digest is the fingerprint)
        <shard>.npy         (frames of some hundred clips, columns of all features); see `ser.features.shards`
        <shard>.json        its clips and its checksum
        index.csv           where each utterance stands; written last: a store without it is not complete

Every column of a frame stands in one row: a batch reads one stretch of memory for each clip, whatever the features.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ser.errors import ArtefactError, DataError
from ser.features.base import StoredRows
from ser.features.shards import Clip, Shard, check_matrix, matrix_path, read_sidecar, remove_shard, sidecar_path
from ser.system.files import digest_json, read_json, remove_leftovers, write_json
from ser.system.tables import iter_table, write_table

SCHEMA = 1
"""Of the layout above."""
INDEX_COLUMNS = tuple(field.name for field in fields(Clip))
SHOWN = 5
"""Damaged files that an error names."""


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """What a store holds."""

    name: str
    """First part of the folder's name."""
    dims: Mapping[str, int]
    """Columns of each feature, in their order."""
    frame_rate: float
    """Hz."""
    dtype: str
    """`float32` or `float16`."""
    ingredients: Mapping[str, Any]
    """Whatever else the numbers depend on: configs, code version. Plain JSON values. Of a backbone also `layers`."""

    @property
    def fingerprint(self) -> str:
        return digest_json({"schema": SCHEMA, **self.to_json()})

    @property
    def folder_name(self) -> str:
        return f"{self.name}-{self.fingerprint[:12]}"

    @property
    def columns(self) -> int:
        return sum(self.dims.values())

    @property
    def layers(self) -> list[int]:
        """The hidden states that stand side by side in the columns of a backbone; one, called 0, for any other extractor."""
        return list(self.ingredients.get("layers", [0]))

    @property
    def features(self) -> dict[str, tuple[int, int]]:
        """First column of each feature, and the first after its last.

        >>> StoreSpec("spectral", {"mel": 128, "mfcc": 40}, 62.5, "float32", {}).features
        {'mel': (0, 128), 'mfcc': (128, 168)}
        """
        ends = np.cumsum(list(self.dims.values())).tolist()
        return {name: (end - dim, end) for (name, dim), end in zip(self.dims.items(), ends, strict=True)}

    def to_json(self) -> dict[str, object]:
        # a list, because a mapping's order is lost in canonical JSON and the order of the columns matters
        return {**asdict(self), "dims": [[name, dim] for name, dim in self.dims.items()]}


class FeatureStore:
    """A finished store, for reading.

    Attributes:
        features: {name: (first column, first after the last)}.
        dims: {name: columns}.
        frame_rate: Hz.
    """

    def __init__(self, folder: Path, spec: StoreSpec, clips: Iterable[Clip]) -> None:
        self.folder, self.spec = folder, spec
        self.features, self.dims, self.frame_rate = spec.features, dict(spec.dims), spec.frame_rate
        self._clips = {clip.id: clip for clip in clips}
        self._rows_needed: dict[str, int] = {}
        for clip in self._clips.values():
            self._rows_needed[clip.shard] = max(self._rows_needed.get(clip.shard, 0), clip.offset + clip.frames)
        self._matrices: dict[str, StoredRows] = {}

    @classmethod
    def open(cls, folder: Path) -> "FeatureStore":
        """
        Raises:
            DataError: there is no finished store.
            ArtefactError: its description or index is corrupted.
        """
        if not is_finished(folder):
            raise DataError(f"{folder} holds no finished feature store: run the transform step first")
        return cls(folder, read_spec(folder / "store.json"), read_index(folder / "index.csv"))

    def __contains__(self, utterance_id: str) -> bool:
        return utterance_id in self._clips

    def __len__(self) -> int:
        return len(self._clips)

    def __iter__(self) -> Iterator[str]:
        """The ids, sorted."""
        return iter(self._clips)

    def num_frames(self, utterance_id: str) -> int:
        return self._clip(utterance_id).frames

    def audio_hash(self, utterance_id: str) -> str:
        """Of the audio that the features were computed from."""
        return self._clip(utterance_id).audio_hash

    def rows(self, utterance_id: str) -> StoredRows:
        """All features of one utterance.

        Shape:
            (frames, sum of dims), a read-only view of the file

        Raises:
            DataError: the store does not have it.
            ArtefactError: its shard is corrupted.
        """
        clip = self._clip(utterance_id)
        matrix = self._matrices.get(clip.shard)
        if matrix is None:
            matrix = self._matrices[clip.shard] = self._map(clip.shard)
        return matrix[clip.offset : clip.offset + clip.frames]

    def read(self, utterance_id: str) -> dict[str, StoredRows]:
        """Each feature of one utterance, (frames, dim); views and errors as of `rows`."""
        rows = self.rows(utterance_id)
        return {name: rows[:, first:last] for name, (first, last) in self.features.items()}

    def verify(self, utterance_id: str | None = None) -> None:
        """Read every shard, or the one that this utterance stands in, and compare it with its checksum and the index.

        Raises:
            ArtefactError: naming what is cut, flipped, swapped or gone.
        """
        problems = []
        for name in sorted(self._rows_needed) if utterance_id is None else [self._clip(utterance_id).shard]:
            try:
                shard = read_sidecar(sidecar_path(self.folder, name))
                check_matrix(self.folder, shard, checksum=True)
                if not {clip for clip in self._clips.values() if clip.shard == name} <= set(shard.clips):
                    problems.append(f"index.csv and {name}.json differ")
            except FileNotFoundError:
                problems.append(f"{name}.json is gone")
            except ArtefactError as error:
                problems.append(str(error))
        report_damage(self.folder, problems)

    def _clip(self, utterance_id: str) -> Clip:
        try:
            return self._clips[utterance_id]
        except KeyError:
            raise DataError(f"{utterance_id} is not in the feature store {self.folder}: run the transform step") from None

    def _map(self, shard: str) -> StoredRows:
        path = matrix_path(self.folder, shard)
        try:
            matrix = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise ArtefactError(f"{path} cannot be read ({error}): run the transform step with --repair") from None
        if matrix.dtype != self.spec.dtype or matrix.shape[1:] != (self.spec.columns,) or len(matrix) < self._rows_needed[shard]:
            raise ArtefactError(f"{path} has another shape than the index says: run the transform step with --repair")
        return np.asarray(matrix)  # slices of a plain array are made several times faster than those of a memmap


def is_finished(folder: Path) -> bool:
    """Whether a store is there, with its index."""
    return (folder / "store.json").exists() and (folder / "index.csv").exists()


def report_damage(folder: Path, problems: list[str]) -> None:
    """
    Raises:
        ArtefactError: if there are problems.
    """
    if problems:
        more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        named = "; ".join(problems[:SHOWN])
        raise ArtefactError(f"{folder} is corrupted: {named}{more}. The transform step with --repair builds what is corrupted again")


def read_spec(path: Path) -> StoreSpec:
    """
    Raises:
        ArtefactError: damaged, or written by a newer version.
    """
    content = read_json(path)
    try:
        schema = content.pop("schema")
        fingerprint = content.pop("fingerprint")
        spec = StoreSpec(**{**content, "dims": dict(content["dims"])})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{path} is corrupted ({error!r}): run the transform step again") from None
    if schema != SCHEMA:
        raise ArtefactError(f"{path} is of schema {schema}, this version reads {SCHEMA}: run the transform step again")
    if spec.fingerprint != fingerprint:
        raise ArtefactError(f"{path} does not match its fingerprint: run the transform step again")
    return spec


def read_index(path: Path) -> list[Clip]:
    """
    Raises:
        ArtefactError: damaged.
    """
    try:
        return [Clip(**{**row, "offset": int(row["offset"]), "frames": int(row["frames"])}) for row in iter_table(path, INDEX_COLUMNS)]  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ArtefactError(f"{path} is corrupted ({error}): run the transform step again") from None


def finish_store(folder: Path, spec: StoreSpec, clips: Iterable[Clip]) -> None:
    """Make `clips` the content of the store, then remove the shards that hold none of them and what killed processes left."""
    rows = sorted(clips, key=lambda clip: clip.id)
    write_json(folder / "store.json", {"schema": SCHEMA, "fingerprint": spec.fingerprint, **spec.to_json()})
    write_table(folder / "index.csv", INDEX_COLUMNS, ({name: getattr(clip, name) for name in INDEX_COLUMNS} for clip in rows))
    used = {"store", *(clip.shard for clip in rows)}
    for name in {path.stem for path in folder.iterdir() if path.suffix in {".npy", ".json"}} - used:
        remove_shard(folder, name)
    remove_leftovers(folder)


def inventory(folder: Path, repair: bool) -> list[Shard]:
    """The finished shards of a folder, in the order of their names; none if there is no folder.

    With `repair` every checksum is read; what is corrupted is left out, and computed again by whoever asked.

    Raises:
        ArtefactError: a shard is corrupted, and `repair` was not asked for.
    """
    shards, problems = [], []
    for path in sorted(folder.glob("*.json")):
        if path.name == "store.json":
            continue
        try:
            shard = read_sidecar(path)
            check_matrix(folder, shard, checksum=repair)
            shards.append(shard)
        except ArtefactError as error:
            problems.append(str(error))
    if not repair:
        report_damage(folder, problems)
    return shards
