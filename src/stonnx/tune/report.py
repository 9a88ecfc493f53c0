"""What a tuning found: a row per candidate, the frontier among them, and the pick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from stonnx.artifact import keeps
from stonnx.artifact.fidelity_class import CLASSES, AnyFidelity, closeness
from stonnx.artifact.manifest import FidelityClass, Kind
from stonnx.runtime.choice import Choice
from stonnx.runtime.streams import RunSettings
from stonnx.tune.options import Aim, TuneOptions, WantedClass
from stonnx.verify import SkippedVariant

__all__ = ["Row", "TuneReport", "frontier", "pick"]

_CLEARLY = 1.03  # a candidate must be this much faster than a more faithful or simpler one: less is noise


@dataclass(frozen=True, kw_only=True)
class Row:
    """One candidate: a variant with its settings.

    Attributes:
        variant: Its name.
        engine: The engine's name and version.
        settings: Threads, streams, batch budget.
        texts_per_second: On the given texts, all in one call; of a reranker, pairs.
        ratio: Times the speed of the base.
        latency_ms: One short text, or one query with twenty documents, the median.
        fidelity: As measured here.
        found: The closest class that it kept here; None for none.
        overlap_error: Standard error of the overlap of neighbours, or of rankings.
        class_is_sure: False where other texts might give another class.
        size_bytes: Files of the variant.
        load_s: Seconds to load it, files hashed, engine's library in memory already.
        memory_bytes: What loading it and running the probes added to the process; None where unknown.
    """

    variant: str
    engine: str
    settings: RunSettings
    texts_per_second: float
    ratio: float
    latency_ms: float
    fidelity: AnyFidelity
    found: FidelityClass | None
    size_bytes: int
    load_s: float
    memory_bytes: int | None
    overlap_error: float = 0.0
    class_is_sure: bool = True

    def speed(self, aim: Aim) -> float:
        """The figure that should be large: texts a second of many texts, or of texts one by one."""
        return self.texts_per_second if aim == "throughput" else 1e3 / self.latency_ms


@dataclass(frozen=True, kw_only=True)
class TuneReport:
    """A tuning.

    Attributes:
        artifact: The folder.
        rows: What was measured, in order; the first is the base, with default settings.
        picked: Index of the pick in ``rows``; None where no row keeps the wanted class.
        on_frontier: Indices of the rows that no other row beats (see ``frontier``).
        skipped: Variants that cannot run here, or failed.
        options: What was wanted.
        compared_with: Whose results the fidelity was measured against, as a phrase for people.
        texts: Texts of one measured pass, or pairs.
        seconds: What all of it took.
        least_seconds: About what the variants alone take here, with the fewest texts that tell anything.
        machine: As ``stonnx.machine.describe_machine``.
        kind: What the model makes.
    """

    artifact: Path
    rows: tuple[Row, ...]
    picked: int | None
    on_frontier: frozenset[int]
    skipped: tuple[SkippedVariant, ...]
    options: TuneOptions
    compared_with: str
    texts: int
    seconds: float
    least_seconds: float
    machine: dict[str, object]
    kind: Kind = "embedding"

    def choice(self) -> Choice | None:
        """The pick, to be written; None where there is none."""
        if self.picked is None:
            return None
        row = self.rows[self.picked]
        return Choice(
            variant=row.variant,
            threads=row.settings.threads,
            streams=None if row.settings.by_call else row.settings.streams,
            batch_tokens=row.settings.batch_tokens,
            fidelity=self.options.fidelity,
            aim=self.options.aim,
            texts_per_second=row.texts_per_second,
            latency_ms=row.latency_ms,
            tuned_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def to_json(self) -> dict[str, object]:
        """Plain JSON values; a row says whether it is on the frontier, keeps the wanted class, and was picked."""
        return {
            "artifact": str(self.artifact),
            "kind": self.kind,
            "options": asdict(self.options),
            "compared_with": self.compared_with,
            "texts": self.texts,
            "seconds": self.seconds,
            "least_seconds": self.least_seconds,
            "machine": self.machine,
            "rows": [
                {
                    **asdict(row),
                    "qualifies": keeps(row.found, self.options.fidelity),
                    "on_frontier": index in self.on_frontier,
                    "picked": index == self.picked,
                }
                for index, row in enumerate(self.rows)
            ],
            "skipped": [asdict(skipped) for skipped in self.skipped],
        }


def pick(rows: Sequence[Row], *, wanted: WantedClass, aim: Aim) -> int | None:
    """The index of the fastest row that keeps the wanted class; None where none does.

    A row must be clearly faster than one that is more faithful, or that comes earlier among variants and settings.
    Otherwise that one is picked, so that the same machine picks the same again.
    """
    names = list(dict.fromkeys(row.variant for row in rows))
    best: int | None = None
    in_order = sorted(range(len(rows)), key=lambda index: (_rank(rows[index]), names.index(rows[index].variant), index))
    for index in in_order:
        if not keeps(rows[index].found, wanted):
            continue
        if best is None or rows[index].speed(aim) > rows[best].speed(aim) * _CLEARLY:
            best = index
    return best


def frontier(rows: Sequence[Row], *, aim: Aim) -> frozenset[int]:
    """Indices of the rows that no other row beats: at least as fast and as faithful, and better in one of the two."""
    points = [(row.speed(aim), *_faithful(row)) for row in rows]
    return frozenset(
        index
        for index, mine in enumerate(points)
        if not any(other[0] >= mine[0] and other[1:] >= mine[1:] and other != mine for other in points)
    )


def _rank(row: Row) -> int:
    return len(CLASSES) if row.found is None else CLASSES.index(row.found)


def _faithful(row: Row) -> tuple[int, float]:
    """Larger is closer: the class, and the mean cosine to five digits (more are noise)."""
    return -_rank(row), round(closeness(row.fidelity), 5)
