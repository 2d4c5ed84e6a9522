"""Batching of clips of different lengths: grouping by length, and padding."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float32]


def batches_by_length(lengths: Sequence[int], most_values: int | None = None, most_clips: int | None = None) -> Iterator[list[int]]:
    """Yield groups of positions, shortest clips first. A group is within the limits or has one clip.

    Args:
        most_values: maximum total length of a group after padding to its longest clip.
        most_clips: maximum number of clips in a group.

    >>> list(batches_by_length([5, 1, 2, 9, 2], most_values=6)), list(batches_by_length([5, 1, 2], most_clips=2))
    ([[1, 2, 4], [0], [3]], [[1, 2], [0]])
    """
    group: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        too_long = most_values is not None and (len(group) + 1) * lengths[index] > most_values
        if group and (too_long or len(group) == most_clips):
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def stack(rows: Sequence[Rows], length: int | None = None) -> tuple[Rows, npt.NDArray[np.int64]]:
    """Stack arrays of different lengths, padded with zeros.

    Args:
        length: length of the batch; that of the longest array for None.

    Shape:
        B arrays, each (length, ...) -> (B, longest, ...), and the lengths (B,)
    """
    lengths = np.array([len(row) for row in rows], np.int64)
    block = np.zeros((len(rows), lengths.max() if length is None else length, *rows[0].shape[1:]), np.float32)
    for place, row in zip(block, rows, strict=True):
        place[: len(row)] = row
    return block, lengths
