"""Windows and cells cover a recording in order; smoothing is the mean that it says it is."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.inference.windows import cell_edges, smooth, stretches, window_starts

lengths, windows = st.integers(1, 5_000), st.integers(2, 900)
shares = st.floats(0.01, 1)


@given(length=lengths, window=windows, share=shares)
@settings(deadline=None)
def test_windows_cover_everything_in_order_and_none_passes_the_end(length: int, window: int, share: float) -> None:
    hop = max(1, round(share * window))
    starts = window_starts(length, window, hop)
    assert starts == sorted(set(starts))
    assert starts[0] == 0
    assert all(later - earlier <= hop for earlier, later in pairwise(starts))
    assert starts[-1] + window == length if length > window else starts == [0]


@given(length=lengths, hop=windows)
def test_cells_cover_everything_once(length: int, hop: int) -> None:
    sizes = np.diff(cell_edges(length, hop))
    assert sizes.sum() == length
    assert (sizes[:-1] == hop).all()
    assert 0 < sizes[-1] <= hop


@given(length=lengths, window=windows, share=shares, seed=st.integers(0, 99))
@settings(deadline=None)
def test_every_cell_has_a_mean_of_the_windows_over_it(length: int, window: int, share: float, seed: int) -> None:
    hop = max(1, round(share * window))
    starts, edges = window_starts(length, window, hop), cell_edges(length, hop)
    rows = np.random.default_rng(seed).dirichlet(np.ones(3), len(starts))
    mean, heard = smooth(rows, starts, max(window, length) if len(starts) == 1 else window, edges)
    assert heard.all()
    np.testing.assert_allclose(mean.sum(axis=1), 1)
    assert (mean <= rows.max(axis=0) + 1e-12).all()
    assert (mean >= rows.min(axis=0) - 1e-12).all()


def test_weights_fall_from_the_centre_of_a_window_to_its_ends() -> None:
    # cells of 1 in windows of 4: their centres stand 1.5 and 0.5 from that of a window, of weight 1/4 and 3/4
    mean, _ = smooth(np.array([[1.0, 0.0], [0.0, 1.0]]), [0, 1], 4, cell_edges(5, 1))
    np.testing.assert_allclose(mean[:, 0], [1, 0.75, 0.5, 0.25, 0])


def test_windows_that_were_not_heard_leave_their_cells_to_others_or_to_nobody() -> None:
    mean, heard = smooth(np.array([[1.0, 0.0]]), [4], 4, cell_edges(12, 2))
    assert heard.tolist() == [False, False, True, True, False, False]
    assert mean[:, 0].tolist() == [0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize(("answers", "found"), [([], []), ([None, None], []), (["a"], [(0, 1)]), (["a", "a", "b"], [(0, 2), (2, 3)])])
def test_neighbours_of_one_answer_are_one_stretch(answers: list[str | None], found: list[tuple[int, int]]) -> None:
    assert stretches(answers) == found
