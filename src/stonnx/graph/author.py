"""One model, one dialect, one graph."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from stonnx.artifact.manifest import Layout
from stonnx.checkpoint import ModelSpec, SourceFolder
from stonnx.errors import CheckpointError
from stonnx.graph.architectures import Architecture, read_architecture
from stonnx.graph.blocks import GraphInputs
from stonnx.graph.builder import CONTRIB, GraphBuilder, TensorFile
from stonnx.graph.dialects import Dialect
from stonnx.graph.limits import check_padding, row_limit
from stonnx.graph.modules import Chain, Classifier, Draft, OpenWeights, read_chain
from stonnx.graph.parameters import Parameters, TensorSource, match_tensors

__all__ = ["AuthoredGraph", "Blueprint", "author_graph", "declare_inputs", "make_blueprint"]


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """A model that is ready to be authored: checked, and nothing written yet.

    Attributes:
        family: The architecture, ``bert``.
        encoder: The encoder that config.json describes.
        parameters: The encoder's tensors.
        chain: The modules after the encoder.
        spec: The model.
        max_tokens: Longest token row, special tokens included.
        unused: Tensors of the transformer's weights that the model does not use, sorted.
        notes: What the user should know, one sentence each.
    """

    family: str
    encoder: Architecture
    parameters: Parameters
    chain: Chain
    spec: ModelSpec
    max_tokens: int
    unused: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def dimension(self) -> int:
        """Width of the main result: of the embedding, or the number of labels."""
        return self.chain.outputs[0].dimension

    @property
    def takes_pairs(self) -> bool:
        """Whether a row is two texts."""
        return self.spec.kind == "reranker"

    @property
    def takes_token_types(self) -> bool:
        """Whether the model hears of token types; without a word of the tokenizer's, those of a pair are all 0."""
        return self.encoder.token_types and (self.spec.token_types or not self.takes_pairs)


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


def make_blueprint(folder: SourceFolder, spec: ModelSpec, weights: TensorSource) -> Blueprint:
    """Check that a model can be authored.

    Args:
        folder: The model.
        spec: The same, read.
        weights: The tensors of its transformer.

    Raises:
        CheckpointError: config.json, modules, tokenizer and weights do not fit together.
        UnsupportedModelError: The architecture, an option or a module is not authored.
    """
    family, encoder = read_architecture(spec.config)
    chain = read_chain(folder, spec, family=family, width=encoder.width)
    parameters = match_tensors(weights, encoder.expected_tensors(), prefixes=encoder.prefixes)
    _check_ids(spec, encoder.vocabulary)
    check_padding(spec, encoder.padding_id)
    limit, asked = row_limit(spec, encoder.max_tokens), spec.max_seq_length
    cut = f"max_seq_length is {asked}, but the model has {limit} positions: texts are cut there."
    return Blueprint(
        family=family,
        encoder=encoder,
        parameters=parameters,
        chain=chain,
        spec=spec,
        max_tokens=limit,
        unused=_unused(parameters, chain, weights),
        notes=(*chain.notes, *((cut,) if asked is not None and asked > limit else ())),
    )


def _unused(parameters: Parameters, chain: Chain, weights: TensorSource) -> tuple[str, ...]:
    """Tensors of the transformer's weights that neither the encoder nor a classifier uses."""
    classifiers = (module.tensors() for module in chain.modules if isinstance(module, Classifier))
    used = {name for expected in classifiers for name in match_tensors(weights, expected, prefixes=("",)).names}
    return tuple(name for name in parameters.unused if name not in used)


def _check_ids(spec: ModelSpec, rows: int) -> None:
    """Every id that the tokenizer can give has a row in the table of words."""
    for name, largest in (("has ids up to", spec.largest_id), ("pads with the id", spec.pad_id)):
        if largest >= rows:
            raise CheckpointError(
                f"The tokenizer {name} {largest}, but the model has {rows} word embeddings (ids 0 to {rows - 1}).",
                hint="Check that the tokenizer and the weights belong to the same model.",
            )


def declare_inputs(g: GraphBuilder, blueprint: Blueprint, dialect: Dialect) -> GraphInputs:
    """Declare what the graphs of a model take.

    Args:
        g: The graph.
        blueprint: The model.
        dialect: How the graph is written.
    """
    return dialect.declare_inputs(
        g,
        token_types=blueprint.takes_token_types,
        pairs=blueprint.takes_pairs,
        prompt_lengths=blueprint.chain.excludes_prompt,
    )


def author_graph(
    blueprint: Blueprint, dialect: Dialect, weights: TensorFile, open_weights: OpenWeights
) -> AuthoredGraph:
    """Write a model in a dialect.

    The outputs are those of the chain, (rows, width), after ``last_hidden_state``, (rows, tokens, width), in graphs
    of embeddings that take a mask; all are float32.

    Args:
        blueprint: From ``make_blueprint``.
        dialect: A fresh instance; it writes one graph.
        weights: Where large weights go.
        open_weights: Opens the weights of a head module's sub-folder.

    Raises:
        CheckpointError: Weights of a head module are missing or have another shape.
        UnsupportedModelError: An activation is not authored.
    """
    chain, encoder = blueprint.chain, blueprint.encoder
    g = GraphBuilder(f"{blueprint.family}-{dialect.name}", weights)
    inputs = declare_inputs(g, blueprint, dialect)
    hidden = encoder.author(g, blueprint.parameters, dialect, inputs)
    features = chain.author(Draft(g, inputs, open_weights), hidden)
    if dialect.layout == "padded" and not blueprint.takes_pairs:
        g.output(hidden, "last_hidden_state", ("rows", "tokens", encoder.width))
    for output in reversed(chain.outputs):  # `logits` before `scores`: tools take the first
        g.output(features[output.name], output.name, ("rows", output.dimension))
    names = (inputs.input_ids, inputs.attention_mask, inputs.token_type_ids, inputs.prompt_lengths)
    return AuthoredGraph(
        model=g.model(),
        inputs=tuple(name for name in names if name is not None),
        layout=dialect.layout,
        operators=g.operators(),
        fused=g.operators(domain=CONTRIB),
    )
