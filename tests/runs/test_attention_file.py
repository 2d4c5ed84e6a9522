"""The attention of a run comes back from its file as it was, whatever the model."""

from pathlib import Path

import numpy as np
import pytest

from ser.errors import ArtefactError
from ser.runs.attention import ClipsAttention, read_attention, write_attention
from ser.runs.run import Run
from workspace import rows_of

IDS = {"val": ["a"], "test": ["b", "c"]}


def attention(*lengths: int) -> ClipsAttention:
    weights = {name: [np.full(length, scale, np.float32) for length in lengths] for name, scale in (("mel", 0.5), ("ssl", 0.25))}
    return ClipsAttention(weights, {"mel": 7.8125, "ssl": 25.0})


def test_it_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "attention.npz"
    write_attention(path, IDS, {"val": attention(3), "test": attention(1, 2)})
    found = read_attention(path)
    assert {clip: {name: weights.tolist() for name, weights in parts.items()} for clip, parts in found.items()} == {
        clip: {"mel": [0.5] * length, "ssl": [0.25] * length} for clip, length in (("a", 3), ("b", 1), ("c", 2))
    }
    with np.load(path) as stored:
        assert stored["split"].tolist() == ["val", "test", "test"]
        assert float(stored["ssl_rate"]) == 25.0


def test_the_same_attention_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_attention(tmp_path / name, IDS, {"val": attention(3), "test": attention(1, 2)})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_model_without_attention_leaves_no_file(tmp_path: Path) -> None:
    write_attention(tmp_path / "x.npz", {"test": ["a"]}, {"test": ClipsAttention({}, {})})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["absent", "cut", "text"])
def test_a_damaged_file_is_an_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "attention.npz"
    if damage != "absent":
        write_attention(path, IDS, {"val": attention(3), "test": attention(1, 2)})
        path.write_bytes(path.read_bytes()[:-40] if damage == "cut" else b"text")
    with pytest.raises(ArtefactError, match=r"attention\.npz cannot be read"):
        read_attention(path)


def test_a_run_has_that_of_every_clip_of_its_predictions(finished: Run) -> None:
    found = read_attention(finished.attention)
    assert list(found) == [row["id"] for row in rows_of(finished.predictions)]
    assert all(weights["spectral"].sum() == pytest.approx(1, abs=1e-4) for weights in found.values())
