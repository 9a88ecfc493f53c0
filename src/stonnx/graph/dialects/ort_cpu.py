"""ONNX Runtime on CPU: its fused operators, no mask.

Why these operators (docs/decisions/0002-optimised-graph.md, timed by benchmarks/graph_choices.py):

* MultiHeadAttention without a mask takes ONNX Runtime's flash attention. Only the queries need their bias there
  (see ``stonnx.graph.folding``).
* Two additions and a LayerNormalization: since version 1.31 SkipLayerNormalization takes five times as long.
* The token type of a single text is 0, so that row is added to the position table ahead of time. Pairs take their
  types as an input.
"""

from __future__ import annotations

from stonnx.artifact.manifest import Layout
from stonnx.graph.blocks import (
    FULL_ATTENTION,
    Activation,
    AttentionBlock,
    EmbeddingBlock,
    FeedForwardBlock,
    GraphInputs,
    Norm,
    Projection,
    Rotary,
)
from stonnx.graph.builder import CONTRIB, GraphBuilder
from stonnx.graph.dialects.base import CannotWriteError
from stonnx.graph.folding import NOTHING_FOLDED, AttentionFolds, Bias, Folded, fold_attention, own_biases
from stonnx.graph.parameters import Parameters
from stonnx.graph.parts import (
    activate,
    add_bias,
    linear,
    multiply,
    normalize,
    ranked_positions,
    rotate,
    rotation,
    vector,
)

__all__ = ["OrtCpu"]


class OrtCpu:
    """The dialect of ``onnx/model_optimized.onnx``; one instance writes one graph."""

    name = "ort_cpu"
    layout: Layout = "equal_lengths"

    def __init__(self) -> None:
        self._rotations: dict[Rotary, tuple[str, str]] = {}  # what all layers share, written once per graph

    def declare_inputs(self, g: GraphBuilder, *, token_types: bool, pairs: bool, prompt_lengths: bool) -> GraphInputs:
        """``input_ids``, and for pairs ``token_type_ids``: rows of one batch have equal lengths and need no mask."""
        shape = ("rows", "tokens")
        return GraphInputs(
            input_ids=g.input("input_ids", shape),
            attention_mask=None,
            token_type_ids=g.input("token_type_ids", shape) if token_types and pairs else None,
            prompt_lengths=g.input("prompt_lengths", ("prompts",), default=(0,)) if prompt_lengths else None,
        )

    def embed(self, g: GraphBuilder, p: Parameters, inputs: GraphInputs, block: EmbeddingBlock) -> str:
        """Word table plus one table for position and token type 0; a table of its own where types are an input."""
        x = g.op("Gather", [vector(g, p, block.word), inputs.input_ids])
        if block.token_type is not None and inputs.token_type_ids is not None:
            x = g.op("Add", [x, g.op("Gather", [vector(g, p, block.token_type), inputs.token_type_ids])])
        offsets = _offsets(g, p, inputs, block)
        if offsets is not None:
            x = g.op("Add", [x, offsets])
        if block.norm is not None:
            x = self.normalize(g, p, x, block.norm)
        return x if block.projection is None else linear(g, p, x, block.projection)

    def attend(self, g: GraphBuilder, p: Parameters, x: str, inputs: GraphInputs, block: AttentionBlock) -> str:
        """Three products, one fused attention, and the output map.

        Raises:
            CannotWriteError: Heads share keys and values, or not every token attends to every token.
        """
        self._check(block)
        folds = self._fold(block)
        query, key, value = self.project(g, p, x, block.maps, folds.maps)
        query = self._turned(g, p, query, inputs, block, block.query_norm)
        key = self._turned(g, p, key, inputs, block, block.key_norm)
        more = [] if block.bias is None else ["", "", block.bias]  # no biases, no mask, attention_bias
        scale = {} if block.scale is None else {"scale": block.scale}
        context = g.op(
            "MultiHeadAttention",
            [query, key, value, *more],
            domain=CONTRIB,
            attributes={"num_heads": block.heads, **scale},
        )
        (y,) = self.project(g, p, context, block.output, folds.output)
        return y

    def feed_forward(self, g: GraphBuilder, p: Parameters, x: str, block: FeedForwardBlock) -> str:
        """One product, or with a gate two, the activation with its bias, and the product back."""
        first, *gated = block.maps.linears
        products = self.project(g, p, x, block.maps)
        y = self.activate(g, p, products[0], first.bias, block.activation)
        for product, factor in zip(products[1:], gated, strict=True):
            y = g.op("Mul", [y, add_bias(g, p, product, factor.bias)])
        (y,) = self.project(g, p, y, block.output, own_biases(block.output.linears))
        return y

    def normalize(self, g: GraphBuilder, p: Parameters, x: str, norm: Norm) -> str:
        """LayerNormalization, or the root of the mean square written out."""
        return normalize(g, p, x, norm)

    def add_norm(self, g: GraphBuilder, p: Parameters, x: str, residual: str, norm: Norm) -> str:
        """An addition, and the norm."""
        return self.normalize(g, p, g.op("Add", [x, residual]), norm)

    def project(
        self, g: GraphBuilder, p: Parameters, x: str, block: Projection, folded: Folded = NOTHING_FOLDED
    ) -> tuple[str, ...]:
        """One MatMul per map, and an addition for each bias that is folded in."""
        products = multiply(g, p, x, block.linears)
        return tuple(self._plus(g, p, product, folded.bias(number)) for number, product in enumerate(products))

    def activate(self, g: GraphBuilder, p: Parameters, x: str, bias: str | None, activation: Activation) -> str:
        """BiasGelu (exact) or FastGelu (tanh) of ``x + bias``; where there is no bias or no GELU, written out."""
        if activation in ("gelu", "gelu_tanh") and bias is not None:
            operator = "BiasGelu" if activation == "gelu" else "FastGelu"
            return g.op(operator, [x, vector(g, p, bias)], domain=CONTRIB)
        return activate(g, add_bias(g, p, x, bias), activation)

    def _check(self, block: AttentionBlock) -> None:
        if block.key_value_heads != block.heads:
            raise CannotWriteError(self.name, "key and value heads that several query heads share")
        if block.pattern != FULL_ATTENTION:
            raise CannotWriteError(self.name, "attention that does not reach all tokens (causal, or a window)")

    def _fold(self, block: AttentionBlock) -> AttentionFolds:
        return fold_attention(block, {})

    def _turned(
        self, g: GraphBuilder, p: Parameters, x: str, inputs: GraphInputs, block: AttentionBlock, norm: Norm | None
    ) -> str:
        """Queries or keys, (rows, tokens, width), normalised by head and rotated where the block says so."""
        if norm is None and block.rotary is None:
            return x
        x = g.op("Reshape", [x, g.ints(0, 0, block.heads, block.head_size)])
        if norm is not None:
            x = self.normalize(g, p, x, norm)
        if block.rotary is not None:
            x = rotate(g, x, self._rotation(g, inputs, block.rotary), block.rotary, block.head_size)
        return g.op("Reshape", [x, g.ints(0, 0, block.heads * block.head_size)])

    def _rotation(self, g: GraphBuilder, inputs: GraphInputs, rotary: Rotary) -> tuple[str, str]:
        """Cosine and sine, (tokens, 1, pairs): here the heads are the axis after the tokens."""
        if rotary not in self._rotations:
            cosine, sine = (g.op("Unsqueeze", [y, g.ints(1)]) for y in rotation(g, inputs.input_ids, rotary))
            self._rotations[rotary] = cosine, sine
        return self._rotations[rotary]

    def _plus(self, g: GraphBuilder, p: Parameters, x: str, bias: Bias | None) -> str:
        return x if bias is None else g.op("Add", [x, bias_tensor(g, p, bias)])


def bias_tensor(g: GraphBuilder, p: Parameters, bias: Bias) -> str:
    """A bias, with what is folded into it, float32, shape (out,)."""
    return g.weight(bias.name, lambda: bias.load(p))


def _offsets(g: GraphBuilder, p: Parameters, inputs: GraphInputs, block: EmbeddingBlock) -> str | None:
    """What is added to the words: positions, with token type 0 where types are no input; None for nothing."""
    folded_type = block.token_type if inputs.token_type_ids is None else None
    if block.position is None:
        return None if folded_type is None else g.weight(f"{folded_type}[0]", lambda: p.get(folded_type)[0])
    position = block.position
    if block.padding_id is not None:
        ranks = ranked_positions(g, inputs.input_ids, block.padding_id)
        return g.op("Gather", [_table(g, p, position, folded_type), ranks])  # (rows, tokens, width)
    length = g.op("Shape", [inputs.input_ids], attributes={"start": 1, "end": 2})
    positions = g.op("Slice", [_table(g, p, position, folded_type), g.ints(0), length, g.ints(0)])
    return g.op("Unsqueeze", [positions, g.ints(0)])  # (1, tokens, width)


def _table(g: GraphBuilder, p: Parameters, position: str, token_type: str | None) -> str:
    """The positions, each with token type 0 added where one is named, shape (positions, width)."""
    if token_type is None:
        return vector(g, p, position)
    return g.weight(f"{position}+token_type_0", lambda: p.get(position) + p.get(token_type)[0])
