"""The BERT family (Devlin et al. 2018, arXiv:1810.04805): m3e, bge, gte, e5, MiniLM, text2vec and others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from stonnx.errors import UnsupportedModelError
from stonnx.graph.architectures.post_norm import LayerNames, PostNorm, Sizes, norm_of, norm_shapes, positive
from stonnx.graph.blocks import EmbeddingBlock, GraphInputs
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.dialects import Dialect
from stonnx.graph.parameters import Parameters

__all__ = ["Bert"]

_NAMES = LayerNames(
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    projection="attention.output.dense",
    attention_norm="attention.output.LayerNorm",
)
_EMBEDDINGS = ("embeddings.word_embeddings", "embeddings.position_embeddings", "embeddings.token_type_embeddings")


@dataclass(frozen=True, kw_only=True)
class Bert:
    """A BERT encoder, as its ``config.json`` describes it."""

    sizes: Sizes
    token_type_count: int

    prefixes: ClassVar[tuple[str, ...]] = ("", "bert.", "0.auto_model.", "auto_model.", "0.auto_model.bert.", "model.")
    token_types: ClassVar[bool] = True

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
        position = config.get("position_embedding_type", "absolute")
        if position != "absolute":
            raise UnsupportedModelError(f"position_embedding_type is {position!r}; stonnx authors 'absolute'.")
        return cls(
            sizes=Sizes.read(config, vocab_default=30522), token_type_count=positive(config, "type_vocab_size", 2)
        )

    def expected_tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor that the encoder needs, by name."""
        counts = (self.sizes.vocab, self.sizes.positions, self.token_type_count)
        tables = {f"{name}.weight": (count, self.width) for name, count in zip(_EMBEDDINGS, counts, strict=True)}
        return {
            **tables,
            **norm_shapes("embeddings.LayerNorm", self.width),
            **PostNorm(sizes=self.sizes, names=_NAMES).expected_tensors(),
        }

    def author(self, g: GraphBuilder, p: Parameters, dialect: Dialect, inputs: GraphInputs) -> str:
        """Write the encoder.

        Returns:
            The last hidden state, float32, shape (rows, tokens, width).
        """
        word, position, token_type = (f"{name}.weight" for name in _EMBEDDINGS)
        norm = norm_of("embeddings.LayerNorm", self.sizes.eps)
        block = EmbeddingBlock(word=word, position=position, token_type=token_type, norm=norm)
        x = dialect.embed(g, p, inputs, block)
        return PostNorm(sizes=self.sizes, names=_NAMES).author(g, p, dialect, inputs, x)
