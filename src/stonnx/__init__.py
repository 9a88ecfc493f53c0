"""Compile Sentence Transformers models to verified, fast ONNX artifacts, and run them.

``Encoder``, ``Reranker`` and ``Artifact`` are loaded on first use, so that ``import stonnx`` stays light.
"""

from __future__ import annotations

import importlib

from stonnx._version import __version__
from stonnx.errors import StonnxError

TYPE_CHECKING = False  # as type checkers read it; importing typing takes longer than all the rest
if TYPE_CHECKING:
    from stonnx.artifact import Artifact
    from stonnx.runtime import Encoder, Reranker

__all__ = ["Artifact", "Encoder", "Reranker", "StonnxError", "__version__"]

_LAZY = {"Artifact": "stonnx.artifact", "Encoder": "stonnx.runtime", "Reranker": "stonnx.runtime"}


def __getattr__(name: str) -> object:
    """Import the home of a lazy name (PEP 562) and keep the name here."""
    home = _LAZY.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
