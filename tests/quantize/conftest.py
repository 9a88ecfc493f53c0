"""Tiny models to quantise."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from stonnx.testing import TinyModel
from tests.quantize.setups import Setup


@pytest.fixture
def make_setup(tmp_path):
    """A function: options of TinyModel in, a make_setup out."""
    with ExitStack() as stack:
        yield lambda **options: Setup(tmp_path, TinyModel(**options), stack.enter_context)
