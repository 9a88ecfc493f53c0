"""The model on the work bench: what quantising needs to author and try graphs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stonnx.graph import Blueprint, WeightFile
from stonnx.graph.heads import OpenWeights

__all__ = ["Workbench"]


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """The model on the work bench, and where its graphs are tried.

    Attributes:
        blueprint: The model.
        folder: Folder of the graphs; trial graphs come and go there.
        weights: The weight file of the float32 graphs, in ``folder``.
        float_graph: The float32 graph without a mask, in ``folder``: what drift is measured against.
        open_weights: Opens the weights of a head module's sub-folder.
    """

    blueprint: Blueprint
    folder: Path
    weights: WeightFile
    float_graph: Path
    open_weights: OpenWeights
