"""What a benchmark found, and the machine it found it on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stonnx._timing import Round, median, percentile
from stonnx.reference import PositionCut

__all__ = ["BenchReport", "Latency", "ProtocolResult", "latency_result", "pass_result"]


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds per call: the median and the 95th percentile over every call of every round."""

    p50: float
    p95: float

    def to_json(self) -> dict[str, object]:
        """``{"p50": ..., "p95": ...}``, milliseconds."""
        return {"p50": self.p50, "p95": self.p95}


@dataclass(frozen=True, kw_only=True)
class ProtocolResult:
    """One protocol on both sides.

    Attributes:
        name: ``classic``, ``realistic`` or ``latency``.
        unit: Unit of ``a`` and ``b``: ``s/text``, ``texts/s``, ``pairs/s`` or ``ms``.
        texts: Texts that each side encoded in one round, or pairs that it scored.
        rounds: Rounds measured; the warm-up is not among them.
        a: Median over the rounds (for ``latency``: p50 and p95 over the calls) of side a.
        b: The same of side b.
        ratio: How many times faster side a is: the median over the rounds of time b / time a.
        ratio_low: The lowest round's ratio.
        ratio_high: The highest round's ratio.
    """

    name: str
    unit: str
    texts: int
    rounds: int
    a: float | Latency
    b: float | Latency
    ratio: float
    ratio_low: float
    ratio_high: float

    def to_json(self) -> dict[str, object]:
        """The attributes under their own names."""
        return {
            "name": self.name,
            "unit": self.unit,
            "texts": self.texts,
            "rounds": self.rounds,
            "a": self.a.to_json() if isinstance(self.a, Latency) else self.a,
            "b": self.b.to_json() if isinstance(self.b, Latency) else self.b,
            "ratio": self.ratio,
            "ratio_low": self.ratio_low,
            "ratio_high": self.ratio_high,
        }


@dataclass(frozen=True, kw_only=True)
class BenchReport:
    """The whole of a benchmark.

    Attributes:
        machine: As ``stonnx.machine.describe_machine``, without the versions.
        versions: Library versions by name.
        threads: Threads of either side.
        streams: The most engine runs at a time on side a, which share the threads.
        artifact: The artifact's folder.
        variant: The variant of side a.
        against: The original model on side b; None where b is the portable graph.
        sides: Names of sides a and b.
        cosine_min: Lowest cosine between the two sides' vectors of a text, over some of the texts: it shows whether
            both sides computed the same. None for a reranker.
        protocols: The results, in the order in which they ran.
        score_diff: Largest difference between the two sides' probabilities of a pair, likewise. None for embeddings.
        position_cut: Where the original's texts were cut so that it runs at all: its files allow more tokens than it
            has positions for. None where they do not.
    """

    machine: dict[str, object]
    versions: dict[str, str]
    threads: int
    streams: int
    artifact: Path
    variant: str
    against: str | None
    sides: tuple[str, str]
    cosine_min: float | None
    protocols: tuple[ProtocolResult, ...]
    score_diff: float | None = None
    position_cut: PositionCut | None = None

    def to_json(self) -> dict[str, object]:
        """Plain JSON values: the attributes under their own names."""
        return {
            "machine": self.machine,
            "versions": self.versions,
            "threads": self.threads,
            "streams": self.streams,
            "artifact": str(self.artifact),
            "variant": self.variant,
            "against": self.against,
            "sides": list(self.sides),
            "cosine_min": self.cosine_min,
            "score_diff": self.score_diff,
            "position_cut": None if self.position_cut is None else asdict(self.position_cut),
            "protocols": [protocol.to_json() for protocol in self.protocols],
        }


def pass_result(name: str, unit: str, texts: int, rounds: Sequence[Round]) -> ProtocolResult:
    """A result from the time that whole rounds took; ``unit`` is ``s/text``, ``texts/s`` or ``pairs/s``."""
    a, b = [sum(r.a) for r in rounds], [sum(r.b) for r in rounds]
    ratios = [time_b / time_a for time_a, time_b in zip(a, b, strict=True)]

    def value(seconds: float) -> float:
        return texts / seconds if unit.endswith("/s") else seconds / texts

    return ProtocolResult(
        name=name,
        unit=unit,
        texts=texts,
        rounds=len(rounds),
        a=value(median(a)),
        b=value(median(b)),
        ratio=median(ratios),
        ratio_low=min(ratios),
        ratio_high=max(ratios),
    )


def latency_result(name: str, texts: int, rounds: Sequence[Round]) -> ProtocolResult:
    """A result from the time of single calls; a round's ratio is that of its two medians."""
    ratios = [median(r.b) / median(r.a) for r in rounds]
    return ProtocolResult(
        name=name,
        unit="ms",
        texts=texts,
        rounds=len(rounds),
        a=_latency([seconds for r in rounds for seconds in r.a]),
        b=_latency([seconds for r in rounds for seconds in r.b]),
        ratio=median(ratios),
        ratio_low=min(ratios),
        ratio_high=max(ratios),
    )


def _latency(seconds: Sequence[float]) -> Latency:
    return Latency(p50=percentile(seconds, 50) * 1e3, p95=percentile(seconds, 95) * 1e3)
