"""From turns to figures: pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peers.measure import Entry
from peers.texts import LENGTHS, Texts

__all__ = ["fidelity", "latency", "summary", "throughput"]

_Turns = Mapping[tuple[int, int], Sequence[float]]


def summary(entry: Entry, original: Entry, texts: Texts) -> dict[str, object]:
    """What goes into the results of one side: all figures that were measured before it failed, if it did."""
    side = entry.side
    value: dict[str, object] = {
        "key": side.key,
        "title": side.title,
        "options": dict(side.options),
        "note": side.note,
        "error": entry.error,
    }
    if entry.prepare_seconds is not None:
        value["prepare_seconds"] = entry.prepare_seconds
    if entry.starts:
        value["versions"] = entry.starts[-1]["versions"]
        value["start"] = {
            key: statistics.median(start[key] for start in entry.starts)
            for key in ("process_seconds", "load_seconds", "first_text_seconds")
        } | {"starts": len(entry.starts), "loaded_rss_bytes": entry.starts[-1]["memory"]["rss_bytes"]}
    if entry.memory:
        value["memory"] = entry.memory
    value |= _speeds(entry, original, texts)
    if entry.vectors and original.vectors:
        value["fidelity"] = fidelity(entry.vectors, original.vectors)
        if value["fidelity"] is None:
            value["error"] = "its vectors have another shape than the original's"
    if entry.sts is not None:
        value["sts_spearman"] = entry.sts
    return value


def _speeds(entry: Entry, original: Entry, texts: Texts) -> dict[str, object]:
    value: dict[str, object] = {}
    if turns := entry.turns.get("mix"):
        sizes = [len(part) for part in texts.slices]
        value["mix"] = throughput(turns, original.turns.get("mix", {}), sizes)
    found = {
        str(length): throughput(turns, original.turns.get(f"length {length}", {}), [len(texts.lengths[length])])
        for length in LENGTHS
        if (turns := entry.turns.get(f"length {length}"))
    }
    if found:
        value["lengths"] = found
    if turns := entry.turns.get("latency"):
        value["latency"] = latency(turns, original.turns.get("latency", {}))
    return value


def throughput(turns: _Turns, original: _Turns, sizes: Sequence[int]) -> dict[str, float]:
    """Texts per second over all turns, and how many times the original's speed that is.

    Args:
        turns: Seconds by (round, unit).
        original: The same of the original.
        sizes: Texts of each unit.

    Returns:
        ``texts_per_second``; ``ratio``, the median over the turns that both took, ``ratio_low`` and ``ratio_high``
        (absent where there is none); ``turns``.
    """
    seconds = {turn: sum(calls) for turn, calls in turns.items()}
    value = {
        "texts_per_second": sum(sizes[unit] for _, unit in turns) / sum(seconds.values()),
        "turns": float(len(turns)),
    }
    ratios = [sum(original[turn]) / mine for turn, mine in seconds.items() if turn in original]
    if ratios:
        value |= {"ratio": statistics.median(ratios), "ratio_low": min(ratios), "ratio_high": max(ratios)}
    return value


def latency(turns: _Turns, original: _Turns) -> dict[str, float]:
    """Milliseconds of one call with one text: median and 99th percentile over all calls, and the ratio of medians."""
    mine = np.array([second for calls in turns.values() for second in calls])
    theirs = np.array([second for turn, calls in original.items() if turn in turns for second in calls])
    value = {
        "p50_ms": float(np.percentile(mine, 50)) * 1e3,
        "p99_ms": float(np.percentile(mine, 99)) * 1e3,
        "calls": float(len(mine)),
    }
    if len(theirs):
        value["ratio"] = float(np.percentile(theirs, 50)) * 1e3 / value["p50_ms"]
    return value


def fidelity(vectors: Sequence[NDArray[np.float32]], original: Sequence[NDArray[np.float32]]) -> dict[str, Any] | None:
    """Agreement with the original over the parts that both have, and the fidelity class (None: below all).

    Returns:
        None where the shapes differ: the side computes something else.
    """
    from stonnx.artifact.fidelity_class import classify
    from stonnx.verify.metrics import compare

    count = min(len(vectors), len(original))
    mine, theirs = np.concatenate(vectors[:count]), np.concatenate(original[:count])
    if mine.shape != theirs.shape:
        return None
    found = compare(mine, theirs).fidelity
    return {
        "texts": found.texts,
        "cosine_mean": found.cosine_mean,
        "cosine_min": found.cosine_min,
        "max_abs_diff": found.max_abs_diff,
        "top10_overlap": found.top10_overlap,
        "class": classify(found),
    }
