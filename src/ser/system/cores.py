"""How many processor cores this process may use."""

import os
from collections.abc import Callable, Iterator
from math import ceil
from pathlib import Path, PurePosixPath

MOUNTS = Path("/proc/self/mountinfo")
GROUPS = Path("/proc/self/cgroup")


def available_cores() -> int:
    """The default number of processes or threads where the config names none, at least 1.

    The smallest of: the cores of the processor affinity (`taskset`, Slurm), the quota of processor time of the control group (containers)
    and of the groups around it, and OMP_NUM_THREADS.
    """
    return max(1, min([affinity(), *quotas(), *requested()]))


def affinity() -> int:
    """Cores that this process may be scheduled on; on systems without affinity, the cores of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def requested() -> Iterator[int]:
    """The number in OMP_NUM_THREADS, or the first in a list for nested levels; a value that is not a positive number is ignored."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if first.isdecimal() and int(first) > 0:
        yield int(first)


def quotas(mounts: Path = MOUNTS, groups: Path = GROUPS) -> Iterator[int]:
    """The limit in cores, rounded up, of this process's control group and of each group around it; only of those that have one.

    Args:
        mounts, groups: as /proc/self/mountinfo and /proc/self/cgroup.
    """
    own = group_paths(groups)
    for root, folder, kind in cgroup_mounts(mounts):
        read = LIMITS[kind]
        for level in levels(folder, root, own[kind]) if kind in own else ():
            limit = read(level)
            if limit is not None:
                yield max(1, ceil(limit))


def group_paths(groups: Path) -> dict[str, PurePosixPath]:
    """{kind of hierarchy: path of this process's group in it}, of those that limit processor time."""
    found = {}
    for line in read_lines(groups):  # 4:cpu,cpuacct:/docker/1f2e  or, for version 2, 0::/user.slice
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            found["cgroup2"] = PurePosixPath(path)
        elif "cpu" in controllers.split(","):
            found["cgroup"] = PurePosixPath(path)
    return found


def cgroup_mounts(mounts: Path) -> Iterator[tuple[PurePosixPath, Path, str]]:
    """(group that is mounted, folder where, kind of hierarchy), of the hierarchies that limit processor time."""
    for line in read_lines(mounts):  # 31 24 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct
        before, _, after = line.partition(" - ")
        fields, kind, options = before.split(), *after.split(" ", 1)[:1], after.rpartition(" ")[2]
        if kind == "cgroup2" or (kind == "cgroup" and "cpu" in options.split(",")):
            yield PurePosixPath(fields[3]), Path(fields[4]), kind


def levels(folder: Path, root: PurePosixPath, own: PurePosixPath) -> Iterator[Path]:
    """Folders of this process's group and of those around it, as far as they can be seen from here.

    A container may see its own group as the root, under a path that is that of the host: then the mounted folder is all there is.
    """
    below = own.relative_to(root) if own.is_relative_to(root) else PurePosixPath()
    for level in (below, *below.parents):
        yield folder / level.as_posix()


def limit_of_version_1(folder: Path) -> float | None:
    """Cores, of cpu.cfs_quota_us (-1 for no limit) and cpu.cfs_period_us."""
    quota, period = (number_in(folder / name) for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
    return quota / period if quota and period and quota > 0 else None


def limit_of_version_2(folder: Path) -> float | None:
    """Cores, of cpu.max: a quota (`max` for no limit) and a period."""
    for line in read_lines(folder / "cpu.max"):
        quota, _, period = line.partition(" ")
        if quota.isdecimal() and period.isdecimal() and int(period):
            return int(quota) / int(period)
    return None


LIMITS: dict[str, Callable[[Path], float | None]] = {"cgroup": limit_of_version_1, "cgroup2": limit_of_version_2}
"""{kind of hierarchy: reader of the limit of one group}"""


def number_in(path: Path) -> int | None:
    text = "".join(read_lines(path)).strip()
    return int(text) if text.removeprefix("-").isdecimal() else None


def read_lines(path: Path) -> list[str]:
    """None of a file that cannot be read."""
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
