"""MPNet (Song et al. 2020, arXiv:2004.09297): all-mpnet-base-v2, multi-qa-mpnet, paraphrase-mpnet and others.

BERT with RoBERTa's positions, no token types, and a bias on the attention scores that depends on
the distance between two tokens, in the logarithmic buckets of T5 (Raffel et al. 2019, arXiv:1910.10683).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from stonnx.checkpoint.limits import MPNET_PADDING_ID
from stonnx.graph.architectures.post_norm import LayerNames, PostNorm, Sizes, norm_of, norm_shapes, positive
from stonnx.graph.blocks import EmbeddingBlock, GraphInputs
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.dialects import Dialect
from stonnx.graph.parameters import Parameters

__all__ = ["MPNet"]

_NAMES = LayerNames(
    query="attention.attn.q",
    key="attention.attn.k",
    value="attention.attn.v",
    projection="attention.attn.o",
    attention_norm="attention.LayerNorm",
)
_WORD, _POSITION = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"
_RELATIVE = "encoder.relative_attention_bias.weight"
_MAX_DISTANCE = 128
_BUCKETS = 32  # transformers' encoder uses 32 whatever relative_attention_num_buckets says


@dataclass(frozen=True, kw_only=True)
class MPNet:
    """An MPNet encoder, as its ``config.json`` describes it."""

    sizes: Sizes
    bucket_rows: int

    prefixes: ClassVar[tuple[str, ...]] = ("", "mpnet.", "0.auto_model.", "auto_model.", "model.")
    token_types: ClassVar[bool] = False

    @property
    def width(self) -> int:
        """Length of a token vector."""
        return self.sizes.width

    @property
    def vocabulary(self) -> int:
        """Rows of the table of words."""
        return self.sizes.vocab

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Self:
        """Check ``config.json`` and take what the graph needs.

        Raises:
            CheckpointError: A value is missing or senseless.
            UnsupportedModelError: An option that is not authored.
        """
        rows = positive(config, "relative_attention_num_buckets", _BUCKETS)
        return cls(sizes=Sizes.read(config, vocab_default=30527), bucket_rows=rows)

    def expected_tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor that the encoder needs, by name."""
        return {
            _WORD: (self.sizes.vocab, self.width),
            _POSITION: (self.sizes.positions, self.width),
            _RELATIVE: (self.bucket_rows, self.sizes.heads),
            **norm_shapes("embeddings.LayerNorm", self.width),
            **PostNorm(sizes=self.sizes, names=_NAMES).expected_tensors(),
        }

    def author(self, g: GraphBuilder, p: Parameters, dialect: Dialect, inputs: GraphInputs) -> str:
        """Write the encoder.

        Returns:
            The last hidden state, float32, shape (rows, tokens, width).
        """
        norm = norm_of("embeddings.LayerNorm", self.sizes.eps)
        block = EmbeddingBlock(word=_WORD, position=_POSITION, token_type=None, norm=norm, padding_id=MPNET_PADDING_ID)
        x = dialect.embed(g, p, inputs, block)
        bias = self._distance_bias(g, p, inputs)
        return PostNorm(sizes=self.sizes, names=_NAMES).author(g, p, dialect, inputs, x, bias=bias)

    def _distance_bias(self, g: GraphBuilder, p: Parameters, inputs: GraphInputs) -> str:
        """The bias of every pair of tokens, float32, shape (1, heads, tokens, tokens)."""
        reach = self.sizes.positions - 1

        def by_distance() -> NDArray[np.float32]:
            buckets = relative_buckets(np.arange(-reach, reach + 1))
            return np.ascontiguousarray(p.get(_RELATIVE)[buckets].T[np.newaxis])  # (1, heads, distances)

        table = g.weight(f"{_RELATIVE}[distance]", by_distance)
        length = g.op("Squeeze", [g.op("Shape", [inputs.input_ids], attributes={"start": 1, "end": 2}), g.ints(0)])
        zero, one = (g.constant(f"int/{value}", np.array(value, dtype=np.int64)) for value in (0, 1))
        positions = g.op("Range", [zero, length, one])
        key, query = g.op("Unsqueeze", [positions, g.ints(0)]), g.op("Unsqueeze", [positions, g.ints(1)])
        index = g.op("Add", [g.op("Sub", [key, query]), g.ints(reach)])  # (tokens, tokens), 0 is -reach
        return g.op("Gather", [table, index], attributes={"axis": 2})


def relative_buckets(distances: NDArray[np.int64]) -> NDArray[np.int64]:
    """T5's bucket of each distance (key position minus query position): exact when near, logarithmic when far.

    Half of the buckets are for keys behind the query. Computed in float32 as transformers does, because
    the edges of the far buckets depend on the rounding.

    Args:
        distances: int64, any shape.

    Returns:
        0 to 31, the same shape.
    """
    half = _BUCKETS // 2
    exact = half // 2
    n = np.abs(distances)
    scale = np.float32(math.log(_MAX_DISTANCE / exact))
    logs = np.log(np.maximum(n, 1).astype(np.float32) / np.float32(exact)) / scale * np.float32(half - exact)
    far = np.minimum(exact + logs.astype(np.int64), half - 1)
    return np.where(distances > 0, half, 0) + np.where(n < exact, n, far)
