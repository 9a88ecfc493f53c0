"""The quantised models that a set of candidates allows: tried, measured, and chosen from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from stonnx._steps import OnStep
from stonnx.artifact.fidelity_class import AnyFidelity, allowed_losses, classify
from stonnx.graph import WeightFile, author_graph
from stonnx.graph.dialects import OrtCpuInt8
from stonnx.graph.quantized import QuantizedProjections
from stonnx.quantize.projections import Candidate
from stonnx.quantize.selection import (
    Drift,
    QuantizedClass,
    Rung,
    Selection,
    closer_rungs,
    float_rungs,
    select_rungs,
)
from stonnx.quantize.sessions import output_rows
from stonnx.quantize.workspace import Workspace
from stonnx.quantize.yardsticks import Yardstick
from stonnx.runtime.token_rows import TokenRows

__all__ = ["HeldOut", "Quantized", "Trials", "open_trials"]

# Drift is measured on the few rows that suffer the most from int8 everywhere, and on one in eight of the others.
_WORST = 4
_EVERY = 8
_NAME = "trial"


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """A quantised model.

    Attributes:
        projections: What is int8; the rest stays in float32.
        selection: The rungs taken from the cheapest model to this one, and the fidelity that was measured with
            it, on rows that calibration never saw.
    """

    projections: QuantizedProjections
    selection: Selection


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What to choose by, which calibration does not see.

    Attributes:
        rows: Token rows.
        wanted: What the float32 graph gives for them, float32, shape (rows, width).
        yardstick: Holds the results of a quantised graph against these.
    """

    rows: TokenRows
    wanted: NDArray[np.float32]
    yardstick: Yardstick


class Trials:
    """The models that can be made of one set of candidates, measured on demand: see ``open_trials``."""

    def __init__(
        self,
        workspace: Workspace,
        candidates: Sequence[Candidate],
        held_out: HeldOut,
        *,
        path: Path,
        weights: WeightFile,
        on_step: OnStep,
    ) -> None:
        self._workspace = workspace
        self._candidates = {candidate.site: candidate for candidate in candidates}
        self._held_out = held_out
        self._path = path
        self._weights = weights
        self._on_step = on_step
        self._results: dict[tuple[Rung, ...], NDArray[np.float32]] = {}
        self._drift: Drift | None = None

    def select(self, wanted: Sequence[QuantizedClass]) -> Quantized:
        """The cheapest model of the first class that can be reached."""
        found = (self._reach(name) for name in wanted)
        selection = next((selection for selection in found if selection is not None), None)
        if selection is None:
            fidelity = self._fidelity(())
            selection = Selection(rungs=(), fidelity=fidelity, reached=classify(fidelity))
        return Quantized(projections=_projections(self._candidates, selection.rungs), selection=selection)

    def _reach(self, wanted: QuantizedClass) -> Selection | None:
        candidates = tuple(self._candidates.values())
        allowed = allowed_losses(self._held_out.yardstick.figures, wanted)
        stages = (
            lambda: closer_rungs(candidates),
            lambda: float_rungs(candidates, self._find_drift(), allowed=allowed),
        )
        return select_rungs(stages, self._fidelity, wanted=wanted)

    def _fidelity(self, taken: tuple[Rung, ...]) -> AnyFidelity:
        return self._held_out.yardstick.fidelity(self._result(taken), self._held_out.wanted)

    def _result(self, taken: tuple[Rung, ...]) -> NDArray[np.float32]:
        """What the model with these rungs taken gives for the held-out rows, float32, shape (rows, width)."""
        if taken not in self._results:
            self._results[taken] = self._run(_projections(self._candidates, taken), self._held_out.rows)
        return self._results[taken]

    def _find_drift(self) -> Drift:
        """What each projection alone does to the rows that suffer the most, and to some of the others."""
        if self._drift is None:
            self._on_step("measuring the drift of each projection")
            held_out = self._held_out
            losses = held_out.yardstick.losses
            closest = self._result(closer_rungs(tuple(self._candidates.values())))
            order = np.argsort(-losses(closest, held_out.wanted), kind="stable")
            some = np.concatenate([order[:_WORST], order[_WORST::_EVERY]])
            rows, wanted = held_out.rows.take(some), held_out.wanted[some]
            self._drift = {
                site: losses(self._run({site: candidate.closer}, rows), wanted)
                for site, candidate in self._candidates.items()
            }
        return self._drift

    def _run(self, projections: QuantizedProjections, rows: TokenRows) -> NDArray[np.float32]:
        """The results of a model in which ``projections`` are int8, float32, shape (rows, width)."""
        workspace = self._workspace
        dialect = OrtCpuInt8(projections)
        graph = author_graph(workspace.blueprint, dialect, self._weights, workspace.open_weights)
        self._weights.flush()
        onnx.save(graph.model, self._path)
        return output_rows(
            self._path, rows, output=self._held_out.yardstick.output, width=self._held_out.wanted.shape[1]
        )


@contextmanager
def open_trials(
    workspace: Workspace,
    candidates: Sequence[Candidate],
    held_out: HeldOut,
    *,
    on_step: OnStep,
) -> Iterator[Trials]:
    """Trials whose models share one file of weights, which goes when they are over.

    Args:
        workspace: The model.
        candidates: Its projections.
        held_out: What to choose by.
        on_step: Called with a short sentence before what takes long.
    """
    path, data = (workspace.folder / f"{_NAME}.{ending}" for ending in ("onnx", "onnx_data"))
    try:
        with WeightFile(data) as weights:
            yield Trials(workspace, candidates, held_out, path=path, weights=weights, on_step=on_step)
    finally:
        path.unlink(missing_ok=True)
        data.unlink(missing_ok=True)


def _projections(by_site: Mapping[str, Candidate], taken: Sequence[Rung]) -> QuantizedProjections:
    """What is int8 with these rungs taken, and how."""
    found = {site: candidate.projection for site, candidate in by_site.items()}
    for rung in taken:
        if rung.kind == "closer":
            found[rung.site] = by_site[rung.site].closer
        else:
            found.pop(rung.site)
    return found
