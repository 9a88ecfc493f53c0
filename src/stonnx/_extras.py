"""The gate for optional dependencies: one import, one error, one pip line."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from stonnx._quiet import quiet_import
from stonnx.errors import MissingExtraError

__all__ = ["UPGRADE", "available", "pip_line", "require"]

UPGRADE = "pip install -U stonnx  (in a clone: git pull, then pip install .)"
"""How to get a newer stonnx, from an index or from a clone of the repository."""


def pip_line(extra: str) -> str:
    """How to install an extra of stonnx, from an index or from a clone of the repository."""
    return f'pip install "stonnx[{extra}]"  (in a clone: pip install ".[{extra}]")'


def available(module: str) -> bool:
    """Whether ``module`` (a top-level name) can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional module, with its telemetry turned off (``stonnx._quiet`` says how).

    Args:
        module: Dotted name of the module.
        extra: The stonnx extra that installs it, such as ``"cpu"``.
        purpose: What it is needed for, to follow "is needed to ...".

    Raises:
        MissingExtraError: The module is not installed.
    """
    top_level = module.partition(".")[0]
    if not available(top_level):
        raise MissingExtraError(
            f"{top_level} is needed to {purpose}, and it is not installed.",
            hint=pip_line(extra),
        )
    with quiet_import(module):
        return importlib.import_module(module)
