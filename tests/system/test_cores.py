"""The number of cores is what the process may use, not what the machine has."""

import os
from pathlib import Path

import pytest

from ser.system import cores
from ser.system.cores import available_cores, quotas


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen cores, no control group, no variable."""
    monkeypatch.setattr(cores, "affinity", lambda: 16)
    monkeypatch.setattr(cores, "quotas", lambda: iter(()))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def groups_of(folder: Path, version: int, own: str, limits: dict[str, str], root: str = "/") -> list[int]:
    """What is found for a process in the group `own`, where the groups named in `limits` have these limits."""
    mount = folder / "sys"
    for group, limit in limits.items():
        here = mount / group.strip("/")
        here.mkdir(parents=True, exist_ok=True)
        if version == 2:
            (here / "cpu.max").write_text(f"{limit}\n")
        else:
            quota, period = limit.split()
            (here / "cpu.cfs_quota_us").write_text(f"{quota}\n")
            (here / "cpu.cfs_period_us").write_text(f"{period}\n")
    kind, options, line = ("cgroup2", "rw", f"0::{own}") if version == 2 else ("cgroup", "rw,cpu,cpuacct", f"4:cpu,cpuacct:{own}\n0::/")
    (folder / "mountinfo").write_text(
        f"23 1 0:5 / /proc rw - proc proc rw\n33 31 0:30 {root} {mount} rw shared:9 - {kind} {kind} {options}\n"
    )
    (folder / "cgroup").write_text(f"9:name=systemd:/\n{line}\n")
    return list(quotas(folder / "mountinfo", folder / "cgroup"))


@pytest.mark.parametrize(
    ("version", "own", "limits", "expected"),
    [
        (2, "/a/b", {"/a/b": "200000 100000"}, [2]),
        (2, "/a/b", {"/a/b": "max 100000", "/a": "350000 100000"}, [4]),  # of the group around, rounded up
        (2, "/a/b", {"/a/b": "150000 100000", "/a": "50000 100000", "/": "max 100000"}, [2, 1]),
        (2, "/", {"/": "800000 100000"}, [8]),  # a container with a namespace of its own
        (2, "/a", {"/a": "max 100000"}, []),
        (2, "/a", {"/a": "damaged"}, []),
        (2, "/a", {}, []),
        (1, "/docker/1f", {"/docker/1f": "250000 100000"}, [3]),
        (1, "/docker/1f", {"/docker/1f": "-1 100000", "/docker": "100000 50000"}, [2]),
        (1, "/docker/1f", {"/docker/1f": "-1 100000"}, []),
        (1, "/docker/1f", {"/docker/1f": "100000 0"}, []),
    ],
)
def test_the_quota_of_every_group_around_the_process_counts(
    tmp_path: Path, version: int, own: str, limits: dict[str, str], expected: list[int]
) -> None:
    assert groups_of(tmp_path, version, own, limits) == expected


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_that_sees_the_path_of_the_host_finds_its_own_group(tmp_path: Path, version: int) -> None:
    """The group is mounted as the root, and /proc/self/cgroup has the whole path, or that of another namespace."""
    assert groups_of(tmp_path, version, "/docker/1f/init", {"/init": "300000 100000"}, root="/docker/1f") == [3]
    assert groups_of(tmp_path, version, "/../elsewhere", {"/": "100000 100000"}, root="/docker/1f")[-1] == 1


def test_no_control_groups_no_limit(tmp_path: Path) -> None:
    assert not list(quotas(tmp_path / "mountinfo", tmp_path / "cgroup"))


@pytest.mark.parametrize(
    ("variable", "expected"), [(None, 16), ("4", 4), ("4,2", 4), (" 3 ", 3), ("64", 16), ("0", 16), ("-1", 16), ("all", 16), ("", 16)]
)
def test_omp_num_threads_limits_the_number(unlimited: None, monkeypatch: pytest.MonkeyPatch, variable: str | None, expected: int) -> None:
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert available_cores() == expected


def test_the_smallest_limit_holds(unlimited: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "quotas", lambda: iter((12, 3)))
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert available_cores() == 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no processor affinity on this system")
def test_the_affinity_of_the_process_counts() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores.affinity() == available_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
