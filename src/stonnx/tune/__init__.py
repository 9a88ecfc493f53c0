"""Tuning: which variant, threads and batches are the fastest here, of those that keep the fidelity asked for.

>>> from stonnx.tune import tune
>>> report = tune("my-model-onnx", ["a text like those to encode", "and another one"])
>>> report.choice().fidelity  # .variant, .threads and so on are what is fastest here
'high'
"""

from __future__ import annotations

from stonnx.tune.options import TuneOptions
from stonnx.tune.report import Row, TuneReport
from stonnx.tune.run import tune

__all__ = ["Row", "TuneOptions", "TuneReport", "tune"]
