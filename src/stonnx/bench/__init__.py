"""Measure an artifact beside the original model: throughput and latency, both sides by turns."""

from __future__ import annotations

from stonnx.bench.choose import CLASSIC_TEXT
from stonnx.bench.report import BenchReport, Latency, ProtocolResult
from stonnx.bench.run import BenchOptions, run_bench

__all__ = ["CLASSIC_TEXT", "BenchOptions", "BenchReport", "Latency", "ProtocolResult", "run_bench"]
