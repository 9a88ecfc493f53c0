from __future__ import annotations

import json
import platform

import numpy as np

from stonnx.artifact import machine


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


def test_a_missing_sysctl_is_no_error():
    assert isinstance(machine._sysctl("no.such.key"), str)
