"""The quantised models that a set of candidates allows: tried, measured, and chosen from."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from stonnx.artifact import Fidelity
from stonnx.artifact.fidelity_class import classify
from stonnx.graph import WeightFile, author_graph
from stonnx.graph.dialects import OrtCpuInt8
from stonnx.graph.quantized import QuantizedProjections
from stonnx.quantize.projections import Candidate
from stonnx.quantize.selection import (
    Drift,
    QuantizedClass,
    Selection,
    Step,
    closer_steps,
    float_steps,
    select_steps,
)
from stonnx.quantize.sessions import embed_rows
from stonnx.quantize.workbench import Workbench
from stonnx.runtime.tokenize import TokenRows
from stonnx.verify.metrics import compare, cosines, neighbour_overlap, unit_rows

__all__ = ["HeldOut", "OnStep", "Quantized", "Trials", "open_trials"]

# Drift is measured on the texts that suffer the most from int8 everywhere, and on every so manieth of the others.
_WORST = 4
_EVERY = 8
_NEIGHBOURS = range(5, 16)
_NAME = "trial"

OnStep = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """A quantised model.

    Attributes:
        projections: What is int8; the rest stays in float32.
        selection: The steps taken from the cheapest model to this one, and the fidelity that was measured with
            it, on texts that calibration never saw.
    """

    projections: QuantizedProjections
    selection: Selection


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Texts to choose by, which calibration does not see.

    Attributes:
        rows: Token rows.
        vectors: What the float32 graph says of them, float32, shape (rows, dimension).
        natural: How many of them, from the first, decide on means; the odd ones behind count for the lowest cosine.
    """

    rows: TokenRows
    vectors: NDArray[np.float32]
    natural: int


class Trials:
    """The models that can be made of one set of candidates, measured on demand: see ``open_trials``."""

    def __init__(
        self,
        bench: Workbench,
        candidates: Sequence[Candidate],
        held_out: HeldOut,
        *,
        path: Path,
        weights: WeightFile,
        on_step: OnStep,
    ) -> None:
        self._bench = bench
        self._candidates = {candidate.site: candidate for candidate in candidates}
        self._held_out = held_out
        self._path = path
        self._weights = weights
        self._on_step = on_step
        self._embedded: dict[tuple[Step, ...], NDArray[np.float32]] = {}
        self._drift: Drift | None = None

    def select(self, wanted: Sequence[QuantizedClass]) -> Quantized:
        """The cheapest model of the first class that can be reached."""
        found = (self._reach(name) for name in wanted)
        selection = next((selection for selection in found if selection is not None), None)
        if selection is None:
            fidelity = self._fidelity(())
            selection = Selection(steps=(), fidelity=fidelity, reached=classify(fidelity))
        return Quantized(projections=_projections(self._candidates, selection.steps), selection=selection)

    def _reach(self, wanted: QuantizedClass) -> Selection | None:
        candidates = tuple(self._candidates.values())
        stages = (
            lambda: closer_steps(candidates),
            lambda: float_steps(candidates, self._find_drift(), wanted=wanted),
        )
        return select_steps(stages, self._fidelity, wanted=wanted)

    def _fidelity(self, taken: tuple[Step, ...]) -> Fidelity:
        """Like ``compare``, with less chance in it.

        Odd texts lie close together, where a trifle changes the order: they only tell how low a cosine may be. And
        the overlap of neighbours is that of ten, averaged over a few more and a few less.
        """
        vectors = self._vectors(taken)
        natural = slice(self._held_out.natural)
        found, wanted = vectors[natural], self._held_out.vectors[natural]
        left, right = unit_rows(found), unit_rows(wanted)
        return replace(
            compare(found, wanted).fidelity,
            texts=len(vectors),
            cosine_min=float(cosines(vectors, self._held_out.vectors).min()),
            top10_overlap=statistics.fmean(neighbour_overlap(left, right, k) for k in _NEIGHBOURS),
        )

    def _vectors(self, taken: tuple[Step, ...]) -> NDArray[np.float32]:
        """What the model with these steps taken says of the held-out texts, float32, shape (rows, dimension)."""
        if taken not in self._embedded:
            self._embedded[taken] = self._embed(_projections(self._candidates, taken), self._held_out.rows)
        return self._embedded[taken]

    def _find_drift(self) -> Drift:
        """What each projection alone does to the texts that suffer the most, and to some of the others."""
        if self._drift is None:
            self._on_step("measuring the drift of each projection")
            held_out = self._held_out
            closest = self._vectors(closer_steps(tuple(self._candidates.values())))
            order = np.argsort(-_losses(closest, held_out.vectors), kind="stable")
            some = np.concatenate([order[:_WORST], order[_WORST::_EVERY]])
            rows, vectors = held_out.rows.take(some), held_out.vectors[some]
            self._drift = {
                site: _losses(self._embed({site: candidate.closer}, rows), vectors)
                for site, candidate in self._candidates.items()
            }
        return self._drift

    def _embed(self, projections: QuantizedProjections, rows: TokenRows) -> NDArray[np.float32]:
        """The vectors of a model in which ``projections`` are int8, float32, shape (rows, dimension)."""
        bench = self._bench
        dialect = OrtCpuInt8(projections)
        graph = author_graph(bench.blueprint, dialect, self._weights, bench.open_weights)
        self._weights.flush()
        onnx.save(graph.model, self._path)
        return embed_rows(self._path, rows, dimension=self._held_out.vectors.shape[1])


@contextmanager
def open_trials(
    bench: Workbench,
    candidates: Sequence[Candidate],
    held_out: HeldOut,
    *,
    on_step: OnStep,
) -> Iterator[Trials]:
    """Trials whose models share one file of weights, which goes when they are over.

    Args:
        bench: The model.
        candidates: Its projections.
        held_out: The texts to choose by.
        on_step: Called with a short sentence before what takes long.
    """
    path, data = (bench.folder / f"{_NAME}.{ending}" for ending in ("onnx", "onnx_data"))
    try:
        with WeightFile(data) as weights:
            yield Trials(bench, candidates, held_out, path=path, weights=weights, on_step=on_step)
    finally:
        path.unlink(missing_ok=True)
        data.unlink(missing_ok=True)


def _losses(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 - cosine, row by row, float32, shape (rows,)."""
    return (1 - cosines(found, wanted)).astype(np.float32)


def _projections(by_site: Mapping[str, Candidate], taken: Sequence[Step]) -> QuantizedProjections:
    """What is int8 with these steps taken, and how."""
    found = {site: candidate.projection for site, candidate in by_site.items()}
    for step in taken:
        if step.kind == "closer":
            found[step.site] = by_site[step.site].closer
        else:
            found.pop(step.site)
    return found
