"""What a tiny model looks like: its family, sizes, modules and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from stonnx.graph.modules import HeadModule, Normalize, Pooling
from stonnx.testing._tokenizers import TokenizerFamily

__all__ = ["TinyFamily", "TinyModel"]

TinyFamily = Literal["albert", "bert", "camembert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta"]


@dataclass(frozen=True, kw_only=True)
class TinyModel:
    """What a tiny model looks like.

    Attributes:
        head: Modules after the transformer. Each lies in ``{index}_{Kind}``; the ``path`` of a
            ``Dense`` or ``LayerNorm`` given here is ignored.
        family: Architecture, as ``model_type`` spells it.
        tokenizer: Family of the tokenizer.
        lowercase: Whether the ``wordpiece`` tokenizer lowercases.
        hidden_act: Activation of the feed-forward blocks, as in ``config.json``.
        hidden: Width of the token vectors; four attention heads share it.
        layers: Number of transformer layers.
        positions: Size of the position table.
        tensor_prefix: Prepended to every tensor name, such as ``"bert."``.
        dtype: Type of the stored weights.
        legacy_pooling_config: Write the booleans of older releases instead of ``pooling_mode``.
        old_module_types: Write ``sentence_transformers.models.X`` instead of the new paths.
        with_modules_json: False makes a bare Hugging Face folder without any head module.
        prompts: Prompt texts by name.
        default_prompt_name: The prompt used when the caller names none.
        similarity: Similarity function name.
        max_tokens: ``max_seq_length`` to write; None leaves it to the position limit.
        seed: Seed of the weights; two seeds give two models.
        config: Further fields of ``config.json``, and others instead of those that are written.
    """

    head: tuple[HeadModule, ...] = (Pooling(modes=("mean",)), Normalize())
    family: TinyFamily = "bert"
    tokenizer: TokenizerFamily = "wordpiece"
    lowercase: bool = True
    hidden_act: str = "gelu"
    hidden: int = 32
    layers: int = 2
    positions: int = 64
    tensor_prefix: str = ""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    legacy_pooling_config: bool = False
    old_module_types: bool = False
    with_modules_json: bool = True
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    similarity: str | None = "cosine"
    max_tokens: int | None = None
    seed: int = 0
    config: Mapping[str, object] = field(default_factory=dict)
