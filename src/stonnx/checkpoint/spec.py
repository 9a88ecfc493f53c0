"""What a checkpoint says about a model, as data: no file handles, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stonnx.artifact.manifest import Similarity

__all__ = ["Dense", "HeadModule", "LayerNorm", "ModelSpec", "Normalize", "Pooling", "PoolingMode", "Prompts"]

PoolingMode = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


@dataclass(frozen=True, kw_only=True)
class Pooling:
    """Token vectors to one vector; several modes are concatenated in this order.

    ``include_prompt`` False leaves the tokens of the prompt out.
    """

    modes: tuple[PoolingMode, ...]
    include_prompt: bool = True


@dataclass(frozen=True, kw_only=True)
class Dense:
    """A linear layer and its activation.

    Attributes:
        path: Sub-folder that holds the weights (``linear.weight``, ``linear.bias``, and where they
            exist ``activation_function.weight`` and ``residual.weight``), POSIX.
        in_features: Width of the input.
        out_features: Width of ``linear``'s output.
        bias: Whether ``linear`` has a bias.
        activation: Class name in ``torch.nn``, such as ``"Tanh"``; ``"Identity"`` for none.
        use_residual: Add the input (projected by ``residual.weight`` when the widths differ).
    """

    path: str
    in_features: int
    out_features: int
    bias: bool
    activation: str
    use_residual: bool = False


@dataclass(frozen=True, kw_only=True)
class LayerNorm:
    """Layer normalisation of the sentence vector, eps 1e-5; weights ``norm.weight``, ``norm.bias`` in ``path``."""

    path: str
    dimension: int


@dataclass(frozen=True, kw_only=True)
class Normalize:
    """Division by the L2 norm, at least 1e-12."""


HeadModule = Pooling | Dense | LayerNorm | Normalize


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Prompt texts by name, and the one to use when the caller names none."""

    texts: Mapping[str, str] = field(default_factory=dict)
    default_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A Sentence Transformers model, read.

    Attributes:
        name: The source as the user gave it (folder name or hub id).
        revision: Commit of the hub repository; None for a folder.
        config: The transformer's ``config.json``.
        head: The modules behind the transformer, in order.
        tokenizer_json: The effective tokenizer: text of a ``tokenizer.json`` without truncation and padding.
        max_tokens: Longest token row, special tokens included, as sentence-transformers would use.
        pad_id: Id of the padding token.
        largest_id: Largest id of the tokenizer's vocabulary, added tokens included.
        prompts: Prompts carried over.
        similarity: Similarity function name; None where the source names none.
        truncate_dim: Components kept by default; None for all.
        transformer_path: Sub-folder of the transformer's config, tokenizer and weights; "" for the root.
        notes: What was assumed and should be told to the user, one sentence each
            (such as "no modules.json: mean pooling, as sentence-transformers does").
    """

    name: str
    revision: str | None
    config: Mapping[str, Any]
    head: tuple[HeadModule, ...]
    tokenizer_json: str
    max_tokens: int
    pad_id: int
    largest_id: int
    prompts: Prompts
    similarity: Similarity | None
    truncate_dim: int | None
    transformer_path: str = ""
    notes: tuple[str, ...] = ()
