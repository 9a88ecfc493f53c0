"""Engines by name, imported only when a variant asks for one."""

from __future__ import annotations

import importlib
from typing import NamedTuple, Protocol

from stonnx._extras import UPGRADE, available, require
from stonnx.artifact import Artifact
from stonnx.artifact.manifest import Variant
from stonnx.errors import UnsupportedModelError
from stonnx.runtime.engines.base import Engine

__all__ = ["ENGINES", "EngineEntry", "engine_installed", "open_engine"]


class _Opener(Protocol):
    def __call__(self, variant: Variant, artifact: Artifact, *, threads: int, shared: bool = False) -> Engine: ...


class EngineEntry(NamedTuple):
    """Where an engine lives: our module, its ``open_variant``, the package it needs and the extra that brings it."""

    module: str
    package: str
    extra: str


ENGINES = {
    "onnxruntime": EngineEntry("stonnx.runtime.engines.onnxruntime", "onnxruntime", "cpu"),
    "openvino": EngineEntry("stonnx.runtime.engines.openvino", "openvino", "openvino"),
}


def engine_installed(name: str) -> bool:
    """Whether this stonnx knows the engine and its package is installed; nothing is imported."""
    entry = ENGINES.get(name)
    return entry is not None and available(entry.package)


def open_engine(variant: Variant, artifact: Artifact, *, threads: int, shared: bool = False) -> Engine:
    """Open the engine that a variant names, on the variant's graph.

    Args:
        variant: One of the artifact's variants.
        artifact: Where the graph lies.
        threads: Threads that one run may use.
        shared: Let runs that come together share these threads, where the engine can: see ``Engine.shares_threads``.

    Raises:
        UnsupportedModelError: This stonnx has no engine of that name.
        MissingExtraError: The engine's package is not installed.
        ArtifactError: The graph is damaged.
    """
    entry = ENGINES.get(variant.engine)
    if entry is None:
        known = ", ".join(sorted(ENGINES))
        raise UnsupportedModelError(
            f"The variant {variant.name!r} needs the engine {variant.engine!r}; this stonnx has {known}.",
            hint=f"Choose another variant, or upgrade: {UPGRADE}",
        )
    require(entry.package, extra=entry.extra, purpose=f"run the variant {variant.name!r}")
    opener: _Opener = importlib.import_module(entry.module).open_variant
    return opener(variant, artifact, threads=threads, shared=shared)
