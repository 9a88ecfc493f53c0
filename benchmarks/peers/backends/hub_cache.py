"""A folder that looks like Hugging Face's cache, for libraries that take nothing but a hub id."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

__all__ = ["make_hub_cache", "use_hub_cache"]

_COMMIT = "0" * 40


def make_hub_cache(home: Path, model_id: str, source: Path) -> None:
    """Put a model's files where a download of ``model_id`` would have put them."""
    folder = home / "hub" / f"models--{model_id.replace('/', '--')}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder / "snapshots" / _COMMIT)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(_COMMIT, encoding="ascii")


def use_hub_cache(home: Path) -> None:
    """Let this process find it; to be called before the library is imported."""
    os.environ["HF_HOME"] = str(home)
    os.environ["HF_HUB_CACHE"] = str(home / "hub")
