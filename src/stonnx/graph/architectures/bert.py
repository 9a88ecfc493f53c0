"""The BERT family (Devlin et al. 2018, arXiv:1810.04805): m3e, bge, gte, e5, MiniLM, text2vec and others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from stonnx.errors import CheckpointError, UnsupportedModelError
from stonnx.graph.blocks import Activation, AttentionBlock, EmbeddingBlock, GraphInputs, Linear, Norm, matrix
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.dialects import Dialect
from stonnx.graph.parameters import Parameters

__all__ = ["Bert"]

_ACTIVATIONS: Mapping[str, Activation] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}


@dataclass(frozen=True, kw_only=True)
class Bert:
    """A BERT encoder, as its ``config.json`` describes it."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float
    activation: Activation

    prefixes: ClassVar[tuple[str, ...]] = ("", "bert.", "0.auto_model.", "auto_model.", "0.auto_model.bert.", "model.")

    @property
    def width(self) -> int:
        """Length of a token vector."""
        return self.hidden_size

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
        for flag in ("is_decoder", "add_cross_attention"):
            if config.get(flag):
                raise UnsupportedModelError(f"{flag} is set: this is a decoder, and stonnx authors BERT encoders.")
        name = config.get("hidden_act", "gelu")
        if name not in _ACTIVATIONS:
            raise UnsupportedModelError(f"hidden_act is {name!r}; stonnx authors {', '.join(_ACTIVATIONS)}.")
        heads = _positive(config, "num_attention_heads", 12)
        hidden = _positive(config, "hidden_size", 768)
        if hidden % heads:
            raise CheckpointError(
                f"config.json: hidden_size {hidden} is not a multiple of num_attention_heads {heads}."
            )
        eps = config.get("layer_norm_eps", 1e-12)
        if isinstance(eps, bool) or not isinstance(eps, (int, float)) or not 0 <= eps < 1:
            raise CheckpointError(f"config.json: layer_norm_eps is {eps!r}, expected a small positive number.")
        return cls(
            vocab_size=_positive(config, "vocab_size", 30522),
            hidden_size=hidden,
            num_hidden_layers=_positive(config, "num_hidden_layers", 12),
            num_attention_heads=heads,
            intermediate_size=_positive(config, "intermediate_size", 3072),
            max_position_embeddings=_positive(config, "max_position_embeddings", 512),
            type_vocab_size=_positive(config, "type_vocab_size", 2),
            layer_norm_eps=float(eps),
            activation=_ACTIVATIONS[name],
        )

    def expected_tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor that the encoder needs, by name."""
        width, inner = self.hidden_size, self.intermediate_size
        shapes: dict[str, tuple[int, ...]] = {
            "embeddings.word_embeddings.weight": (self.vocab_size, width),
            "embeddings.position_embeddings.weight": (self.max_position_embeddings, width),
            "embeddings.token_type_embeddings.weight": (self.type_vocab_size, width),
            **_norm_shapes("embeddings.LayerNorm", width),
        }
        for layer in range(self.num_hidden_layers):
            root = f"encoder.layer.{layer}"
            for part in ("query", "key", "value"):
                shapes |= _linear_shapes(f"{root}.attention.self.{part}", width, width)
            shapes |= _linear_shapes(f"{root}.attention.output.dense", width, width)
            shapes |= _norm_shapes(f"{root}.attention.output.LayerNorm", width)
            shapes |= _linear_shapes(f"{root}.intermediate.dense", inner, width)
            shapes |= _linear_shapes(f"{root}.output.dense", width, inner)
            shapes |= _norm_shapes(f"{root}.output.LayerNorm", width)
        return shapes

    def author(self, g: GraphBuilder, p: Parameters, dialect: Dialect, inputs: GraphInputs) -> str:
        """Write the encoder.

        Returns:
            The last hidden state, float32, shape (rows, tokens, hidden_size).
        """
        eps = self.layer_norm_eps
        x = dialect.embed(
            g,
            p,
            inputs,
            EmbeddingBlock(
                word="embeddings.word_embeddings.weight",
                position="embeddings.position_embeddings.weight",
                token_type="embeddings.token_type_embeddings.weight",
                norm=_norm("embeddings.LayerNorm", eps),
            ),
        )
        for layer in range(self.num_hidden_layers):
            root = f"encoder.layer.{layer}"
            attention = AttentionBlock(
                query=_linear(f"{root}.attention.self.query"),
                key=_linear(f"{root}.attention.self.key"),
                value=_linear(f"{root}.attention.self.value"),
                heads=self.num_attention_heads,
                head_size=self.hidden_size // self.num_attention_heads,
            )
            context = dialect.attend(g, p, x, inputs, attention)
            x = _project_add_norm(g, p, dialect, context, x, f"{root}.attention.output", eps)
            inner = _linear(f"{root}.intermediate.dense")
            y = g.op("MatMul", [x, matrix(g, p, inner.weight)])
            y = dialect.activate(g, p, y, inner.bias, self.activation)
            x = _project_add_norm(g, p, dialect, y, x, f"{root}.output", eps)
        return x


def _project_add_norm(
    g: GraphBuilder, p: Parameters, dialect: Dialect, x: str, residual: str, root: str, eps: float
) -> str:
    dense = _linear(f"{root}.dense")
    y = g.op("MatMul", [x, matrix(g, p, dense.weight)])
    return dialect.add_norm(g, p, y, residual, dense.bias, _norm(f"{root}.LayerNorm", eps))


def _linear(root: str) -> Linear:
    return Linear(f"{root}.weight", f"{root}.bias")


def _norm(root: str, eps: float) -> Norm:
    return Norm(f"{root}.weight", f"{root}.bias", eps)


def _linear_shapes(root: str, out: int, into: int) -> dict[str, tuple[int, ...]]:
    return {f"{root}.weight": (out, into), f"{root}.bias": (out,)}


def _norm_shapes(root: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{root}.weight": (width,), f"{root}.bias": (width,)}


def _positive(config: Mapping[str, Any], key: str, default: int) -> int:
    """A positive integer of ``config.json``; ``default`` is that of transformers' BertConfig."""
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise CheckpointError(f"config.json: {key} is {value!r}, expected a positive integer.")
    return value
