"""Opens what graphs are authored from, and says where."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from stonnx.checkpoint import SourceFolder, Weights
from stonnx.compile.catalogue import FLOAT_WEIGHTS, REFERENCE
from stonnx.graph import Blueprint, WeightFile
from stonnx.graph.parameters import TensorSource
from stonnx.quantize import Workspace

__all__ = ["open_workspace"]


def open_workspace(
    blueprint: Blueprint, folder: SourceFolder, place: Path, weights: TensorSource, stack: ExitStack
) -> Workspace:
    """What the graphs of a model are authored from, and where their float32 weights go.

    Args:
        blueprint: The model.
        folder: Where it was read.
        place: The folder that becomes the artifact, or stands in for it; ``onnx`` in it is made.
        weights: The transformer's weights, open.
        stack: Closes what is opened.
    """
    opened = {blueprint.spec.transformer_path: weights}

    def open_weights(path: str) -> TensorSource:
        if path not in opened:
            opened[path] = stack.enter_context(Weights.open(folder, path))
        return opened[path]

    (place / FLOAT_WEIGHTS).parent.mkdir()
    return Workspace(
        blueprint=blueprint,
        folder=(place / FLOAT_WEIGHTS).parent,
        weights=stack.enter_context(WeightFile(place / FLOAT_WEIGHTS)),
        float_graph=place / REFERENCE.file,
        open_weights=open_weights,
    )
