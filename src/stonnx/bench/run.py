"""``run_bench``: how fast an artifact is beside the original model, or beside its own portable graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from stonnx._timing import Item, spread
from stonnx.artifact import Artifact
from stonnx.artifact.thread_limit import check_threads
from stonnx.bench.agreement import largest_score_diff, lowest_cosine
from stonnx.bench.material import checked_items, chosen_items, chosen_protocols
from stonnx.bench.protocols import OnProgress, run_protocol
from stonnx.bench.report import BenchReport
from stonnx.bench.sides import open_sides
from stonnx.errors import UsageError
from stonnx.machine import describe_machine, installed_versions

__all__ = ["BenchOptions", "run_bench"]

_COMPARED_TEXTS = 16


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """How long, and what.

    Attributes:
        seconds: Time for all protocols together, without loading. It is a target: every protocol has a least number
            of rounds and texts.
        quick: The ``classic`` protocol may encode fewer than 1,000 copies to stay within ``seconds``;
            the report says how many.
        variant: Variant of side a.
    """

    seconds: float = 60.0
    quick: bool = False
    variant: str = "auto"


_DEFAULTS = BenchOptions()


def run_bench(
    artifact: Artifact | str | Path,
    *,
    against: str | Path | None = None,
    texts: Sequence[Item] | None = None,
    threads: int | None = None,
    options: BenchOptions = _DEFAULTS,
    on_progress: OnProgress | None = None,
) -> BenchReport:
    """Measure an artifact and another side by turns, with the same threads and texts.

    Args:
        artifact: The artifact, or its folder.
        against: The original model (folder or hub id), run by sentence-transformers on torch in float32;
            None for the artifact's own portable graph.
        texts: Texts of the realistic and latency protocols, or of a reranker pairs (query, document), repeated ones
            once; None for those that stonnx ships, in the language of the model's vocabulary.
        threads: Threads of either side; None for what ``stonnx tune`` chose, or all cores that this process may use.
        options: How long, and what.
        on_progress: Called with the protocol's name, the texts done (both sides together) and the texts in all.

    Returns:
        The results of the protocols ``classic``, ``realistic`` and ``latency``; of a reranker the last two.

    Raises:
        UsageError: ``texts``, ``threads`` or ``options`` make no sense, or there is no such variant.
        ArtifactError: The artifact is missing or broken.
        MissingExtraError: ``against`` is given, and torch or sentence-transformers is not installed.
        RunError: An engine failed.
    """
    if not options.seconds > 0:
        raise UsageError(f"seconds is {options.seconds}; expected more than 0.")
    given = None if texts is None else checked_items(texts)

    from stonnx.runtime import usable_cores

    cores = usable_cores()
    if threads is not None:
        check_threads(threads, cores=cores)
    opened = artifact if isinstance(artifact, Artifact) else Artifact.open(artifact)
    chosen = chosen_items(opened, given)
    scoring = opened.manifest.scoring  # of a reranker alone
    with open_sides(opened, variant=options.variant, against=against, threads=threads) as sides:
        some = spread(chosen, _COMPARED_TEXTS)
        score_diff = None if scoring is None else largest_score_diff(sides, some, activation=scoring.activation)
        cosine_min = lowest_cosine(sides, some) if scoring is None else None
        results = tuple(
            run_protocol(
                protocol,
                sides,
                budget_s=protocol.share * options.seconds,
                clock=perf_counter,
                on_progress=on_progress,
            )
            for protocol in chosen_protocols(opened, chosen, quick=options.quick)
        )
    machine = describe_machine(cores)
    machine.pop("versions")
    return BenchReport(
        machine=machine,
        versions=installed_versions() | sides.b.versions,
        threads=sides.threads,
        streams=sides.streams,
        artifact=opened.path,
        variant=sides.variant,
        against=None if against is None else str(against),
        sides=(sides.a.name, sides.b.name),
        cosine_min=cosine_min,
        protocols=results,
        score_diff=score_diff,
        position_cut=sides.b.position_cut,
    )
