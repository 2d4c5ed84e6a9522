"""The feature store: a self-describing folder with a few large files that are read through memory maps.

    <name>-<fingerprint>/
        store.json          description of the features and everything that they depend on (its digest is the fingerprint)
        <shard>.npy         (frames of some hundred clips, columns of all features); see `ser.features.shards`
        <shard>.json        its clips and its checksum
        index.csv           location of each utterance; written last: a store without it is incomplete

A row has all columns of a frame, so a batch reads one contiguous range of memory for each clip, for any choice of features.
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
"""Version of the layout above."""
INDEX_COLUMNS = tuple(field.name for field in fields(Clip))
SHOWN = 5
"""Maximum number of corrupted files in an error message."""


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """Description of the content of a store."""

    name: str
    """First part of the folder's name."""
    dims: Mapping[str, int]
    """{feature: number of columns}, in order."""
    frame_rate: float
    """Frame rate in Hz."""
    dtype: str
    """`float32` or `float16`."""
    ingredients: Mapping[str, Any]
    """Everything else that the features depend on, as plain JSON values: configs, code version, and `layers` for a backbone."""

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
        """The hidden states in the columns of a backbone; [0] for any other extractor."""
        return list(self.ingredients.get("layers", [0]))

    @property
    def features(self) -> dict[str, tuple[int, int]]:
        """{feature: (first column, column after the last)}

        >>> StoreSpec("spectral", {"mel": 128, "mfcc": 40}, 62.5, "float32", {}).features
        {'mel': (0, 128), 'mfcc': (128, 168)}
        """
        ends = np.cumsum(list(self.dims.values())).tolist()
        return {name: (end - dim, end) for (name, dim), end in zip(self.dims.items(), ends, strict=True)}

    def to_json(self) -> dict[str, object]:
        # a list, because a mapping's order is lost in canonical JSON and the order of the columns matters
        return {**asdict(self), "dims": [[name, dim] for name, dim in self.dims.items()]}


class FeatureStore:
    """A finished store, opened for reading.

    Attributes:
        features: {name: (first column, column after the last)}.
        dims: {name: number of columns}.
        frame_rate: in Hz.
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
        """Open a store.

        Raises:
            DataError: there is no finished store.
            ArtefactError: its description or index is corrupted.
        """
        if not is_finished(folder):
            raise DataError(f"{folder} has no finished feature store: run the transform step first")
        return cls(folder, read_spec(folder / "store.json"), read_index(folder / "index.csv"))

    def __contains__(self, utterance_id: str) -> bool:
        return utterance_id in self._clips

    def __len__(self) -> int:
        return len(self._clips)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids, sorted."""
        return iter(self._clips)

    def num_frames(self, utterance_id: str) -> int:
        return self._clip(utterance_id).frames

    def audio_hash(self, utterance_id: str) -> str:
        """Hash of the audio that the features were computed from."""
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
        """Each feature of one utterance, (frames, dim); see `rows` for views and errors."""
        rows = self.rows(utterance_id)
        return {name: rows[:, first:last] for name, (first, last) in self.features.items()}

    def verify(self, utterance_id: str | None = None) -> None:
        """Compare every shard, or the shard of one utterance, with its checksum and the index.

        Raises:
            ArtefactError: files are truncated, changed, swapped or missing; the message names them.
        """
        problems = []
        for name in sorted(self._rows_needed) if utterance_id is None else [self._clip(utterance_id).shard]:
            try:
                shard = read_sidecar(sidecar_path(self.folder, name))
                check_matrix(self.folder, shard, checksum=True)
                if not {clip for clip in self._clips.values() if clip.shard == name} <= set(shard.clips):
                    problems.append(f"index.csv and {name}.json differ")
            except FileNotFoundError:
                problems.append(f"{name}.json is missing")
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
        return np.asarray(matrix)  # slicing a plain array is several times faster than slicing a memmap


def is_finished(folder: Path) -> bool:
    """Whether the folder has a store with its index."""
    return (folder / "store.json").exists() and (folder / "index.csv").exists()


def report_damage(folder: Path, problems: list[str]) -> None:
    """Raise one error for all problems.

    Raises:
        ArtefactError: there are problems.
    """
    if problems:
        more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        named = "; ".join(problems[:SHOWN])
        raise ArtefactError(f"{folder} is corrupted: {named}{more}. Run the transform step with --repair to compute these parts again")


def read_spec(path: Path) -> StoreSpec:
    """Read store.json.

    Raises:
        ArtefactError: the file is corrupted, or was written by a newer version.
    """
    content = read_json(path)
    try:
        schema = content.pop("schema")
        fingerprint = content.pop("fingerprint")
        spec = StoreSpec(**{**content, "dims": dict(content["dims"])})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{path} is corrupted ({error!r}): run the transform step again") from None
    if schema != SCHEMA:
        raise ArtefactError(f"{path} has schema {schema}, but this version reads {SCHEMA}: run the transform step again")
    if spec.fingerprint != fingerprint:
        raise ArtefactError(f"{path} does not match its fingerprint: run the transform step again")
    return spec


def read_index(path: Path) -> list[Clip]:
    """Read index.csv.

    Raises:
        ArtefactError: the file is corrupted.
    """
    try:
        return [Clip(**{**row, "offset": int(row["offset"]), "frames": int(row["frames"])}) for row in iter_table(path, INDEX_COLUMNS)]  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ArtefactError(f"{path} is corrupted ({error}): run the transform step again") from None


def finish_store(folder: Path, spec: StoreSpec, clips: Iterable[Clip]) -> None:
    """Write the index of `clips`, then remove shards without any of them and the temporary files of killed processes."""
    rows = sorted(clips, key=lambda clip: clip.id)
    write_json(folder / "store.json", {"schema": SCHEMA, "fingerprint": spec.fingerprint, **spec.to_json()})
    write_table(folder / "index.csv", INDEX_COLUMNS, ({name: getattr(clip, name) for name in INDEX_COLUMNS} for clip in rows))
    used = {"store", *(clip.shard for clip in rows)}
    for name in {path.stem for path in folder.iterdir() if path.suffix in {".npy", ".json"}} - used:
        remove_shard(folder, name)
    remove_leftovers(folder)


def inventory(folder: Path, repair: bool) -> list[Shard]:
    """Finished shards of a folder in the order of their names; empty if there is no folder.

    With `repair`, every checksum is compared and corrupted shards are left out, so that the caller computes them again.

    Raises:
        ArtefactError: a shard is corrupted and `repair` is not set.
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
