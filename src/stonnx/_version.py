"""The version of stonnx: the one place it is written down."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
