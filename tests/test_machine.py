from __future__ import annotations

import json
import platform

import numpy as np
import pytest

from stonnx import machine


def test_description_is_json_with_the_installed_versions():
    found = machine.describe_machine(3)
    assert json.loads(json.dumps(found)) == found
    assert found["usable_cores"] == 3
    assert found["cpu"]
    assert found["versions"]["numpy"] == np.__version__
    assert "usable_cores" not in machine.describe_machine()


def _cpuinfo(monkeypatch, tmp_path, text):
    path = tmp_path / "cpuinfo"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(machine, "_CPUINFO", path)


def test_x86_flags(monkeypatch, tmp_path):
    _cpuinfo(
        monkeypatch,
        tmp_path,
        "processor\t: 0\nmodel name\t: AMD EPYC 9B14\nflags\t\t: fpu avx avx2 avx512f avx512_vnni avx512_bf16x\n"
        "\nprocessor\t: 1\nmodel name\t: other\nflags\t\t: amx_int8\n",
    )
    found = machine.describe_machine()
    assert found["cpu"] == "AMD EPYC 9B14"
    assert found["instruction_sets"] == ["avx2", "avx512f", "avx512_vnni"]


def test_arm_features(monkeypatch, tmp_path):
    _cpuinfo(monkeypatch, tmp_path, "processor : 0\nFeatures : fp asimd asimddp i8mm bf16\n")
    found = machine.describe_machine()
    assert found["instruction_sets"] == ["asimddp", "i8mm", "bf16"]
    assert found["cpu"]


def test_a_system_without_proc(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "absent")
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(machine, "_sysctl", lambda key: "Apple M4")
    found = machine.describe_machine()
    assert (found["cpu"], found["instruction_sets"]) == ("Apple M4", [])
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    monkeypatch.setattr(platform, "processor", lambda: "AMD64 Family 25")
    assert machine.describe_machine()["cpu"] == "AMD64 Family 25"


X86 = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: A CPU\nflags\t\t: fpu {}\n\nprocessor\t: 1\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (X86.format("avx avx2 fma"), {"avx2"}),
        (X86.format("avx2 avx_vnni"), {"avx2", "avx_vnni"}),
        (
            X86.format("avx2 avx512f avx512_vnni avx512_bf16 amx_bf16 amx_tile amx_int8"),
            {"avx2", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"},
        ),
        (
            "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm bf16 sve\nCPU part\t: 0xd4f\n",
            {"asimd", "asimddp", "i8mm", "bf16"},
        ),
        ("processor\t: 0\nisa\t: rv64imafdc\n", set()),
        ("", set()),
    ],
    ids=["zen1", "alder lake", "sapphire rapids", "graviton 3", "risc-v", "nothing"],
)
def test_cpu_features(text, found):
    assert machine.features_of_cpuinfo(text) == found


@pytest.fixture
def no_proc(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "absent")
    machine.cpu_features.cache_clear()
    yield
    machine.cpu_features.cache_clear()


def test_cpu_features_of_an_apple(monkeypatch, no_proc):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(machine, "_sysctl", lambda key: "1" if "DotProd" in key or "I8MM" in key else "")
    assert machine.cpu_features() == {"asimd", "asimddp", "i8mm"}


@pytest.mark.parametrize(("architecture", "present", "found"), [("AMD64", 40, {"avx2"}), ("ARM64", 0, {"asimd"})])
def test_cpu_features_of_windows(monkeypatch, no_proc, architecture, present, found):
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    monkeypatch.setattr(platform, "machine", lambda: architecture)
    monkeypatch.setattr(machine, "_windows_has", lambda number: number == present)
    assert machine.cpu_features() == found


def test_cpu_features_of_an_unknown_system(monkeypatch, no_proc):
    monkeypatch.setattr(platform, "system", lambda: "Plan9")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert machine.cpu_features() == set()


def test_a_missing_sysctl_is_no_error():
    assert isinstance(machine._sysctl("no.such.key"), str)
