"""The machine at hand: what its CPU can do, and what a report says of it so that a reader can judge a number."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

__all__ = [
    "INSTRUCTION_SETS",
    "cpu_features",
    "cpu_name",
    "describe_machine",
    "features_of_cpuinfo",
    "installed_versions",
]

INSTRUCTION_SETS = (
    "avx2",
    "avx512_vnni",
    "avx_vnni",
    "amx_int8",
    "avx512_bf16",
    "amx_bf16",
    "asimd",
    "asimddp",
    "i8mm",
    "bf16",
)
"""What a variant may ask of a CPU, x86 then Arm, as the Linux kernel spells them."""

_DISTRIBUTIONS = (
    "stonnx",
    "numpy",
    "tokenizers",
    "safetensors",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "torch",
    "transformers",
    "sentence-transformers",
)

# What a report tells: the sets that change which kernels an engine picks, spelled likewise.
_REPORTED_SETS = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
)

_CPUINFO = Path("/proc/cpuinfo")

_DARWIN_FEATURES: dict[str, str | int] = {
    "avx2": "hw.optional.avx2_0",
    "asimddp": "hw.optional.arm.FEAT_DotProd",
    "i8mm": "hw.optional.arm.FEAT_I8MM",
    "bf16": "hw.optional.arm.FEAT_BF16",
}

# PF_AVX2_INSTRUCTIONS_AVAILABLE, PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE of winnt.h
_WINDOWS_FEATURES: dict[str, str | int] = {"avx2": 40, "asimddp": 43}


def describe_machine(cores: int | None = None) -> dict[str, object]:
    """Processor, system and library versions, ready for JSON.

    Args:
        cores: Cores that this process may use (affinity and quota), from
            ``stonnx.runtime.usable_cores``; None leaves the entry out.

    Returns:
        ``cpu`` (model name), ``instruction_sets`` (list of str; empty where the system does not tell),
        ``logical_cores`` (of the whole machine), ``usable_cores`` (when given), ``os``, ``architecture``,
        ``python`` and ``versions`` (those of the libraries that are installed).
    """
    import platform

    cpuinfo = _read_cpuinfo()
    machine: dict[str, object] = {
        "cpu": _cpu_name(cpuinfo),
        "instruction_sets": _instruction_sets(cpuinfo),
        "logical_cores": os.cpu_count(),
    }
    if cores is not None:
        machine["usable_cores"] = cores
    machine["os"] = f"{platform.system()} {platform.release()}".strip()
    machine["architecture"] = platform.machine()
    machine["python"] = platform.python_version()
    machine["versions"] = installed_versions()
    return machine


@functools.cache
def cpu_features() -> frozenset[str]:
    """The names of ``INSTRUCTION_SETS`` that this CPU has.

    From ``/proc/cpuinfo`` on Linux, ``sysctl`` on macOS, ``IsProcessorFeaturePresent`` on Windows, which does not
    know of VNNI and AMX. Empty where the system does not tell.
    """
    try:
        return features_of_cpuinfo(_CPUINFO.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        pass
    import platform

    has: Callable[[str | int], bool]
    match platform.system():
        case "Darwin":
            names, has = _DARWIN_FEATURES, _darwin_has
        case "Windows":
            names, has = _WINDOWS_FEATURES, _windows_has
        case _:
            names, has = {}, bool
    arm = {"asimd"} if platform.machine().lower() in ("arm64", "aarch64") else set()
    return frozenset(arm | {name for name, key in names.items() if has(key)})


def features_of_cpuinfo(text: str) -> frozenset[str]:
    """The names of ``INSTRUCTION_SETS`` among the flags of the first processor in a ``/proc/cpuinfo``."""
    return frozenset(_flags(_first_processor(text)) & set(INSTRUCTION_SETS))


def cpu_name() -> str:
    """The processor's model name; ``unknown`` where the system does not tell."""
    return _cpu_name(_read_cpuinfo())


def installed_versions(names: Iterable[str] = _DISTRIBUTIONS) -> dict[str, str]:
    """Versions by distribution name, of those that are installed; nothing is imported.

    Args:
        names: Distributions to look for; by default those that shape numbers.
    """
    import importlib.metadata  # with what it pulls in, 30 ms that loading a model can do without

    found: dict[str, str] = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _read_cpuinfo() -> dict[str, str]:
    """The first processor of ``/proc/cpuinfo``; empty where there is no such file (macOS, Windows)."""
    try:
        text = _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return _first_processor(text)


def _first_processor(text: str) -> dict[str, str]:
    block = text.strip().partition("\n\n")[0]
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _cpu_name(cpuinfo: dict[str, str]) -> str:
    import platform

    name = cpuinfo.get("model name") or cpuinfo.get("Model")
    if not name and platform.system() == "Darwin":
        name = _sysctl("machdep.cpu.brand_string")
    return name or platform.processor() or platform.machine() or "unknown"


def _sysctl(key: str) -> str:
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, and keys of our own
            ["/usr/sbin/sysctl", "-n", key], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _instruction_sets(cpuinfo: dict[str, str]) -> list[str]:
    flags = _flags(cpuinfo)
    return [name for name in _REPORTED_SETS if name in flags]


def _flags(cpuinfo: dict[str, str]) -> set[str]:
    return set((cpuinfo.get("flags") or cpuinfo.get("Features") or "").split())


def _darwin_has(key: str | int) -> bool:
    """``sysctl`` says 1 for a feature that the CPU has, and nothing for one that it has never heard of."""
    return _sysctl(str(key)) == "1"


def _windows_has(number: str | int) -> bool:
    import ctypes

    kernel32 = cast("Any", ctypes).windll.kernel32
    return bool(kernel32.IsProcessorFeaturePresent(number))
