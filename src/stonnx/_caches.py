"""Where stonnx keeps what it may lose: a folder of the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder(name: str) -> Path | None:
    """``$XDG_CACHE_HOME/stonnx/<name>`` (``~/.cache/stonnx/<name>``), which may not exist; None without a home.

    For example::

        cache_folder("tune")  # PosixPath('/home/me/.cache/stonnx/tune')
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # the specification: a relative path is to be ignored
        base = os.path.expanduser("~/.cache")
    return Path(base) / "stonnx" / name if os.path.isabs(base) else None
