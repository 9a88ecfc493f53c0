"""``sentence_bert_config.json``: how sentence-transformers sets up its Transformer module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stonnx._fields import Fields
from stonnx.artifact.manifest import Kind
from stonnx.checkpoint.source import SourceFolder
from stonnx.errors import CheckpointError, UnsupportedModelError

__all__ = ["SentenceConfig", "read_sentence_config"]

# sentence-transformers tries them in this order and takes the first that is not empty.
_NAMES = tuple(
    f"sentence_{family}_config.json"
    for family in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
# Options that change how the model runs, not what it computes.
_HARMLESS_MODEL_OPTIONS = {"add_pooling_layer", "attn_implementation", "device_map", "dtype", "torch_dtype"}
_RENAMED = {"model_args": "model_kwargs", "tokenizer_args": "processor_kwargs", "config_args": "config_kwargs"}
# What the transformer is asked for, where that is not written: token vectors.
_TASK = "feature-extraction"
# Options that leave the result alone only while they have these values.
_REQUIRED: dict[Kind, dict[str, object]] = {
    "embedding": {
        "transformer_task": _TASK,
        "module_output_name": "token_embeddings",
        "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    },
    "reranker": {
        "transformer_task": "sequence-classification",
        "module_output_name": "scores",
        "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
    },
}
_ABSENT = ("query_length", "document_length", "query_expansion", "tokenizer_name_or_path")
_KNOWN = {"max_seq_length", "do_lower_case", "unpad_inputs", "processing_kwargs", *_RENAMED.values(), *_ABSENT}
_WORDS: dict[Kind, str] = {
    "embedding": "text encoders with plain token vectors; remove the option if the model works without it.",
    "reranker": "cross-encoders that are one Transformer with a classifier (transformer_task sequence-classification).",
}


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


def read_sentence_config(folder: SourceFolder, subfolder: str, kind: Kind = "embedding") -> SentenceConfig:
    """Read the first of the seven files that is there and not empty.

    Args:
        folder: The model.
        subfolder: Sub-folder of the transformer, POSIX; "" for the root.
        kind: What the model is: it says what the transformer has to give.

    Raises:
        CheckpointError: The file is damaged, or a value has the wrong type.
        UnsupportedModelError: An option makes the model something else than a text encoder with token vectors, or
            than a cross-encoder with a classifier.
    """
    prefix = f"{subfolder}/" if subfolder else ""
    for name in _NAMES:
        if folder.exists(prefix + name) and (config := folder.read_object(prefix + name)):
            named = {_RENAMED.get(key, key): value for key, value in config.items()}
            return _parse(Fields(prefix + name, named, error=CheckpointError), kind)
    if kind == "reranker":
        return _parse(Fields(prefix + _NAMES[0], {}, error=CheckpointError), kind)
    return SentenceConfig()


def _parse(config: Fields, kind: Kind) -> SentenceConfig:
    _check_options(config, kind)
    return SentenceConfig(
        max_tokens=config.positive_int("max_seq_length", default=None),
        lowercase=config.flag("do_lower_case", default=False, nullable=True),
        tokenizer_options=_options(config, "processor_kwargs"),
    )


def _check_options(config: Fields, kind: Kind) -> None:
    expected = {**_REQUIRED[kind], **dict.fromkeys(_ABSENT)}
    if expected["transformer_task"] != _TASK and "transformer_task" not in config:
        raise _unsupported(config, "transformer_task", _TASK, kind)
    for key in config:
        fits = config.get(key) == expected[key] if key in expected else key in _KNOWN
        if not fits:
            raise _unsupported(config, key, config.get(key), kind)
    if any(_options(config, "processing_kwargs").values()):
        raise _unsupported(config, "processing_kwargs", config.get("processing_kwargs"), kind)
    for key, value in _options(config, "model_kwargs").items():
        if key not in _HARMLESS_MODEL_OPTIONS:
            raise _unsupported(config, f"model_kwargs.{key}", value, kind)
    if _options(config, "config_kwargs"):
        raise _unsupported(config, "config_kwargs", config.get("config_kwargs"), kind)


def _options(config: Fields, key: str) -> dict[str, Any]:
    """A nested object of options; a wish to run remote code is not granted, as sentence-transformers does."""
    options = config.object(key, default={}, nullable=True)
    return {option: setting for option, setting in options.items() if option != "trust_remote_code"}


def _unsupported(config: Fields, key: str, value: object, kind: Kind) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{config.name}: {key} is {value!r}, which stonnx does not convert.", hint=f"stonnx converts {_WORDS[kind]}"
    )
