"""Test helpers: tiny models and fakes, without torch."""

from __future__ import annotations

from stonnx.testing.fake_engine import FakeEngine
from stonnx.testing.random_weights import make_random_model
from stonnx.testing.tiny import make_tiny_model
from stonnx.testing.tiny_model import TinyModel

__all__ = ["FakeEngine", "TinyModel", "make_random_model", "make_tiny_model"]
