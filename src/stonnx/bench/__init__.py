"""Measure how much faster an artifact is than the original model: throughput and latency, by turns.

>>> from stonnx.bench import BenchOptions, run_bench
>>> report = run_bench("my-model-onnx", against="my-model", options=BenchOptions(quick=True, seconds=2.0))
>>> [(protocol.name, protocol.unit) for protocol in report.protocols]
[('classic', 's/text'), ('realistic', 'texts/s'), ('latency', 'ms')]
"""

from __future__ import annotations

from stonnx.bench.choose import CLASSIC_TEXT
from stonnx.bench.report import BenchReport, Latency, ProtocolResult
from stonnx.bench.run import BenchOptions, run_bench

__all__ = ["CLASSIC_TEXT", "BenchOptions", "BenchReport", "Latency", "ProtocolResult", "run_bench"]
