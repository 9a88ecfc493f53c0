"""The model, and what it takes to author its graphs and to try them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stonnx.graph import Blueprint, WeightFile
from stonnx.graph.modules import OpenWeights

__all__ = ["Workspace"]


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The model, and where its graphs are written and tried.

    Attributes:
        blueprint: The model.
        folder: Folder of the graphs; the graphs of sections, and the weights of trials, come and go there.
        weights: The weight file of the float32 graphs, in ``folder``.
        float_graph: The float32 graph without a mask, in ``folder``: what fidelity is measured against.
        open_weights: Opens the weights of a head module's sub-folder.
    """

    blueprint: Blueprint
    folder: Path
    weights: WeightFile
    float_graph: Path
    open_weights: OpenWeights
