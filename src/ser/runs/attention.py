"""attention.npz of a run: where the model attended in each clip of val and test, for analyses with numpy.

    id, split          (n,) the clips, in the order of predictions.csv
    <name>_weights     all weights of one attention, clip after clip: clip k has [<name>_offsets[k] : <name>_offsets[k + 1]]
    <name>_offsets     (n + 1,)
    <name>_rate        weights a second, in hertz

The weights of a clip sum to 1. The names are the network's own: `spectral` of a spectral_crnn, each expert of an ssl_spectral_moe.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ser.errors import ArtefactError
from ser.system.files import atomic_write

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class ClipsAttention:
    """The attention of a model over n clips."""

    weights: Mapping[str, Sequence[Weights]]
    """{name: n arrays (steps,)}"""
    rate: Mapping[str, float]
    """{name: steps a second, in hertz}"""


def write_attention(path: Path, ids: Mapping[str, Sequence[str]], attention: Mapping[str, ClipsAttention]) -> None:
    """Atomic; nothing where the model has no attention.

    Args:
        ids: {split: ids of its clips}
        attention: {split: theirs}
    """
    parts = [attention[split] for split in ids]
    rates = parts[0].rate
    if not rates:
        return
    arrays: dict[str, NDArray[np.generic]] = {
        "id": np.array([clip for split in ids for clip in ids[split]], np.str_),
        "split": np.array([split for split in ids for _ in ids[split]], np.str_),
    }
    for name, rate in rates.items():
        clips = [weights for part in parts for weights in part.weights[name]]
        arrays[f"{name}_weights"] = np.concatenate(clips)
        arrays[f"{name}_offsets"] = np.cumsum([0, *map(len, clips)], dtype=np.int64)
        arrays[f"{name}_rate"] = np.array(rate)
    with atomic_write(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_attention(path: Path) -> dict[str, dict[str, Weights]]:
    """{id: {name: (steps,) weights}}

    Raises:
        ArtefactError: the file is damaged, or no such file.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            names = [key.removesuffix("_offsets") for key in stored.files if key.endswith("_offsets")]
            found: dict[str, dict[str, Weights]] = {clip: {} for clip in stored["id"].tolist()}
            for name in names:
                parts = np.split(stored[f"{name}_weights"], stored[f"{name}_offsets"][1:-1])
                for clip, weights in zip(found, parts, strict=True):
                    found[clip][name] = weights
            return found
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise ArtefactError(f"{path} cannot be read as the attention of a run ({' '.join(str(error).split())})") from None
