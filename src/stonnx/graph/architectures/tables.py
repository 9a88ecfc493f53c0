"""The embedding tables of BERT and its relatives, which differ in width, token types and positions."""

from __future__ import annotations

from dataclasses import dataclass

from stonnx.graph.architectures.config import Sizes
from stonnx.graph.architectures.post_norm import linear_of, linear_shapes, norm_of, norm_shapes
from stonnx.graph.blocks import EmbeddingBlock

__all__ = ["Tables"]

_WORD, _POSITION, _TYPE, _NORM = (
    f"embeddings.{name}" for name in ("word_embeddings", "position_embeddings", "token_type_embeddings", "LayerNorm")
)


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Tables of words, positions and token types under BERT's names.

    Attributes:
        sizes: What ``config.json`` says: the rows of the tables of words and positions, and the epsilon of the norm.
        token_types: Rows of the table of token types; 0 where there is none.
        width: Width of the tables.
        padding_id: As in ``EmbeddingBlock``.
        projection: Where the map to the width of the layers is, and that width; None for no map.
    """

    sizes: Sizes
    token_types: int
    width: int
    padding_id: int | None = None
    projection: tuple[str, int] | None = None

    @property
    def max_tokens(self) -> int:
        """Longest row, in tokens: all positions, or those after the padding id's where padding does not count."""
        return self.sizes.positions - (0 if self.padding_id is None else self.padding_id + 1)

    def expected_tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor, by name."""
        counts = {_WORD: self.sizes.vocab, _POSITION: self.sizes.positions, _TYPE: self.token_types}
        shapes: dict[str, tuple[int, ...]] = {
            f"{name}.weight": (count, self.width) for name, count in counts.items() if count
        }
        shapes |= norm_shapes(_NORM, self.width)
        if self.projection is not None:
            name, width = self.projection
            shapes |= linear_shapes(name, width, self.width)
        return shapes

    def block(self) -> EmbeddingBlock:
        """The tables, as a dialect writes them."""
        return EmbeddingBlock(
            word=f"{_WORD}.weight",
            position=f"{_POSITION}.weight",
            token_type=f"{_TYPE}.weight" if self.token_types else None,
            norm=norm_of(_NORM, self.sizes.eps),
            padding_id=self.padding_id,
            projection=None if self.projection is None else linear_of(self.projection[0]),
        )
