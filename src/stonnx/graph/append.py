"""Appends head modules to a graph that exists: one that was exported, or that a user gave.

The graph must compute token vectors; what comes after them is written as in a graph of our own::

    model = onnx.load("encoder.onnx", load_external_data=False)
    with WeightFile(folder / "head.onnx_data") as weights:
        whole = append_chain(model, chain, weights, open_weights)
"""

from __future__ import annotations

import onnx

from stonnx.errors import UnsupportedModelError
from stonnx.graph.blocks import GraphInputs
from stonnx.graph.builder import OPSET, GraphBuilder, WeightFile
from stonnx.graph.modules import Chain, Draft, OpenWeights

__all__ = ["LAST_HIDDEN_STATE", "append_chain"]

LAST_HIDDEN_STATE = "last_hidden_state"
"""Name of the token vectors among a graph's outputs, float32, shape (rows, tokens, width)."""

_PREFIX = "head/"  # before all names that are new, so that none of them is taken


def append_chain(
    model: onnx.ModelProto, chain: Chain, weights: WeightFile, open_weights: OpenWeights
) -> onnx.ModelProto:
    """A graph and the modules after it, as one graph.

    Args:
        model: The graph; it stays as it is. Its inputs are among ``input_ids``, ``attention_mask`` and
            ``token_type_ids``, int64, shape (rows, tokens), and one of its outputs is ``last_hidden_state``.
        chain: The modules.
        weights: Where their weights go: a file in the folder of the graph.
        open_weights: Opens the weights of a module's sub-folder.

    Returns:
        The graph with the outputs of the chain after its own.

    Raises:
        CheckpointError: Weights of a module are missing or have another shape.
        UnsupportedModelError: The graph has no token vectors or no ids, has such an output already, or is written in
            another version of ONNX's operators than the modules.
    """
    _check_graph(model, chain)
    present = {value.name for value in model.graph.input}
    g = GraphBuilder("head", weights)
    inputs = GraphInputs(
        input_ids="input_ids",
        attention_mask="attention_mask" if "attention_mask" in present else None,
        token_type_ids=None,  # no module reads them
        prompt_lengths=g.input("prompt_lengths", ("prompts",), default=(0,)) if chain.excludes_prompt else None,
    )
    features = chain.author(Draft(g, inputs, open_weights), LAST_HIDDEN_STATE)
    for output in reversed(chain.outputs):
        g.output(features[output.name], output.name, ("rows", output.dimension))
    return _joined(model, g.model())


def _check_graph(model: onnx.ModelProto, chain: Chain) -> None:
    versions = {entry.domain: entry.version for entry in model.opset_import}
    if versions.get("") != OPSET:
        raise UnsupportedModelError(
            f"The graph is written in version {versions.get('')} of ONNX's operators; modules are appended in version "
            f"{OPSET}.",
            hint=f"Export the model again for version {OPSET} of the operators (opset_version).",
        )
    inputs, outputs = ({value.name for value in values} for values in (model.graph.input, model.graph.output))
    if "input_ids" not in inputs or LAST_HIDDEN_STATE not in outputs:
        raise UnsupportedModelError(
            f"The graph takes {', '.join(sorted(inputs))} and gives {', '.join(sorted(outputs))}; expected input_ids "
            f"and {LAST_HIDDEN_STATE}.",
            hint="Export the encoder alone, with these names.",
        )
    taken = outputs & {output.name for output in chain.outputs}
    if taken:
        raise UnsupportedModelError(f"The graph has the output {', '.join(sorted(taken))} already.")


def _joined(body: onnx.ModelProto, head: onnx.ModelProto) -> onnx.ModelProto:
    """The nodes, weights, inputs and outputs of both; names of the head are new."""
    whole = onnx.ModelProto()
    whole.CopyFrom(body)
    tail = head.graph
    public = {value.name for value in (*tail.input, *tail.output)}
    made = {name for node in tail.node for name in node.output} | {tensor.name for tensor in tail.initializer}
    names = {name: f"{_PREFIX}{name}" for name in made - public}
    for node in tail.node:
        node.name = f"{_PREFIX}{node.name}"
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for tensor in tail.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    whole.graph.node.extend(tail.node)
    whole.graph.initializer.extend(tail.initializer)
    whole.graph.input.extend(tail.input)
    whole.graph.output.extend(tail.output)
    return whole
