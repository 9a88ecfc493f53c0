"""MPNet (Song et al. 2020, arXiv:2004.09297): all-mpnet-base-v2, multi-qa-mpnet, paraphrase-mpnet and others.

BERT with RoBERTa's positions, no token types, and a bias on the attention scores that depends on
the distance between two tokens, in the logarithmic buckets of T5 (Raffel et al. 2019, arXiv:1910.10683).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stonnx.errors import CheckpointError
from stonnx.graph.architectures.config import ConfigKeys, Sizes, positive
from stonnx.graph.architectures.encoder import PostNormEncoder, usual_prefixes
from stonnx.graph.architectures.post_norm import LayerNames, PostNorm
from stonnx.graph.architectures.tables import Tables
from stonnx.graph.blocks import GraphInputs
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.parameters import Parameters
from stonnx.graph.parts import pair_distances

__all__ = ["read_mpnet", "relative_buckets", "rows_of_distances"]

_KEYS = ConfigKeys(vocab_default=30527)
_NAMES = LayerNames(
    query="attention.attn.q",
    key="attention.attn.k",
    value="attention.attn.v",
    projection="attention.attn.o",
    attention_norm="attention.LayerNorm",
)
_PADDING_ID = 1  # fixed in transformers' MPNetEmbeddings, whatever config.json says
_RELATIVE = "encoder.relative_attention_bias.weight"
_MAX_DISTANCE = 128
_BUCKETS = 32  # transformers' encoder uses 32 whatever relative_attention_num_buckets says


def read_mpnet(config: Mapping[str, Any]) -> PostNormEncoder:
    """Check ``config.json`` and take what the graph needs.

    Raises:
        CheckpointError: A value is missing or senseless.
        UnsupportedModelError: An option that is not authored.
    """
    rows = positive(config, "relative_attention_num_buckets", _BUCKETS)
    if rows < _BUCKETS:
        raise CheckpointError(
            f"config.json: relative_attention_num_buckets is {rows}, but distances fall into {_BUCKETS} buckets."
        )
    sizes = Sizes.read(config, _KEYS)
    tables = Tables(
        sizes=sizes,
        token_types=0,
        width=sizes.width,
        padding_id=_PADDING_ID,
    )
    return PostNormEncoder(
        prefixes=usual_prefixes("mpnet"),
        tables=tables,
        layers=PostNorm(sizes=sizes, names=_NAMES),
        score_bias=DistanceBias(rows=rows, heads=sizes.heads, positions=sizes.positions),
    )


@dataclass(frozen=True, kw_only=True)
class DistanceBias:
    """A bias for each bucket of distances between two tokens, one for each head.

    Attributes:
        rows: Rows of the table: buckets.
        heads: Number of heads.
        positions: Rows of the position table, more than any distance.
    """

    rows: int
    heads: int
    positions: int

    def expected_tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of the table, by name."""
        return {_RELATIVE: (self.rows, self.heads)}

    def author(self, g: GraphBuilder, p: Parameters, inputs: GraphInputs) -> str:
        """The bias of every pair of tokens, float32, shape (1, heads, tokens, tokens)."""
        reach = self.positions - 1

        def by_distance() -> NDArray[np.float32]:
            buckets = relative_buckets(np.arange(-reach, reach + 1))
            return np.ascontiguousarray(p.get(_RELATIVE)[buckets].T[np.newaxis])  # (1, heads, distances)

        table = g.weight(f"{_RELATIVE}[distance]", by_distance)
        index = g.op("Add", [pair_distances(g, inputs.input_ids), g.ints(reach)])  # (tokens, tokens), 0 is -reach
        return g.op("Gather", [table, index], attributes={"axis": 2})


def rows_of_distances(biases: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The way back from the bias of every distance to the table by bucket.

    Args:
        biases: float32, shape (1, heads, distances).
        shape: Of the table: (buckets, heads).

    Returns:
        float32; 0 in buckets that no distance of the model falls into.

    Raises:
        ValueError: There are more buckets than any distance falls into, or other heads.
    """
    if shape[0] != _BUCKETS:
        raise ValueError(f"{shape[0]} buckets, of which distances fall into {_BUCKETS}")
    reach = biases.shape[2] // 2
    table = np.zeros(shape, dtype=np.float32)
    table[relative_buckets(np.arange(-reach, reach + 1))] = biases[0].T
    return table


def relative_buckets(distances: NDArray[np.int64]) -> NDArray[np.int64]:
    """T5's bucket of each distance (key position minus query position): exact when near, logarithmic when far.

    Half of the buckets are for keys after the query. Computed in float32 as transformers does, because
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
