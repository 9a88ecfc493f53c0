"""A model as graphs that run one after the other: the embeddings, the layers one by one, and the head.

What a run of the whole graph costs, a run of one section costs in part: whoever wants to know what one layer does runs
that layer. Sections hand hidden states on as float32, shape (rows, tokens, width)::

    author_embeddings(blueprint, OrtCpu(), weights)              # input_ids, ... -> next_hidden_state
    author_layers_section(blueprint, OrtCpu(), weights, range(1))  # hidden_state -> next_hidden_state
    author_head(blueprint, OrtCpu(), weights, open_weights)      # hidden_state -> the outputs of the chain

Each takes the token inputs of the whole graph besides, used or not. Their weights are those of the whole graph.
"""

from __future__ import annotations

import onnx

from stonnx.graph.author import Blueprint, declare_inputs
from stonnx.graph.blocks import GraphInputs
from stonnx.graph.builder import GraphBuilder, TensorFile
from stonnx.graph.dialects import Dialect
from stonnx.graph.modules import Draft, OpenWeights

__all__ = ["HIDDEN_STATE", "NEXT_HIDDEN_STATE", "author_embeddings", "author_head", "author_layers_section"]

HIDDEN_STATE = "hidden_state"
"""The input of layers and of the head, float32, shape (rows, tokens, width)."""
NEXT_HIDDEN_STATE = "next_hidden_state"
"""The output of the embeddings and of layers: the next section's input."""


def author_embeddings(blueprint: Blueprint, dialect: Dialect, weights: TensorFile) -> onnx.ModelProto:
    """Write what comes before the layers.

    Args:
        blueprint: The model.
        dialect: A fresh instance; it writes one graph.
        weights: Where large weights go.

    Raises:
        CannotWriteError: The dialect has no form for a part of it.
    """
    g, inputs = _begin(blueprint, dialect, weights)
    return _hand_on(g, blueprint, blueprint.encoder.embed(g, blueprint.parameters, dialect, inputs))


def author_layers_section(
    blueprint: Blueprint, dialect: Dialect, weights: TensorFile, layers: range
) -> onnx.ModelProto:
    """Write some of the layers.

    Args:
        blueprint: The model.
        dialect: A fresh instance; it writes one graph.
        weights: Where large weights go.
        layers: Which ones, ``range(start, stop)``.

    Raises:
        CannotWriteError: The dialect has no form for a part of a layer.
    """
    g, inputs = _begin(blueprint, dialect, weights)
    x = _take_over(g, blueprint)
    return _hand_on(g, blueprint, blueprint.encoder.author_layers(g, blueprint.parameters, dialect, inputs, x, layers))


def author_head(
    blueprint: Blueprint, dialect: Dialect, weights: TensorFile, open_weights: OpenWeights
) -> onnx.ModelProto:
    """Write what comes after the layers; the outputs are those of the chain, float32, shape (rows, width).

    Args:
        blueprint: The model.
        dialect: A fresh instance; it writes one graph.
        weights: Where large weights go.
        open_weights: Opens the weights of a head module's sub-folder.

    Raises:
        CheckpointError: Weights of a head module are missing or have another shape.
        UnsupportedModelError: An activation is not authored.
    """
    g, inputs = _begin(blueprint, dialect, weights)
    features = blueprint.chain.author(Draft(g, inputs, open_weights), _take_over(g, blueprint))
    for output in blueprint.chain.outputs:
        g.output(features[output.name], output.name, ("rows", output.dimension))
    return g.model()


def _begin(blueprint: Blueprint, dialect: Dialect, weights: TensorFile) -> tuple[GraphBuilder, GraphInputs]:
    g = GraphBuilder(f"{blueprint.family}-{dialect.name}-section", weights)
    return g, declare_inputs(g, blueprint, dialect)


def _take_over(g: GraphBuilder, blueprint: Blueprint) -> str:
    return g.input(HIDDEN_STATE, ("rows", "tokens", blueprint.encoder.width), element="float32")


def _hand_on(g: GraphBuilder, blueprint: Blueprint, hidden: str) -> onnx.ModelProto:
    g.output(hidden, NEXT_HIDDEN_STATE, ("rows", "tokens", blueprint.encoder.width))
    return g.model()
