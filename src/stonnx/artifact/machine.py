"""The machine that a number was measured on: reports carry it, so that a reader can judge the number."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

__all__ = ["describe_machine", "installed_versions"]

_DISTRIBUTIONS = (
    "stonnx",
    "numpy",
    "tokenizers",
    "safetensors",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "torch",
    "transformers",
    "sentence-transformers",
)

# The sets that change which kernels an engine picks, x86 then Arm, as the kernel spells them.
_INSTRUCTION_SETS = (
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


def installed_versions() -> dict[str, str]:
    """Versions by distribution name, of those that shape numbers and are installed; nothing is imported."""
    found: dict[str, str] = {}
    for name in _DISTRIBUTIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _read_cpuinfo() -> dict[str, str]:
    """The first processor of ``/proc/cpuinfo``; empty where there is no such file (macOS, Windows)."""
    try:
        text = _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    block = text.strip().partition("\n\n")[0]
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _cpu_name(cpuinfo: dict[str, str]) -> str:
    name = cpuinfo.get("model name") or cpuinfo.get("Model")
    if not name and platform.system() == "Darwin":
        name = _sysctl("machdep.cpu.brand_string")
    return name or platform.processor() or platform.machine() or "unknown"


def _sysctl(key: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, and keys of our own
            ["/usr/sbin/sysctl", "-n", key], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _instruction_sets(cpuinfo: dict[str, str]) -> list[str]:
    flags = set((cpuinfo.get("flags") or cpuinfo.get("Features") or "").split())
    return [name for name in _INSTRUCTION_SETS if name in flags]
