"""``run_bench``: an artifact beside the original model, or beside its own portable graph."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import Artifact
from stonnx.artifact.machine import describe_machine, installed_versions
from stonnx.artifact.thread_limit import check_threads
from stonnx.bench.choose import checked_texts, text_language
from stonnx.bench.protocols import OnProgress, protocols, run_protocol
from stonnx.bench.report import BenchReport
from stonnx.bench.sides import Pair, open_pair
from stonnx.bench.texts import bench_texts
from stonnx.bench.timing import spread
from stonnx.errors import UsageError

__all__ = ["BenchOptions", "run_bench"]

_LOG = logging.getLogger(__name__)
_COMPARED_TEXTS = 16


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """How long, and what.

    Attributes:
        seconds: Time for all protocols together, loading aside. A target: every protocol has a
            least number of rounds and texts that it does not go below.
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
    texts: Sequence[str] | None = None,
    threads: int | None = None,
    options: BenchOptions = _DEFAULTS,
    on_progress: OnProgress | None = None,
) -> BenchReport:
    """Measure an artifact beside another side, both by turns, with the same threads and texts.

    Args:
        artifact: The artifact, or its folder.
        against: The original model (folder or hub id), run by sentence-transformers on torch in float32;
            None for the artifact's own portable graph.
        texts: Texts of the realistic and latency protocols, repeated ones once; None for those that stonnx
            ships, in the language of the model's vocabulary.
        threads: Threads of either side; None for what ``stonnx tune`` chose, or all cores that this process may use.
        options: How long, and what.
        on_progress: Called with the protocol's name, the texts done (both sides together) and the texts in all.

    Returns:
        The results of the protocols ``classic``, ``realistic`` and ``latency``.

    Raises:
        UsageError: ``texts``, ``threads`` or ``options`` make no sense, or there is no such variant.
        ArtifactError: The artifact is missing or broken.
        MissingExtraError: ``against`` is given, and torch or sentence-transformers is not installed.
        RunError: An engine failed.
    """
    if not options.seconds > 0:
        raise UsageError(f"seconds is {options.seconds}; expected more than 0.")
    given = None if texts is None else checked_texts(texts)

    from stonnx.runtime import usable_cores

    cores = usable_cores()
    if threads is not None:
        check_threads(threads, cores=cores)
    opened = artifact if isinstance(artifact, Artifact) else Artifact.open(artifact)
    chosen = bench_texts(text_language(opened)) if given is None else given
    with open_pair(opened, variant=options.variant, against=against, threads=threads) as pair:
        cosine_min = lowest_cosine(pair, spread(chosen, _COMPARED_TEXTS))
        results = tuple(
            run_protocol(
                protocol,
                pair,
                budget_s=protocol.share * options.seconds,
                clock=perf_counter,
                on_progress=on_progress,
            )
            for protocol in protocols(chosen, quick=options.quick)
        )
    machine = describe_machine(cores)
    machine.pop("versions")
    return BenchReport(
        machine=machine,
        versions=installed_versions() | pair.b.versions,
        threads=pair.threads,
        streams=pair.streams,
        artifact=opened.path,
        variant=pair.variant,
        against=None if against is None else str(against),
        sides=(pair.a.name, pair.b.name),
        cosine_min=cosine_min,
        protocols=results,
    )


def lowest_cosine(pair: Pair, texts: Sequence[str]) -> float:
    """The lowest cosine between the two sides' vectors of a text; logs a warning where they differ visibly.

    Raises:
        UsageError: The two sides' vectors differ in length: they are not the same model.
    """
    a, b = (_unit_rows(side.encode(texts)) for side in (pair.a, pair.b))
    if a.shape != b.shape:
        raise UsageError(
            f"{pair.a.name} gives {a.shape[1]} components, {pair.b.name} {b.shape[1]}: they are not the same model.",
            hint="Name the model that the artifact was converted from.",
        )
    lowest = float((a * b).sum(axis=1).min())
    if lowest < 0.99:
        _LOG.warning("The two sides differ: lowest cosine %.4f. Is it the model of the artifact?", lowest)
    return lowest


def _unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    norms: NDArray[np.float64] = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.maximum(norms, 1e-12)
