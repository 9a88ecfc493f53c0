"""The parts of a transformer encoder, described: what they are made of, before a dialect writes them.

Names are those of the tensors in the checkpoint, in the architecture's own spelling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "ACTIVATION_LOWER_BOUNDS",
    "FULL_ATTENTION",
    "Activation",
    "AttentionBlock",
    "AttentionPattern",
    "EmbeddingBlock",
    "FeedForwardBlock",
    "GraphInputs",
    "Layer",
    "Linear",
    "Norm",
    "Projection",
    "Rotary",
]

Activation = Literal["gelu", "gelu_tanh", "relu", "silu"]
ACTIVATION_LOWER_BOUNDS: dict[Activation, float] = {
    "gelu": -0.1701,
    "gelu_tanh": -0.1701,
    "relu": 0.0,
    "silu": -0.2785,
}
"""No result of the activation is below: the minima are -0.16997 (exact GELU), -0.17004 (tanh form, which may
stand in for the exact one), 0 and -0.27846."""


@dataclass(frozen=True)
class Linear:
    """``y = x Wᵀ + b`` with ``W`` of shape (out, in), as torch stores it; ``bias`` None for none."""

    weight: str
    bias: str | None


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Linear maps of one input: the matrix products of a part of a layer.

    Attributes:
        site: Where in the network it is; no other projection has the name, also where layers share their weights.
        linears: The maps; a quantised dialect quantises their common input once.
        source: What the input is: the result of a norm or of a linear map, both of which are the residual too; an
            attention's context; or activated.
        lower_bound: No component of the input is below; None where nothing is known.
    """

    site: str
    linears: tuple[Linear, ...]
    source: Literal["norm", "linear", "attention", "activation"]
    lower_bound: float | None = None

    @property
    def begins_block(self) -> bool:
        """Whether the input is what the residual goes around with."""
        return self.source in ("norm", "linear")


@dataclass(frozen=True, kw_only=True)
class Norm:
    """Normalisation over the last axis.

    Attributes:
        weight: The factors.
        bias: What is added; None for none.
        eps: Added to the variance, or to the mean square.
        kind: ``layer`` subtracts the mean (Ba et al. 2016, arXiv:1607.06450); ``rms`` divides by the root of the
            mean square alone (Zhang & Sennrich 2019, arXiv:1910.07467).
    """

    weight: str
    bias: str | None
    eps: float
    kind: Literal["layer", "rms"] = "layer"


@dataclass(frozen=True, kw_only=True)
class Rotary:
    """Positions as rotations of queries and keys (Su et al. 2021, arXiv:2104.09864).

    Component ``i`` of a head is rotated together with component ``i + len(frequencies)``; what lies after the two
    halves stays as it is.

    Attributes:
        frequencies: Radians per position, one for each pair of components.
        scale: Factor of sine and cosine; 1 but where long contexts are scaled (Peng et al. 2023, arXiv:2309.00071).
    """

    frequencies: tuple[float, ...]
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class AttentionPattern:
    """Which tokens a token attends to, itself included.

    Causal attention has ``after=0``; a causal window of ``w`` tokens has ``before=w - 1`` besides.

    Attributes:
        before: As many tokens before it; None for all.
        after: As many tokens after it; None for all.
    """

    before: int | None = None
    after: int | None = None


FULL_ATTENTION = AttentionPattern()
"""Every token attends to every token."""


@dataclass(frozen=True, kw_only=True)
class AttentionBlock:
    """Multi-head self-attention (Vaswani et al. 2017, arXiv:1706.03762) with its output map.

    Attributes:
        maps: Maps of the queries, the keys and the values, in this order.
        output: The map of the context.
        heads: Number of query heads.
        key_value_heads: Number of key heads and of value heads, a divisor of ``heads``: each serves
            ``heads / key_value_heads`` neighbouring query heads (Ainslie et al. 2023, arXiv:2305.13245).
        head_size: Width of a head.
        scale: Factor of the scores; None for ``1 / sqrt(head_size)``.
        pattern: Which tokens a token attends to.
        bias: A tensor of the graph that is added to the scaled scores, float32, shape
            (1, heads, tokens, tokens); None for none.
        rotary: Rotation of queries and keys by position; None for none.
        query_norm: Normalises each head's query before the rotation; None for none.
        key_norm: The same for the keys.
    """

    maps: Projection
    output: Projection
    heads: int
    key_value_heads: int
    head_size: int
    scale: float | None = None
    pattern: AttentionPattern = FULL_ATTENTION
    bias: str | None = None
    rotary: Rotary | None = None
    query_norm: Norm | None = None
    key_norm: Norm | None = None


@dataclass(frozen=True, kw_only=True)
class FeedForwardBlock:
    """``output(activation(x W1ᵀ + b1))``, or with a gate ``output(activation(x W1ᵀ + b1) * (x W2ᵀ + b2))``.

    The gated form is that of Shazeer 2020 (arXiv:2002.05202).

    Attributes:
        maps: The map that is activated and, where the block is gated, the one it is multiplied with.
        output: The map back to the width of the layer.
        activation: What is applied to the first map.
    """

    maps: Projection
    output: Projection
    activation: Activation


@dataclass(frozen=True, kw_only=True)
class Layer:
    """An attention block and a feed-forward block, each with a residual around it and a norm.

    Attributes:
        attention: The first block.
        feed_forward: The second block.
        attention_norm: The norm of the first block; None for none.
        feed_forward_norm: The norm of the second block; None for none.
        placement: ``post``: a norm takes the sum of a block and its residual; ``pre``: a norm takes a block's input,
            and the residual goes around both (Xiong et al. 2020, arXiv:2002.04745).
    """

    attention: AttentionBlock
    feed_forward: FeedForwardBlock
    attention_norm: Norm | None
    feed_forward_norm: Norm | None
    placement: Literal["post", "pre"] = "post"


@dataclass(frozen=True, kw_only=True)
class EmbeddingBlock:
    """Word, absolute position and token type tables, added and normalised.

    Attributes:
        word: Table of the words.
        position: Table of the positions; None where tokens get their positions elsewhere, or none.
        token_type: Table of the token types; None where the family has none.
        norm: Norm of the sum; None for none.
        padding_id: Where positions count real tokens only (RoBERTa's rule): the id that does not count. A token's
            position is then ``padding_id`` plus its rank, and padding has the position ``padding_id``.
            None where positions are 0, 1, 2…
        projection: Map of the norm's result to the width of the layers; None where the tables have that width.
    """

    word: str
    position: str | None
    token_type: str | None
    norm: Norm | None
    padding_id: int | None = None
    projection: Linear | None = None


@dataclass(frozen=True, kw_only=True)
class GraphInputs:
    """Names of the graph's inputs; None for one that the graph does not take.

    All are int64: ``input_ids``, ``attention_mask`` and ``token_type_ids`` have shape
    (rows, tokens), ``prompt_lengths`` has shape (prompts,):
    one for each row, or one for all. Without ``token_type_ids`` all types are 0.
    """

    input_ids: str
    attention_mask: str | None
    token_type_ids: str | None
    prompt_lengths: str | None
