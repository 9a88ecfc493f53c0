"""Tiny folders, and a way to change a JSON file of one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stonnx.checkpoint import SourceFolder, resolve_source
from stonnx.testing import TinyModel, make_tiny_model

Edit = Callable[..., None]


@pytest.fixture
def tiny(tmp_path) -> Callable[..., Path]:
    """Write a tiny model; keyword arguments are those of TinyModel."""

    def write(**options: Any) -> Path:
        return make_tiny_model(tmp_path / "model", TinyModel(**options))

    return write


@pytest.fixture
def edit() -> Edit:
    """Change entries of a JSON object file; None as a value removes the key."""

    def change(path: Path, **entries: Any) -> None:
        value = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        value |= entries
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({k: v for k, v in value.items() if v is not None}), encoding="utf-8")

    return change


@pytest.fixture
def source() -> Callable[[Path], SourceFolder]:
    return resolve_source
