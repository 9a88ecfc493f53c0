"""The quantised models that a set of candidates allows: tried, measured, and chosen from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stonnx._steps import UNTOLD, Telling
from stonnx.artifact.fidelity_class import AnyFidelity, allowed_losses, classify
from stonnx.graph import WeightFile
from stonnx.graph.quantized import QuantizedProjections
from stonnx.quantize.drift import measure_drift
from stonnx.quantize.layered import LayeredModel
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
from stonnx.quantize.sessions import Batch, Hidden, Runner, make_batches
from stonnx.quantize.workspace import Workspace
from stonnx.quantize.yardsticks import Yardstick
from stonnx.runtime.token_rows import TokenRows

__all__ = ["HeldOut", "Quantized", "Trials", "open_trials"]

# Drift is measured on the few rows that suffer the most from int8 everywhere, and on one in sixteen of the others.
_WORST = 4
_EVERY = 16
_DATA = "trial.onnx_data"


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
    """The models that can be made of one set of candidates, measured on demand: see ``open_trials``.

    Args:
        model: Runs the model layer by layer.
        layers: The candidates of each layer, in graph order.
        held_out: What to choose by.
        tell: Hears of what takes long, and how far it is.
    """

    def __init__(
        self, model: LayeredModel, layers: Sequence[Sequence[Candidate]], held_out: HeldOut, *, tell: Telling
    ) -> None:
        self._model = model
        self._layers = layers
        self._candidates = {candidate.site: candidate for layer in layers for candidate in layer}
        self._held_out = held_out
        self._batches = make_batches(held_out.rows)
        self._embedded: Hidden | None = None
        self._tell = tell
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
            self._results[taken] = self._run(_projections(self._candidates, taken))
        return self._results[taken]

    def _find_drift(self) -> Drift:
        """What each projection alone does to the rows that suffer the most, and to some of the others."""
        if self._drift is None:
            self._tell.step("measuring the drift of each projection")
            held_out = self._held_out
            losses = held_out.yardstick.losses
            closest = self._result(closer_rungs(tuple(self._candidates.values())))
            order = np.argsort(-losses(closest, held_out.wanted), kind="stable")
            some = np.concatenate([order[:_WORST], order[_WORST::_EVERY]])
            batches = make_batches(held_out.rows.take(some))
            self._drift = measure_drift(
                self._model,
                batches,
                [{candidate.site: candidate.closer for candidate in layer} for layer in self._layers],
                lambda *found: losses(*(self._end(batches, hidden) for hidden in found)),
                self._tell.part,
            )
            self._tell.step("choosing what stays in float32")
        return self._drift

    def _run(self, projections: QuantizedProjections) -> NDArray[np.float32]:
        """The results of a model in which ``projections`` are int8, float32, shape (rows, width)."""
        if self._embedded is None:
            self._embedded = self._model.embed(self._batches)
        hidden = self._embedded
        for number in range(self._model.layer_count):
            hidden = self._model.layer(number, self._batches, hidden, projections)
        return self._end(self._batches, hidden)

    def _end(self, batches: Sequence[Batch], hidden: Hidden) -> NDArray[np.float32]:
        """What the head makes of what the last layer gives, float32, shape (rows, width)."""
        held_out = self._held_out
        return self._model.head(batches, hidden, output=held_out.yardstick.output, width=held_out.wanted.shape[1])


@contextmanager
def open_trials(
    workspace: Workspace,
    layers: Sequence[Sequence[Candidate]],
    held_out: HeldOut,
    runner: Runner,
    *,
    tell: Telling = UNTOLD,
) -> Iterator[Trials]:
    """Trials whose models share one file of weights, which goes when they are over.

    Args:
        workspace: The model.
        layers: Its projections, layer by layer.
        held_out: What to choose by.
        runner: Runs the layers.
        tell: Hears of what takes long, and how far it is.
    """
    data = workspace.folder / _DATA
    try:
        with WeightFile(data) as weights:
            yield Trials(LayeredModel(workspace, runner, weights), layers, held_out, tell=tell)
    finally:
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
