"""Every process collects the same tests in the same order: ids are words, and depend on no clock, hash, folder or content of a file.

pytest-xdist compares what its processes collect, and ends before the first test where they differ. Each has other hashes of strings, and
`conftest.py` gives every second one another clock while it collects, so that a whole run proves it at no cost.
"""

import os
import time

import pytest

from conftest import CLOCK_AHEAD, COLLECTED_AHEAD, other_clock

LONGEST = 250


def test_ids_can_be_read(request: pytest.FixtureRequest) -> None:
    ids = [item.nodeid for item in request.session.items]
    assert [name for name in ids if "\\x" in name or len(name) > LONGEST] == []


def test_every_second_process_collects_by_another_clock() -> None:
    before = time.time(), time.time_ns()
    with other_clock("gw0"):
        assert time.time() - before[0] < CLOCK_AHEAD
    with other_clock("gw1"):
        assert time.time() - before[0] >= CLOCK_AHEAD
        assert time.time_ns() - before[1] >= CLOCK_AHEAD * 10**9
    assert time.time() - before[0] < CLOCK_AHEAD


def test_this_process_collected_by_its_clock(request: pytest.FixtureRequest) -> None:
    with other_clock(os.environ.get("PYTEST_XDIST_WORKER", "")) as ahead:
        assert request.config.stash[COLLECTED_AHEAD] == ahead
