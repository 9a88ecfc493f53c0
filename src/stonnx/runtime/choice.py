"""What ``stonnx tune`` chose for this machine: kept beside the artifact, read by ``variant="auto"``.

Data only. The file's name is a key of the machine and the artifact, so that a choice that does not fit
is never found: another CPU, other cores, other versions or another manifest give another key.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from stonnx._caches import cache_folder
from stonnx._io import contained_path, write_json
from stonnx.artifact import TUNE_FOLDER, Artifact, manifest_to_json
from stonnx.artifact.fidelity_class import BOUNDS
from stonnx.artifact.strict_json import read_strict_json
from stonnx.errors import ArtifactError, RunError, StonnxError
from stonnx.machine import cpu_features, cpu_name, installed_versions
from stonnx.runtime.cores import usable_cores
from stonnx.runtime.loading import why_not_here
from stonnx.runtime.streams import RunSettings

__all__ = ["Choice", "machine_facts", "machine_key", "read_choice", "write_choice"]

_LOG = logging.getLogger("stonnx")

_FORMAT = 1
_ENGINE_DISTRIBUTIONS = ("stonnx", "onnxruntime", "onnxruntime-gpu", "openvino")
_MAX_BATCH_TOKENS = 2**20  # a hostile or damaged file may not ask for all the memory there is


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How to run an artifact on this machine.

    Attributes:
        variant: Name of the variant.
        threads: Threads of all engine runs together.
        streams: Engine runs at a time, each with ``threads // streams`` threads; None for what fits each call.
        batch_tokens: Rows times longest row of one engine run.
        fidelity: The class that was asked for; the variant keeps it on this machine.
        aim: What was to be fast: many texts, or one.
        texts_per_second: What was measured on many texts.
        latency_ms: What was measured for one short text, the median.
        tuned_at: When, UTC, ISO 8601.
    """

    variant: str
    threads: int
    streams: int | None
    batch_tokens: int
    fidelity: Literal["lossless", "high", "balanced"]
    aim: Literal["throughput", "latency"]
    texts_per_second: float
    latency_ms: float
    tuned_at: str

    @property
    def settings(self) -> RunSettings:
        """How batches are run."""
        return RunSettings(
            threads=self.threads,
            streams=self.streams or self.threads,
            batch_tokens=self.batch_tokens,
            by_call=self.streams is None,
        )


def machine_facts(artifact: Artifact) -> dict[str, object]:
    """What a choice holds for: the CPU, usable cores, versions of stonnx and the engines, SHA-256 of the manifest.

    Of the CPU its name and its instruction sets: a name such as "AMD EPYC" stands for several models.
    """
    manifest = json.dumps(manifest_to_json(artifact.manifest), sort_keys=True)
    return {
        "cpu": cpu_name(),
        "cpu_features": sorted(cpu_features()),
        "cores": usable_cores(),
        "versions": installed_versions(_ENGINE_DISTRIBUTIONS),
        "manifest": hashlib.sha256(manifest.encode("ascii")).hexdigest(),
    }


def machine_key(facts: Mapping[str, object]) -> str:
    """16 hexadecimal digits that name the facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode("ascii")).hexdigest()[:16]


def read_choice(artifact: Artifact) -> Choice | None:
    """The choice for this machine, the newest if there are two; None for none.

    A file that cannot be read, or does not fit the artifact, is ignored with a logged warning.
    """
    beside, cache = artifact.path / TUNE_FOLDER, cache_folder("tune")
    folders = [folder for folder in (beside, cache) if folder is not None and folder.is_dir()]
    if not folders:
        return None  # the usual case: nothing is hashed
    facts = machine_facts(artifact)
    name = f"{machine_key(facts)}.json"
    found = [folder / name for folder in folders if (folder / name).is_file()]
    for path in sorted(found, key=_modified, reverse=True):
        try:
            if path.parent == beside:
                contained_path(artifact.path, f"{TUNE_FOLDER}/{name}", error=ArtifactError)
            return _decoded(read_strict_json(path), artifact, facts)
        except StonnxError as exc:
            _LOG.warning("The choice of stonnx tune in %s is ignored: %s", path, exc.message)
    return None


def write_choice(artifact: Artifact, choice: Choice) -> Path:
    """Write the choice for this machine, replacing an older one at once or not at all.

    It lies in ``.stonnx-tune`` of the artifact's folder; where that cannot be written, in
    ``$XDG_CACHE_HOME/stonnx/tune`` (``~/.cache/stonnx/tune``).

    Returns:
        The file.

    Raises:
        ArtifactError: ``.stonnx-tune`` is a symbolic link out of the artifact's folder.
        RunError: Neither place can be written.
    """
    facts = machine_facts(artifact)
    name = f"{machine_key(facts)}.json"
    value = {"format": _FORMAT, "facts": facts, "choice": asdict(choice)}
    beside = contained_path(artifact.path, f"{TUNE_FOLDER}/{name}", error=ArtifactError)
    try:
        write_json(beside, value)
        return beside
    except OSError as exc:
        cache = cache_folder("tune")
        if cache is None:
            raise _unwritable(beside.parent, exc) from exc
    try:
        write_json(cache / name, value)
    except OSError as exc:
        raise _unwritable(cache, exc) from exc
    return cache / name


def _unwritable(folder: Path, error: OSError) -> RunError:
    return RunError(
        f"The choice cannot be written: {folder}: {error.strerror or error}.",
        hint=f"Make the artifact's folder or {folder} writable, or set XDG_CACHE_HOME.",
    )


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _decoded(value: object, artifact: Artifact, facts: Mapping[str, object]) -> Choice:
    """The choice in a parsed file.

    Raises:
        StonnxError: It is none, it is another machine's, or the artifact has no such variant or none that runs here.
    """
    if not isinstance(value, dict) or set(value) != {"format", "facts", "choice"}:
        raise ArtifactError("it is not a choice.")
    if value["format"] != _FORMAT:
        raise ArtifactError(f"its format is {value['format']!r:.40}, expected {_FORMAT}.")
    if value["facts"] != facts:
        raise ArtifactError("it was made for another machine.")
    made = value["choice"]
    if not isinstance(made, dict) or set(made) != {field.name for field in fields(Choice)}:
        raise ArtifactError("its keys are not those of a choice.")
    _check_values(made, cores=usable_cores())
    obstacle = why_not_here(artifact.variant(made["variant"]))
    if obstacle is not None:
        raise ArtifactError(f"the variant {made['variant']!r} cannot run here: {obstacle}.")
    return Choice(**made)


def _check_values(made: Mapping[str, object], *, cores: int) -> None:
    threads = made["threads"]
    checks = {
        "variant": isinstance(made["variant"], str),
        "threads": _whole(threads, cores),
        "streams": made["streams"] is None or _whole(made["streams"], threads),
        "batch_tokens": _whole(made["batch_tokens"], _MAX_BATCH_TOKENS),
        "fidelity": isinstance(made["fidelity"], str) and made["fidelity"] in BOUNDS,
        "aim": isinstance(made["aim"], str) and made["aim"] in ("throughput", "latency"),
        "texts_per_second": _number(made["texts_per_second"]),
        "latency_ms": _number(made["latency_ms"]),
        "tuned_at": isinstance(made["tuned_at"], str),
    }
    for key, holds in checks.items():
        if not holds:
            raise ArtifactError(f"{key} is {made[key]!r:.40}.")


def _whole(value: object, most: object) -> bool:
    """Whether it is a whole number from 1 to ``most``."""
    return isinstance(value, int) and not isinstance(value, bool) and isinstance(most, int) and 1 <= value <= most


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
