"""The store gives back what was put in, refuses what it lacks, and finds what is corrupted before it is used."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.errors import ArtefactError, DataError
from ser.features.shards import Clip, read_sidecar, shard_name, sidecar_path, write_shard
from ser.features.store import FeatureStore, StoreSpec, finish_store, inventory

SPEC = StoreSpec("spectral", {"mel": 3, "mfcc": 2, "chroma": 1}, 62.5, "float32", {"code_version": 1})
Contents = dict[str, npt.NDArray[np.float32]]


def contents(lengths: list[int], columns: int = 6) -> Contents:
    generator = np.random.default_rng(0)
    return {f"clip{number}": generator.standard_normal((length, columns)).astype(np.float32) for number, length in enumerate(lengths)}


def put(folder: Path, clips: Contents, spec: StoreSpec = SPEC, shard_clips: int = 2) -> Path:
    """A finished store with `shard_clips` clips in a file; the hash of a clip is `hash of <id>`."""
    ids = list(clips)
    found: list[Clip] = []
    for start in range(0, len(ids), shard_clips):
        keys = [(clip_id, f"hash of {clip_id}") for clip_id in ids[start : start + shard_clips]]
        write_shard(folder, spec.fingerprint, keys, [clips[clip_id] for clip_id, _ in keys], spec.dtype, spec.columns)
        found += read_sidecar(sidecar_path(folder, shard_name(spec.fingerprint, keys))).clips
    finish_store(folder, spec, found)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three shards: clip0 and clip1, clip2 and clip3 (as large), clip4."""
    return put(tmp_path / "spectral", contents([4, 6, 3, 7, 5]))


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=9),
    shard_clips=st.integers(1, 4),
    dtype=st.sampled_from(["float32", "float16"]),
)
@settings(max_examples=25, deadline=None)
def test_what_was_put_in_comes_out(tmp_path_factory: pytest.TempPathFactory, lengths: list[int], shard_clips: int, dtype: str) -> None:
    clips = contents(lengths)
    store = FeatureStore.open(put(tmp_path_factory.mktemp("store"), clips, replace(SPEC, dtype=dtype), shard_clips))
    store.verify()
    assert list(store) == sorted(clips)
    for clip_id, rows in clips.items():
        assert store.num_frames(clip_id) == len(rows)
        assert store.rows(clip_id).dtype == dtype
        assert np.array_equal(store.rows(clip_id), rows.astype(dtype))


def test_a_store_describes_itself(folder: Path) -> None:
    store = FeatureStore.open(folder)
    assert store.features == {"mel": (0, 3), "mfcc": (3, 5), "chroma": (5, 6)}
    assert store.dims == {"mel": 3, "mfcc": 2, "chroma": 1}
    assert store.frame_rate == 62.5
    assert store.audio_hash("clip3") == "hash of clip3"
    assert store.spec == SPEC
    assert {name: rows.shape for name, rows in store.read("clip3").items()} == {"mel": (7, 3), "mfcc": (7, 2), "chroma": (7, 1)}


def test_reading_is_a_view_of_the_file_that_nobody_can_write_through(folder: Path) -> None:
    rows = FeatureStore.open(folder).rows("clip3")
    assert not rows.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 0


def test_a_shard_is_a_plain_numpy_file(folder: Path) -> None:
    clips = contents([4, 6, 3, 7, 5])
    matrix = np.load(folder / f"{shard_name(SPEC.fingerprint, [('clip0', 'hash of clip0'), ('clip1', 'hash of clip1')])}.npy")
    assert matrix.flags.c_contiguous
    assert np.array_equal(matrix, np.concatenate([clips["clip0"], clips["clip1"]]))


def test_a_missing_utterance_is_an_error(folder: Path) -> None:
    store = FeatureStore.open(folder)
    assert "clip9" not in store
    for reading in (store.rows, store.read, store.num_frames, store.audio_hash):
        with pytest.raises(DataError, match="clip9 is not in the feature store"):
            reading("clip9")


def test_an_unfinished_store_is_none(folder: Path, tmp_path: Path) -> None:
    (folder / "index.csv").unlink()
    for place in (folder, tmp_path / "nowhere"):
        with pytest.raises(DataError, match="run the transform step first"):
            FeatureStore.open(place)


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "float16"},
        {"dims": {"mfcc": 2, "mel": 3, "chroma": 1}},
        {"frame_rate": 100.0},
        {"ingredients": {"code_version": 2}},
        {"name": "augmented"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_a_number_changes_the_folder(change: dict[str, Any]) -> None:
    assert replace(SPEC, **change).folder_name != SPEC.folder_name


def matrices(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.npy"), key=lambda path: path.stat().st_size)


def cut(folder: Path) -> None:
    path = matrices(folder)[0]
    path.write_bytes(path.read_bytes()[:-5])


def empty(folder: Path) -> None:
    matrices(folder)[0].write_bytes(b"")


def flip(folder: Path) -> None:
    path = matrices(folder)[0]
    content = bytearray(path.read_bytes())
    content[-9] ^= 4
    path.write_bytes(content)


def flip_header(folder: Path) -> None:
    path = matrices(folder)[0]
    path.write_bytes(path.read_bytes().replace(b"<f4", b"<i4"))


def swap_matrices(folder: Path) -> None:
    *_, first, second = matrices(folder)
    assert first.stat().st_size == second.stat().st_size
    exchange(first, second)


def swap_shards(folder: Path) -> None:
    *_, first, second = matrices(folder)
    exchange(first, second)
    exchange(first.with_suffix(".json"), second.with_suffix(".json"))


def exchange(first: Path, second: Path) -> None:
    aside = first.with_name("aside")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


def remove_matrix(folder: Path) -> None:
    matrices(folder)[0].unlink()


def remove_sidecar(folder: Path) -> None:
    matrices(folder)[0].with_suffix(".json").unlink()


def garble_sidecar(folder: Path) -> None:
    matrices(folder)[0].with_suffix(".json").write_text("{")


def change_sidecar(folder: Path) -> None:
    path = matrices(folder)[0].with_suffix(".json")
    path.write_text(path.read_text().replace("hash of clip4", "hash of clip5"))


def change_index(folder: Path) -> None:
    path = folder / "index.csv"
    path.write_text(path.read_text().replace(",4,6\n", ",3,6\n"))


DAMAGES: list[Callable[[Path], None]] = [
    *(cut, empty, flip, flip_header, swap_matrices, swap_shards),
    *(remove_matrix, remove_sidecar, garble_sidecar, change_sidecar, change_index),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_found_and_named(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder)
    with pytest.raises(ArtefactError, match=r"is corrupted: .*--repair") as caught:
        FeatureStore.open(folder).verify()
    assert any(path.stem in str(caught.value) for path in [*matrices(folder), *folder.glob("*.json")])


@pytest.mark.parametrize("damage", [cut, empty, flip_header, remove_matrix], ids=lambda damage: damage.__name__)
def test_a_shard_that_cannot_be_mapped_is_an_error_at_reading_too(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder)
    with pytest.raises(ArtefactError, match="--repair"):
        FeatureStore.open(folder).rows("clip4")


def test_many_damaged_shards_are_counted_not_listed(tmp_path: Path) -> None:
    folder = put(tmp_path, contents([3] * 9), shard_clips=1)
    for path in matrices(folder):
        path.unlink()
    with pytest.raises(ArtefactError, match="and 4 more"):
        FeatureStore.open(folder).verify()


def test_of_one_utterance_only_its_own_shard_is_read(folder: Path) -> None:
    path = matrices(folder)[-1]
    hit = json.loads(path.with_suffix(".json").read_text())["ids"]
    path.unlink()
    store = FeatureStore.open(folder)
    for clip_id in store:
        if clip_id not in hit:
            store.verify(clip_id)
    with pytest.raises(ArtefactError, match="is missing"):
        store.verify(hit[0])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("schema", 9, "schema 9, but this version reads 1"),
        ("frame_rate", 99, "fingerprint"),
        ("dims", None, "corrupted"),
        ("extra", 1, "corrupted"),
    ],
)
def test_a_changed_description_is_refused(folder: Path, key: str, value: object, message: str) -> None:
    path = folder / "store.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ArtefactError, match=message):
        FeatureStore.open(folder)


def test_an_index_with_a_cell_that_is_no_number_is_refused(folder: Path) -> None:
    path = folder / "index.csv"
    path.write_text(path.read_text().replace(",0,4\n", ",zero,4\n"))
    with pytest.raises(ArtefactError, match=r"index\.csv is corrupted"):
        FeatureStore.open(folder)


def test_inventory_refuses_damage_or_leaves_it_out(folder: Path) -> None:
    cut(folder)
    with pytest.raises(ArtefactError, match="is truncated"):
        inventory(folder, repair=False)
    assert sorted(clip.id for shard in inventory(folder, repair=True) for clip in shard.clips) == ["clip0", "clip1", "clip2", "clip3"]


def test_inventory_reads_checksums_only_for_a_repair(folder: Path) -> None:
    flip(folder)
    assert len(inventory(folder, repair=False)) == 3
    assert len(inventory(folder, repair=True)) == 2


def test_finishing_removes_shards_that_hold_nothing_wanted(folder: Path) -> None:
    kept = [clip for shard in inventory(folder, repair=False) for clip in shard.clips if clip.id in {"clip0", "clip4"}]
    finish_store(folder, SPEC, kept)
    store = FeatureStore.open(folder)
    store.verify()
    assert list(store) == ["clip0", "clip4"]
    assert len(matrices(folder)) == 2


def test_a_failed_write_leaves_nothing_that_counts(tmp_path: Path) -> None:
    def blocks() -> Any:
        yield np.zeros((2, 6), np.float32)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_shard(tmp_path, SPEC.fingerprint, [("a", "1"), ("b", "2")], blocks(), "float32", 6)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_of_a_store_is_a_store(folder: Path, tmp_path: Path) -> None:
    store = FeatureStore.open(Path(shutil.copytree(folder, tmp_path / "elsewhere")))
    store.verify()
    assert len(store) == 5
