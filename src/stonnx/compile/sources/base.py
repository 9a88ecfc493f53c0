"""What a graph source is, and what graphs of our own have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import onnx

from stonnx._steps import Telling
from stonnx.artifact import Graph, Variant
from stonnx.artifact.manifest import FidelityClass
from stonnx.compile.catalogue import Row
from stonnx.graph import WeightFile, author_graph
from stonnx.graph.quantized import QuantizedProjections
from stonnx.quantize import Workspace

__all__ = ["GraphSource", "Written", "as_variant", "write_graph"]


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a source wrote.

    Attributes:
        variants: Ways to run the graphs; all their files are there.
        notes: What was decided or left out, one sentence each.
    """

    variants: tuple[Variant, ...]
    notes: tuple[str, ...] = ()


class GraphSource(Protocol):
    """Writes graphs."""

    def write(self, staging: Path, *, tell: Telling) -> Written:
        """Write the graphs of some variants.

        Args:
            staging: The folder that becomes the artifact; tokenizer and configuration are there.
            tell: Hears of what takes long, and how far it is.

        Raises:
            StonnxError: The graphs cannot be written.
        """
        ...


def write_graph(
    row: Row, projections: QuantizedProjections, workspace: Workspace, staging: Path, weights: WeightFile
) -> Graph:
    """Author and save the graph of a row.

    Args:
        row: The variant.
        projections: What is int8, and how; none for a graph in float.
        workspace: The model.
        staging: The folder that becomes the artifact.
        weights: Where large weights go.

    Raises:
        CannotWriteError: The row's dialect has no way to write a part of the model.
    """
    graph = author_graph(workspace.blueprint, row.dialect(projections), weights, workspace.open_weights)
    onnx.save(graph.model, staging / row.file)
    return Graph(
        tower="", file=row.file, origin="authored", inputs=graph.inputs, layout=graph.layout, fused=dict(graph.fused)
    )


def as_variant(row: Row, graph: Graph, data: str, *, fidelity_class: FidelityClass) -> Variant:
    """A row whose graph is there.

    Args:
        row: The variant.
        graph: Its graph.
        data: The file of its weights.
        fidelity_class: What it must keep.
    """
    return Variant(
        name=row.name,
        engine=row.engine,
        device=row.device,
        precision=row.precision,
        graphs=(graph,),
        files=(graph.file, data),
        instruction_sets=row.instruction_sets,
        options=dict(row.options),
        fidelity_class=fidelity_class,
    )
