"""A model folder to a ``ModelSpec``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from stonnx.artifact.manifest import Similarity
from stonnx.checkpoint.modules import read_modules
from stonnx.checkpoint.sentence_config import SentenceConfig, read_sentence_config
from stonnx.checkpoint.source import SourceFolder
from stonnx.checkpoint.spec import ModelSpec, Prompts
from stonnx.checkpoint.tokenizer import read_tokenizer
from stonnx.errors import CheckpointError, UnsupportedModelError

__all__ = ["read_model"]

_SETTINGS = "config_sentence_transformers.json"
_SIMILARITIES: tuple[Similarity, ...] = get_args(Similarity)
# sentence-transformers gives every model these two prompts, empty where the files do not name them.
_STANDING_PROMPTS = ("query", "document")


def read_model(folder: SourceFolder) -> ModelSpec:
    """Read everything about a model but its weights. Runs no code that comes with it.

    Raises:
        CheckpointError: A file is missing or damaged, a value has the wrong type, or a path leaves the folder.
        UnsupportedModelError: A module or option that stonnx does not convert.
    """
    settings = folder.read_object(_SETTINGS) if folder.exists(_SETTINGS) else {}
    _check_kind(settings)
    chain = read_modules(folder)
    prefix = f"{chain.transformer_path}/" if chain.transformer_path else ""
    config = folder.read_object(f"{prefix}config.json")
    _check_plain(folder, prefix, config)
    sentence = read_sentence_config(folder, chain.transformer_path)
    tokenizer = read_tokenizer(folder, chain.transformer_path, sentence, config)
    notes = [*chain.notes, *tokenizer.notes]
    if not folder.exists("modules.json") and (settings or sentence != SentenceConfig()):
        notes.insert(1, "The settings of sentence-transformers that lie beside it are honoured.")
    similarity = settings.get("similarity_fn_name")
    return ModelSpec(
        name=folder.name,
        revision=folder.revision,
        config=config,
        transformer_path=chain.transformer_path,
        head=chain.head,
        tokenizer_json=tokenizer.json,
        max_tokens=tokenizer.max_tokens,
        pad_id=tokenizer.pad_id,
        largest_id=tokenizer.largest_id,
        prompts=_prompts(settings),
        similarity=next((known for known in _SIMILARITIES if known == similarity), None),
        truncate_dim=_truncate_dim(settings),
        notes=tuple(notes),
    )


def _check_kind(settings: Mapping[str, Any]) -> None:
    kind = settings.get("model_type") or "SentenceTransformer"
    if kind != "SentenceTransformer":
        raise UnsupportedModelError(
            f"The model is a {kind}; stonnx converts models of the SentenceTransformer kind.",
            hint="Sparse, multi-vector and cross encoders cannot be converted.",
        )


def _check_plain(folder: SourceFolder, prefix: str, config: Mapping[str, Any]) -> None:
    """Refuse a transformer that is more than its ``config.json`` and weights."""
    if config.get("auto_map"):
        raise UnsupportedModelError(
            "The model comes with code of its own (auto_map in config.json), which stonnx does not run.",
            hint="Only architectures that stonnx knows can be converted.",
        )
    if folder.exists(f"{prefix}adapter_config.json"):
        raise UnsupportedModelError(
            "The folder holds an adapter (adapter_config.json), not a whole model.",
            hint="Merge the adapter into its base model (peft: merge_and_unload), save that, and convert it.",
        )
    if "quantization_config" in config:
        raise UnsupportedModelError(
            "The checkpoint is quantised (quantization_config in config.json).", hint="Convert the original model."
        )


def _prompts(settings: Mapping[str, Any]) -> Prompts:
    stored = settings.get("prompts") or {}
    if not isinstance(stored, dict):
        raise CheckpointError(f"{_SETTINGS}: prompts is {stored!r}; expected texts by name.")
    # A null stands for "no text", here and in sentence-transformers.
    texts = {name: text for name, text in stored.items() if text is not None}
    for name, text in texts.items():
        if not isinstance(text, str):
            raise CheckpointError(f"{_SETTINGS}: the prompt {name!r} is {text!r}; expected a text.")
    default = settings.get("default_prompt_name")
    if default is None:
        return Prompts(texts=texts)
    if not isinstance(default, str) or default not in {*stored, *_STANDING_PROMPTS}:
        names = ", ".join(sorted(texts)) or "none"
        raise CheckpointError(
            f"{_SETTINGS}: default_prompt_name is {default!r}, which is not among the prompts ({names}).",
            hint="Correct default_prompt_name, or set it to null.",
        )
    return Prompts(texts={**texts, default: texts.get(default, "")}, default_name=default)


def _truncate_dim(settings: Mapping[str, Any]) -> int | None:
    value = settings.get("truncate_dim")
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise CheckpointError(f"{_SETTINGS}: truncate_dim is {value!r}; expected a positive whole number.")
