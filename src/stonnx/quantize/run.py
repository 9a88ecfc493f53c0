"""``quantize``: a model's projections as int8, calibrated, balanced, rounded and chosen by drift."""

from __future__ import annotations

from collections.abc import Sequence

from stonnx._steps import UNTOLD, Telling
from stonnx.quantize.calibration import observe
from stonnx.quantize.material import Material
from stonnx.quantize.projections import quantize_projections
from stonnx.quantize.selection import QuantizedClass
from stonnx.quantize.sessions import output_rows
from stonnx.quantize.trials import HeldOut, Quantized, open_trials
from stonnx.quantize.workspace import Workspace

__all__ = ["quantize"]


def quantize(
    workspace: Workspace,
    material: Material,
    *,
    targets: Sequence[Sequence[QuantizedClass]],
    tell: Telling = UNTOLD,
) -> tuple[Quantized, ...]:
    """Quantise a model to int8.

    Args:
        workspace: The model.
        material: What it is calibrated on, and what it is judged by.
        targets: For each model to make, fidelity classes in the order of preference: the first one that can be
            reached decides.
        tell: Hears of each step, and how far it is.

    Returns:
        One model per target, as cheap as its class allows. Where no class can be reached, the cheapest there is;
        its ``selection.reached`` may be None.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        RunError: ONNX Runtime failed.
    """
    tell.step("watching the inputs of every layer on the calibration texts")
    observation = observe(
        workspace.blueprint,
        material.calibration,
        folder=workspace.folder,
        weights=workspace.weights,
        open_weights=workspace.open_weights,
    )
    tell.step("rounding the weights")
    candidates = tuple(quantize_projections(observation, workspace.blueprint.parameters))
    width = workspace.blueprint.dimension
    wanted = output_rows(workspace.float_graph, material.held_out, output=material.yardstick.output, width=width)
    held_out = HeldOut(rows=material.held_out, wanted=wanted, yardstick=material.yardstick)
    found = []
    with open_trials(workspace, candidates, held_out, on_step=tell.step) as trials:
        for classes in targets:
            tell.step(f"choosing what the class {' or '.join(classes)} needs")
            found.append(trials.select(classes))
    return tuple(found)
