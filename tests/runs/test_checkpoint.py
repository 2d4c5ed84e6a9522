"""A checkpoint comes back as it was written, or not at all; nothing in it is ever executed."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.errors import ArtefactError
from ser.runs.checkpoint import SCHEMA, digest, load_checkpoint, save_checkpoint

CONTENT: dict[str, Any] = {
    "weights": {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3), "none": torch.zeros(0), "half": torch.ones(2).bfloat16()},
    "flags": torch.tensor([True, False]),
    "epoch": 3,
    "val_uar": 0.25,
    "classes": ["sad", "happy"],
    "nested": {"none": None, "yes": True, "pair": (1, 2.5), "empty": {}, 4: "four"},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "best.pth", CONTENT)
    return tmp_path / "best.pth"


def test_what_was_saved_is_loaded(path: Path) -> None:
    loaded = load_checkpoint(path)
    assert digest(loaded) == digest(CONTENT)
    assert list(loaded) == list(CONTENT)
    assert torch.equal(loaded["weights"]["a"], CONTENT["weights"]["a"])
    assert loaded["weights"]["half"].dtype == torch.bfloat16
    assert loaded["nested"] == CONTENT["nested"]


def test_the_memory_format_survives_and_does_not_matter_to_the_digest(tmp_path: Path) -> None:
    kernel = torch.randn(4, 3, 2, 2)
    last = kernel.to(memory_format=torch.channels_last)
    save_checkpoint(tmp_path / "x.pth", {"kernel": last})
    assert load_checkpoint(tmp_path / "x.pth")["kernel"].stride() == last.stride()
    assert digest(kernel) == digest(last)


def test_saving_leaves_no_other_file(path: Path) -> None:
    save_checkpoint(path, {"epoch": 4})
    assert load_checkpoint(path) == {"epoch": 4}
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_save_leaves_the_old_checkpoint(path: Path) -> None:
    with pytest.raises((AttributeError, pickle.PicklingError)):
        save_checkpoint(path, {"epoch": lambda: None})
    assert load_checkpoint(path)["epoch"] == 3
    assert list(path.parent.iterdir()) == [path]


@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=80, deadline=None)
def test_a_flipped_bit_is_found_or_without_effect(tmp_path_factory: pytest.TempPathFactory, position: float, bit: int) -> None:
    """The zip container has bytes that mean nothing, like dates; a bit anywhere else is an error, never another weight."""
    path = tmp_path_factory.mktemp("flip") / "best.pth"
    save_checkpoint(path, CONTENT)
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= 1 << bit
    path.write_bytes(content)
    try:
        loaded = load_checkpoint(path)
    except ArtefactError:
        return
    assert digest(loaded) == digest(CONTENT)


@pytest.mark.parametrize("tensor", [torch.empty_strided((0,), (0,)), torch.zeros(1).expand(2**45)], ids=["nothing", "32 TiB of one number"])
def test_a_tensor_of_a_layout_that_only_damage_makes_is_refused(tmp_path: Path, tensor: torch.Tensor) -> None:
    path = tmp_path / "odd.pth"
    torch.save({"schema": SCHEMA, "digest": "0" * 64, "content": {"weights": tensor}}, path)
    with pytest.raises(ArtefactError, match=r"odd\.pth is corrupted"):
        load_checkpoint(path)


def test_a_flipped_weight_is_found(path: Path) -> None:
    content = path.read_bytes()
    weights = CONTENT["weights"]["a"].numpy().tobytes()
    assert content.count(weights) == 1
    path.write_bytes(content.replace(weights, weights[:4] + bytes([weights[4] ^ 1]) + weights[5:]))
    with pytest.raises(ArtefactError, match=r"best\.pth is corrupted"):
        load_checkpoint(path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_damaged(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ArtefactError, match=r"best\.pth is") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("plain", [True, False], ids=["plain pickle", "in a torch file"])
def test_code_is_refused_and_not_executed(tmp_path: Path, plain: bool) -> None:
    path, target = tmp_path / "evil.pth", tmp_path / "executed"
    content = {"schema": SCHEMA, "digest": "", "content": {"weights": Bomb(target)}}
    if plain:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    with pytest.raises(ArtefactError, match=r"evil\.pth is"):
        load_checkpoint(path)
    assert not target.exists()


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"schema": SCHEMA + 1, "digest": digest({}), "content": {}}, f"schema {SCHEMA + 1}.*update ser"),
        ({"schema": "new", "digest": digest({}), "content": {}}, "not a checkpoint of this program"),
        ({"schema": SCHEMA, "digest": "0" * 64, "content": {}}, "checksum mismatch"),
        ({"schema": SCHEMA, "digest": digest([]), "content": []}, "not a checkpoint of this program"),
        ({"weights": {}}, "not a checkpoint of this program"),
        (torch.zeros(3), "not a checkpoint of this program"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, stored: Any, message: str) -> None:
    path = tmp_path / "other.pth"
    torch.save(stored, path)
    with pytest.raises(ArtefactError, match=message):
        load_checkpoint(path)


@pytest.mark.parametrize("content", [b"hello", b"\0" * 100, b"PK\x03\x04" + b"\0" * 100])
def test_garbage_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"x\.pth is"):
        load_checkpoint(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"gone\.pth does not exist"):
        load_checkpoint(tmp_path / "gone.pth")


DIFFERENT: list[Any] = [
    CONTENT,
    CONTENT | {"epoch": 4},
    CONTENT | {"epoch": 3.0},
    CONTENT | {"val_uar": np.nextafter(0.25, 1).item()},
    CONTENT | {"classes": ["happy", "sad"]},
    CONTENT | {"classes": ("sad", "happy")},
    CONTENT | {"classes": ["sadhappy"]},
    CONTENT | {"flags": torch.tensor([True, True])},
    CONTENT | {"flags": torch.tensor([1, 0], dtype=torch.uint8)},
    CONTENT | {"weights": CONTENT["weights"] | {"a": torch.arange(6.0).reshape(3, 2)}},
    CONTENT | {"weights": CONTENT["weights"] | {"a": torch.arange(6.0).reshape(2, 3) * (1 + 2**-23)}},
    CONTENT | {"weights": CONTENT["weights"] | {"b": torch.tensor([3])}},
    CONTENT | {"weights": CONTENT["weights"] | {"c": torch.zeros(0)}},
    CONTENT | {"weights": {"b": CONTENT["weights"]["a"], "a": CONTENT["weights"]["b"]}},
    CONTENT | {"nested": CONTENT["nested"] | {"empty": []}},
    CONTENT | {"nested": CONTENT["nested"] | {"none": "None"}},
    CONTENT | {"more": None},
    {name: value for name, value in CONTENT.items() if name != "epoch"},
    [CONTENT],
    None,
]


def test_the_digest_depends_on_every_number_and_on_the_structure() -> None:
    assert len({digest(value) for value in DIFFERENT}) == len(DIFFERENT)
