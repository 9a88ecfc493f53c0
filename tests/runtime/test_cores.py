from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stonnx.runtime.cores import usable_cores


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch):
    monkeypatch.setattr("stonnx.runtime.cores._affinity", lambda: 8)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_no_cgroups_means_affinity(tmp_path):
    assert usable_cores(tmp_path) == 8


@pytest.mark.parametrize(
    ("cpu_max", "expected"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("149000 100000", 1),
        ("10000 100000", 1),
        ("6400000 100000", 8),
        ("garbage", 8),
        ("1 2 3", 8),
        ("-5 100000", 8),
        ("100000 0", 8),
        ("", 8),
    ],
)
def test_v2_quota(tmp_path, cpu_max, expected):
    root = write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": f"{cpu_max}\n"})
    assert usable_cores(root) == expected


def test_v2_strictest_group_on_the_way_up_counts(tmp_path):
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pod/container\n",
            "sys/fs/cgroup/pod/container/cpu.max": "600000 100000",
            "sys/fs/cgroup/pod/cpu.max": "300000 100000",
            "sys/fs/cgroup/cpu.max": "500000 100000",
            "sys/fs/cgroup/other/cpu.max": "100000 100000",
        },
    )
    assert usable_cores(root) == 3


def test_v2_beside_v1(tmp_path):
    root = write(
        tmp_path,
        {"proc/self/cgroup": "1:cpu:/\n0::/a\n", "sys/fs/cgroup/unified/a/cpu.max": "400000 100000"},
    )
    assert usable_cores(root) == 4


@pytest.mark.parametrize("group", ["/../../x", "/not/mounted/here"])
def test_group_outside_the_mount_falls_back_to_its_root(tmp_path, group):
    root = write(
        tmp_path, {"proc/self/cgroup": f"0::{group}\n", "sys/fs/cgroup/cpu.max": "200000 100000", "x/cpu.max": "1 1"}
    )
    assert usable_cores(root) == 2


@pytest.mark.parametrize("controllers", ["cpu,cpuacct", "cpu", "cpuset,cpu"])
@pytest.mark.parametrize(("quota", "expected"), [("250000", 3), ("-1", 8), ("0", 8)])
def test_v1_quota(tmp_path, controllers, quota, expected):
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": f"5:memory:/m\n4:{controllers}:/docker/abc\n",
            f"sys/fs/cgroup/{controllers}/cpu.cfs_quota_us": quota,
            f"sys/fs/cgroup/{controllers}/cpu.cfs_period_us": "100000",
        },
    )
    assert usable_cores(root) == expected


def test_v1_cpuset_is_not_the_cpu_controller(tmp_path):
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "4:cpuset:/\n",
            "sys/fs/cgroup/cpuset/cpu.cfs_quota_us": "100000",
            "sys/fs/cgroup/cpuset/cpu.cfs_period_us": "100000",
        },
    )
    assert usable_cores(root) == 8


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(cgroup=st.text(max_size=40), cpu_max=st.text(max_size=20))
def test_any_content_gives_between_one_and_the_affinity(tmp_path, cgroup, cpu_max):
    write(tmp_path, {"proc/self/cgroup": cgroup.encode("utf-8", "replace").decode(), "sys/fs/cgroup/cpu.max": ""})
    (tmp_path / "sys/fs/cgroup/cpu.max").write_bytes(cpu_max.encode("utf-8", "replace"))
    assert 1 <= usable_cores(tmp_path) <= 8


def test_this_machine(monkeypatch):
    monkeypatch.undo()
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
