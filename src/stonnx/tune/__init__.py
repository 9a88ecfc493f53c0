"""Tuning: which variant, threads and batches are the fastest here, inside the fidelity that was asked for."""

from __future__ import annotations

from stonnx.tune.options import TuneOptions
from stonnx.tune.report import Row, TuneReport
from stonnx.tune.run import tune

__all__ = ["Row", "TuneOptions", "TuneReport", "tune"]
