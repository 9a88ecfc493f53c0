"""``quantize``: a model's projections as int8, calibrated, balanced, rounded and chosen by drift."""

from __future__ import annotations

from collections.abc import Sequence

from stonnx._steps import UNTOLD, Telling
from stonnx.quantize.calibration import observe
from stonnx.quantize.material import Material
from stonnx.quantize.projections import Candidate, quantize_layer
from stonnx.quantize.selection import QuantizedClass
from stonnx.quantize.sessions import Runner, output_rows
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
    blueprint = workspace.blueprint
    with Runner(workspace.folder) as runner:
        layers = _candidates(workspace, material, runner, tell)
        graph = runner.open_file(workspace.float_graph)
        output = material.yardstick.output
        wanted = output_rows(runner, graph, material.held_out, output=output, width=blueprint.dimension)
        held_out = HeldOut(rows=material.held_out, wanted=wanted, yardstick=material.yardstick)
        found = []
        with open_trials(workspace, layers, held_out, runner, tell=tell) as trials:
            for classes in targets:
                tell.step(f"choosing what the class {' or '.join(classes)} needs")
                found.append(trials.select(classes))
    return tuple(found)


def _candidates(
    workspace: Workspace, material: Material, runner: Runner, tell: Telling
) -> tuple[tuple[Candidate, ...], ...]:
    """The projections of each layer, quantised: the statistics of a layer go before those of the next one come."""
    tell.step("calibrating and rounding layer by layer")
    blueprint = workspace.blueprint
    total = blueprint.encoder.layer_count
    layers: dict[int, list[Candidate]] = {number: [] for number in range(total)}
    done = 0
    for observation in observe(workspace, material.calibration, runner):
        found = quantize_layer(observation.projections, observation.statistics, blueprint.parameters)
        by_site = {candidate.site: candidate for candidate in found}
        for number, sites in observation.layers.items():
            layers[number] = [by_site[site] for site in sites]
        done += len(observation.layers)
        del observation  # or its statistics would be there until those of the next layer are
        tell.part(done, total)
    return tuple(tuple(layers[number]) for number in range(total))
