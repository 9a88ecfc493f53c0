"""One model, one dialect, one graph."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from stonnx.artifact.manifest import Layout
from stonnx.checkpoint.spec import ModelSpec, Pooling
from stonnx.errors import CheckpointError
from stonnx.graph.architectures import Architecture, read_architecture
from stonnx.graph.builder import CONTRIB, GraphBuilder, WeightFile
from stonnx.graph.dialects import Dialect
from stonnx.graph.heads import OpenWeights, author_head, head_width
from stonnx.graph.parameters import Parameters, TensorSource, match_tensors

__all__ = ["AuthoredGraph", "Blueprint", "author_graph", "draw"]


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """A model that is ready to be authored: checked, and nothing written yet.

    Attributes:
        family: The architecture, ``bert``.
        encoder: The encoder that config.json describes.
        parameters: The encoder's tensors.
        spec: The model.
        dimension: Length of the embedding.
    """

    family: str
    encoder: Architecture
    parameters: Parameters
    spec: ModelSpec
    dimension: int


@dataclass(frozen=True, kw_only=True)
class AuthoredGraph:
    """A finished graph.

    Attributes:
        model: The ONNX model; large weights are references to the weight file.
        inputs: Names of the inputs, in order.
        layout: How the rows of a batch must lie.
        operators: How many nodes there are of each operator.
        fused: Of these, ONNX Runtime's own operators, each standing for several standard ones.
    """

    model: onnx.ModelProto
    inputs: tuple[str, ...]
    layout: Layout
    operators: dict[str, int]
    fused: dict[str, int]


def draw(spec: ModelSpec, weights: TensorSource) -> Blueprint:
    """Check that a model can be authored.

    Raises:
        CheckpointError: config.json, modules, tokenizer and weights do not fit together.
        UnsupportedModelError: The architecture, an option or a module is not authored.
    """
    family, encoder = read_architecture(spec.config)
    dimension = head_width(encoder.width, spec.head)
    parameters = match_tensors(weights, encoder.expected_tensors(), prefixes=encoder.prefixes)
    _check_ids(spec, encoder.vocabulary)
    return Blueprint(family=family, encoder=encoder, parameters=parameters, spec=spec, dimension=dimension)


def _check_ids(spec: ModelSpec, rows: int) -> None:
    """Every id that the tokenizer can give has a row in the table of words."""
    for name, largest in (("has ids up to", spec.largest_id), ("pads with the id", spec.pad_id)):
        if largest >= rows:
            raise CheckpointError(
                f"The tokenizer {name} {largest}, but the model has {rows} word embeddings (ids 0 to {rows - 1}).",
                hint="Check that the tokenizer and the weights belong to the same model.",
            )


def author_graph(
    blueprint: Blueprint, dialect: Dialect, weights: WeightFile, open_weights: OpenWeights
) -> AuthoredGraph:
    """Write a model in a dialect.

    The outputs are ``last_hidden_state`` (rows, tokens, width), in graphs that take a mask, and
    ``sentence_embedding`` (rows, dimension), both float32.

    Args:
        blueprint: From ``draw``.
        dialect: A fresh instance; it writes one graph.
        weights: Where large weights go.
        open_weights: Opens the weights of a head module's sub-folder.

    Raises:
        CheckpointError: Weights of a head module are missing or have another shape.
        UnsupportedModelError: An activation is not authored.
    """
    spec, encoder = blueprint.spec, blueprint.encoder
    excludes_prompt = any(isinstance(module, Pooling) and not module.include_prompt for module in spec.head)
    g = GraphBuilder(f"{blueprint.family}-{dialect.name}", weights)
    inputs = dialect.declare_inputs(g, token_types=encoder.token_types, prompt_length=excludes_prompt)
    hidden = encoder.author(g, blueprint.parameters, dialect, inputs)
    embedding = author_head(g, hidden, inputs, spec.head, open_weights)
    if not dialect.equal_lengths:
        g.output(hidden, "last_hidden_state", ("rows", "tokens", encoder.width))
    g.output(embedding, "sentence_embedding", ("rows", blueprint.dimension))
    names = (inputs.input_ids, inputs.attention_mask, inputs.token_type_ids, inputs.prompt_length)
    return AuthoredGraph(
        model=g.model(),
        inputs=tuple(name for name in names if name is not None),
        layout="equal_lengths" if dialect.equal_lengths else "padded",
        operators=g.operators(),
        fused=g.operators(domain=CONTRIB),
    )
