"""The first line of defence against a hostile or damaged ONNX file.

An ONNX graph names the files that hold its weights. ONNX Runtime refuses names outside the model's
folder; here a name must also be listed among the variant's files, and the error says what is wrong. A graph
can also loop without end: here only the operators that stonnx authors may be used, and none of them can.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from stonnx._extras import UPGRADE
from stonnx.artifact.conditions import check_path
from stonnx.artifact.folder import Artifact
from stonnx.artifact.manifest import Graph, Output, Variant
from stonnx.artifact.onnx_facts import ExternalData, OnnxFacts, read_onnx_facts
from stonnx.artifact.operators import is_allowed
from stonnx.errors import ArtifactError

__all__ = ["check_graphs"]

_FLOAT32 = 1  # TensorProto.DataType.FLOAT
_NUMBER = re.compile(r"[0-9]{1,18}")


def check_graphs(artifact: Artifact, variant: Variant) -> None:
    """Check the graphs of a variant before any engine loads one.

    Each file is whole; every weight outside it lies in a file of the variant; it uses operators that stonnx
    authors; it takes the inputs and gives the outputs that the manifest speaks of. Quick: the weights are not read.

    Raises:
        ArtifactError: One of these does not hold.
    """
    listed = frozenset(variant.files)
    sizes = {entry.path: entry.size_bytes for entry in artifact.manifest.files if entry.path in listed}
    for graph in variant.graphs:
        path = artifact.file(graph.file)
        facts = read_onnx_facts(path)
        for data in sorted(facts.external, key=lambda data: data.location):
            _check_external(artifact.path / graph.file, graph, data, sizes, variant)
        _check_operators(facts, str(path))
        _check_inputs(variant.name, graph, facts, str(path))
        for output in artifact.manifest.outputs:
            _check_output(output, facts, str(path))


def _check_external(path: Path, graph: Graph, data: ExternalData, sizes: Mapping[str, int], variant: Variant) -> None:
    check_path(data.location, f"{path}: external data")
    relative = (PurePosixPath(graph.file).parent / data.location).as_posix()
    if relative not in sizes:
        raise ArtifactError(
            f"{path}: external data: {relative!r} is not among the files of variant {variant.name!r} "
            f"({', '.join(variant.files)})."
        )
    if _NUMBER.fullmatch(data.offset) is None or _NUMBER.fullmatch(data.length) is None:
        raise ArtifactError(f"{path}: external data: {data.offset[:40]!r}, {data.length[:40]!r} are no byte range.")
    last = int(data.offset) + int(data.length)
    if last > sizes[relative]:
        raise ArtifactError(f"{path}: external data: byte {last} of {relative} is needed, it has {sizes[relative]}.")


def _check_operators(facts: OnnxFacts, graph: str) -> None:
    if facts.programs:
        raise ArtifactError(f"{graph}: the graph holds {', '.join(sorted(facts.programs))}; stonnx authors none.")
    foreign = sorted(operator for operator in facts.operators if not is_allowed(*operator))
    if foreign:
        names = ", ".join(f"{domain}.{name}" if domain else name for domain, name in foreign[:5])
        more = f" and {len(foreign) - 5} more" if len(foreign) > 5 else ""
        raise ArtifactError(
            f"{graph}: the graph uses operators that stonnx does not author: {names}{more}.",
            hint=f"If a newer stonnx wrote this artifact: {UPGRADE}",
        )


def _check_inputs(variant: str, graph: Graph, facts: OnnxFacts, path: str) -> None:
    """The manifest feeds what the graph takes; an input with a default may be left out."""
    unknown = [name for name in graph.inputs if name not in facts.inputs]
    unfed = sorted(facts.inputs - facts.initializers - set(graph.inputs))
    if unknown or unfed:
        raise ArtifactError(
            f"{path}: the graph takes {', '.join(sorted(facts.inputs)) or 'no inputs'}, "
            f"but variant {variant!r} feeds {', '.join(graph.inputs)}."
        )


def _check_output(output: Output, facts: OnnxFacts, path: str) -> None:
    found = facts.outputs.get(output.name)
    if found is None:
        raise ArtifactError(f"{path}: the graph has no output {output.name}.")
    if found.element_type not in (0, _FLOAT32):
        raise ArtifactError(f"{path}: {output.name} is not float32 (ONNX type {found.element_type}).")
    if found.last_dimension not in (None, output.dimension):
        raise ArtifactError(
            f"{path}: {output.name} has {found.last_dimension} components, "
            f"but the dimension in the manifest is {output.dimension}."
        )
