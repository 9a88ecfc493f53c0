"""``sentence_bert_config.json``: how sentence-transformers sets up its Transformer module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stonnx.checkpoint.source import SourceFolder
from stonnx.errors import CheckpointError, UnsupportedModelError

__all__ = ["SentenceConfig", "read_sentence_config"]

# sentence-transformers tries them in this order and takes the first that is not empty.
_NAMES = tuple(
    f"sentence_{family}_config.json"
    for family in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
_TEXT = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
# Options that change how the model runs, not what it computes.
_HARMLESS_MODEL_OPTIONS = {"add_pooling_layer", "attn_implementation", "device_map", "dtype", "torch_dtype"}
_RENAMED = {"model_args": "model_kwargs", "tokenizer_args": "processor_kwargs", "config_args": "config_kwargs"}
# Options that leave the vectors alone only while they have one of these values.
_REQUIRED: dict[str, tuple[Any, ...]] = {
    "transformer_task": ("feature-extraction",),
    "module_output_name": ("token_embeddings",),
    "modality_config": (_TEXT,),
    "query_length": (None,),
    "document_length": (None,),
    "query_expansion": (None,),
    "tokenizer_name_or_path": (None,),
}
_KNOWN = {"max_seq_length", "do_lower_case", "unpad_inputs", "processing_kwargs", *_REQUIRED, *_RENAMED.values()}


@dataclass(frozen=True, kw_only=True)
class SentenceConfig:
    """What ``sentence_bert_config.json`` says.

    Attributes:
        max_tokens: ``max_seq_length``; None where the tokenizer's own limit counts.
        lowercase: Lowercase the text in front of the tokenizer's own normaliser.
        tokenizer_options: Entries that override ``tokenizer_config.json``.
    """

    max_tokens: int | None = None
    lowercase: bool = False
    tokenizer_options: Mapping[str, Any] = field(default_factory=dict)


def read_sentence_config(folder: SourceFolder, subfolder: str) -> SentenceConfig:
    """Read the first of the seven files that is there and not empty.

    Args:
        folder: The model.
        subfolder: Sub-folder of the transformer, POSIX; "" for the root.

    Raises:
        CheckpointError: The file is damaged, or a value has the wrong type.
        UnsupportedModelError: An option makes the model something else than a text encoder with token vectors.
    """
    prefix = f"{subfolder}/" if subfolder else ""
    for name in _NAMES:
        if folder.exists(prefix + name) and (config := folder.read_object(prefix + name)):
            return _parse(prefix + name, {_RENAMED.get(key, key): value for key, value in config.items()})
    return SentenceConfig()


def _parse(name: str, config: dict[str, Any]) -> SentenceConfig:
    _check_options(name, config)
    lowercase = config.get("do_lower_case") or False
    if not isinstance(lowercase, bool):
        raise CheckpointError(f"{name}: do_lower_case is {lowercase!r}; expected true or false.")
    max_tokens = config.get("max_seq_length")
    if max_tokens is not None and (not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < 1):
        raise CheckpointError(f"{name}: max_seq_length is {max_tokens!r}; expected a positive whole number.")
    options = dict(_options(name, config, "processor_kwargs"))
    return SentenceConfig(max_tokens=max_tokens, lowercase=lowercase, tokenizer_options=options)


def _check_options(name: str, config: dict[str, Any]) -> None:
    for key, allowed in _REQUIRED.items():
        if key in config and config[key] not in allowed:
            raise _unsupported(name, key, config[key])
    for key in config.keys() - _KNOWN:
        raise _unsupported(name, key, config[key])
    if any(_options(name, config, "processing_kwargs").values()):
        raise _unsupported(name, "processing_kwargs", config["processing_kwargs"])
    for key in _options(name, config, "model_kwargs"):
        if key not in _HARMLESS_MODEL_OPTIONS:
            raise _unsupported(name, f"model_kwargs.{key}", config["model_kwargs"][key])
    if _options(name, config, "config_kwargs"):
        raise _unsupported(name, "config_kwargs", config["config_kwargs"])


def _options(name: str, config: dict[str, Any], key: str) -> dict[str, Any]:
    """A nested object of options; a wish to run remote code is not granted, as sentence-transformers does."""
    value = config.get(key) or {}
    if not isinstance(value, dict):
        raise CheckpointError(f"{name}: {key} is {value!r}; expected a JSON object.")
    return {option: setting for option, setting in value.items() if option != "trust_remote_code"}


def _unsupported(name: str, key: str, value: object) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{name}: {key} is {value!r}, which stonnx does not convert.",
        hint="stonnx converts text encoders with plain token vectors; remove the option if the model works without it.",
    )
