"""A tiny model to convert."""

from __future__ import annotations

import pytest

from stonnx.testing import TinyModel, make_tiny_model


@pytest.fixture
def source(tmp_path):
    return make_tiny_model(tmp_path / "source", TinyModel(prompts={"query": "query: "}, max_tokens=48))


@pytest.fixture
def tiny(tmp_path):
    """A function: options of TinyModel in, the model's folder out."""
    return lambda **options: make_tiny_model(tmp_path / "tiny", TinyModel(**options))
