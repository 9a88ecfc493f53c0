"""How many cores this process may really use: affinity and the cgroup quota."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["usable_cores"]


def usable_cores(root: Path = Path("/")) -> int:
    """Cores that the process may use at once, at least 1.

    The smaller of the CPU affinity and the strictest cgroup quota (v2 ``cpu.max``, v1
    ``cpu.cfs_quota_us``) on the way from the process's group up to the root group. A fractional
    quota is rounded to the nearest whole number, halves up: too many threads are throttled in the
    middle of a run, too few leave paid time unused, and this errs by at most half a core.

    Args:
        root: Where ``proc`` and ``sys`` are mounted; another folder in tests.
    """
    cores = _affinity()
    quotas = list(_quotas(root))
    if quotas:
        cores = min(cores, int(min(quotas) + 0.5))
    return max(1, cores)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """Every quota, in cores, that applies to the process."""
    mount = root / "sys/fs/cgroup"
    for controllers, group in _groups(root):
        if controllers == "":
            # "unified" is where v2 lies on hosts that mount v1 beside it.
            for hierarchy in (mount, mount / "unified"):
                for folder in _upwards(hierarchy, group):
                    yield from _quota_v2(folder)
        elif "cpu" in controllers.split(","):
            for hierarchy in (mount / controllers, mount / "cpu"):
                for folder in _upwards(hierarchy, group):
                    yield from _quota_v1(folder)


def _groups(root: Path) -> Iterator[tuple[str, str]]:
    """(controllers, group path) of each line of ``/proc/self/cgroup``; v2 names no controllers."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            yield parts[1], parts[2]


def _upwards(hierarchy: Path, group: str) -> Iterator[Path]:
    """The group's folder and those above it; a group outside the mount (a container's view) is skipped."""
    parts = [part for part in PurePosixPath(group).parts if part != "/"]
    if ".." in parts:
        parts = []
    for depth in range(len(parts), -1, -1):
        yield hierarchy.joinpath(*parts[:depth])


def _quota_v2(folder: Path) -> Iterator[float]:
    match _read(folder / "cpu.max").split():
        case [quota, period]:
            yield from _ratio(quota, period)
        case _:
            return


def _quota_v1(folder: Path) -> Iterator[float]:
    yield from _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> Iterator[float]:
    """``quota / period``, unless there is no quota (``max`` in v2, -1 in v1) or the files are odd."""
    try:
        microseconds, per = int(quota), int(period)
    except ValueError:
        return
    if microseconds > 0 and per > 0:
        yield microseconds / per


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
