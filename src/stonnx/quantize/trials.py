"""The quantised models that a set of candidates allows: tried, measured, and chosen from."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import numpy as np
import onnx
from numpy.typing import NDArray

from stonnx.artifact import Fidelity
from stonnx.artifact.fidelity_class import classify
from stonnx.graph import WeightFile, author_graph
from stonnx.graph.dialects import OrtCpuInt8
from stonnx.graph.quantized import QuantizedProjections
from stonnx.quantize.bench import Bench
from stonnx.quantize.projections import Candidate
from stonnx.quantize.selection import (
    Drift,
    QuantizedClass,
    Selection,
    Step,
    float_steps,
    select_steps,
    token_steps,
)
from stonnx.quantize.sessions import embed_rows
from stonnx.runtime.tokenize import TokenRows
from stonnx.verify.metrics import compare, cosines, neighbour_overlap, unit_rows

__all__ = ["OnStep", "Quantized", "Trials"]

# Drift is measured on the texts that suffer the most from int8 everywhere, and on every so manieth of the others.
_WORST = 4
_EVERY = 8
_NEIGHBOURS = range(5, 16)

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


class Trials:
    """The models that can be made of one set of candidates, measured on demand; their weights share one file.

    Args:
        bench: The model.
        candidates: Its projections.
        rows: The held-out texts.
        vectors: What the float32 graph says of them, float32, shape (rows, dimension).
        natural: How many of the texts decide on means.
        name: Of the files in ``bench.folder``, without their endings.
        on_step: Called with a short sentence before what takes long.
    """

    def __init__(
        self,
        bench: Bench,
        candidates: Sequence[Candidate],
        rows: TokenRows,
        vectors: NDArray[np.float32],
        *,
        natural: int,
        name: str,
        on_step: OnStep,
    ) -> None:
        self._bench = bench
        self._candidates = {candidate.site: candidate for candidate in candidates}
        self._rows = rows
        self._vectors = vectors
        self._natural = natural
        self._on_step = on_step
        self._measured: dict[tuple[Step, ...], Fidelity] = {}
        self._drift: Drift | None = None
        self._path = bench.folder / f"{name}.onnx"
        self._data = bench.folder / f"{name}.onnx_data"

    def __enter__(self) -> Self:
        """Open the file."""
        self._weights = WeightFile(self._data)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Remove what was tried."""
        self._weights.__exit__(kind, exc, tb)
        self._path.unlink(missing_ok=True)
        self._data.unlink()

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
            lambda: token_steps(candidates),
            lambda: float_steps(candidates, self._find_drift(), wanted=wanted),
        )
        return select_steps(stages, self._fidelity, wanted=wanted)

    def _fidelity(self, taken: tuple[Step, ...]) -> Fidelity:
        if taken not in self._measured:
            vectors = self._embed(_projections(self._candidates, taken), self._rows)
            self._measured[taken] = self._compare(vectors)
        return self._measured[taken]

    def _compare(self, vectors: NDArray[np.float32]) -> Fidelity:
        """Like ``compare``, with less chance in it.

        Odd texts lie close together, where a trifle changes the order: they only tell how low a cosine may be. And
        the overlap of neighbours is that of ten, averaged over a few more and a few less.
        """
        found, wanted = vectors[: self._natural], self._vectors[: self._natural]
        left, right = unit_rows(found), unit_rows(wanted)
        return replace(
            compare(found, wanted).fidelity,
            texts=len(vectors),
            cosine_min=float(cosines(vectors, self._vectors).min()),
            top10_overlap=statistics.fmean(neighbour_overlap(left, right, k) for k in _NEIGHBOURS),
        )

    def _find_drift(self) -> Drift:
        """What each projection alone does to the texts that suffer the most, and to some of the others."""
        if self._drift is None:
            self._on_step("measuring the drift of each projection")
            closer = {site: candidate.closer for site, candidate in self._candidates.items()}
            losses = _losses(self._embed(closer, self._rows), self._vectors)
            order = np.argsort(-losses, kind="stable")
            some = np.concatenate([order[:_WORST], order[_WORST::_EVERY]])
            rows, vectors = self._rows.take(some), self._vectors[some]
            self._drift = {
                site: _losses(self._embed({site: projection}, rows), vectors) for site, projection in closer.items()
            }
        return self._drift

    def _embed(self, projections: QuantizedProjections, rows: TokenRows) -> NDArray[np.float32]:
        """The vectors of a model in which ``projections`` are int8, float32, shape (rows, dimension)."""
        bench = self._bench
        dialect = OrtCpuInt8(projections, unsigned_weights=True)
        graph = author_graph(bench.blueprint, dialect, self._weights, bench.open_weights)
        self._weights.flush()
        onnx.save(graph.model, self._path)
        return embed_rows(self._path, rows, dimension=self._vectors.shape[1])


def _losses(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 - cosine, row by row, float32, shape (rows,)."""
    return (1 - cosines(found, wanted)).astype(np.float32)


def _projections(by_site: Mapping[str, Candidate], taken: Sequence[Step]) -> QuantizedProjections:
    """What is int8 with these steps taken, and how."""
    found = {site: candidate.projection for site, candidate in by_site.items()}
    for step in taken:
        if step.kind == "per token":
            found[step.site] = by_site[step.site].closer
        else:
            found.pop(step.site)
    return found
