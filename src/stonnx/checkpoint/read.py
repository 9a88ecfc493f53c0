"""A model folder to a ``ModelSpec``."""

from __future__ import annotations

from typing import get_args

from stonnx._fields import Fields
from stonnx.artifact.manifest import Kind, Similarity
from stonnx.checkpoint.classification import read_classification
from stonnx.checkpoint.kind import read_kind
from stonnx.checkpoint.modules import read_modules
from stonnx.checkpoint.sentence_config import SentenceConfig, read_sentence_config
from stonnx.checkpoint.source import SourceFolder
from stonnx.checkpoint.spec import ModelSpec, Prompts
from stonnx.checkpoint.tokenizer import read_tokenizer
from stonnx.errors import CheckpointError, UnsupportedModelError

__all__ = ["read_model"]

_SETTINGS = "config_sentence_transformers.json"
_SIMILARITIES: tuple[Similarity, ...] = get_args(Similarity)
# sentence-transformers gives every embedding model two prompts, empty where the files do not name them.
_STANDING_PROMPTS: dict[Kind, tuple[str, ...]] = {"embedding": ("query", "document"), "reranker": ()}
_ERROR = CheckpointError


def read_model(folder: SourceFolder) -> ModelSpec:
    """Read everything about a model but its weights. Runs no code that comes with it.

    Raises:
        CheckpointError: A file is missing or damaged, a value has the wrong type, or a path leaves the folder.
        UnsupportedModelError: A kind of model or an option that stonnx does not convert.
    """
    settings = Fields(_SETTINGS, folder.read_object(_SETTINGS) if folder.exists(_SETTINGS) else {}, error=_ERROR)
    kind = read_kind(folder, settings)
    chain = read_modules(folder, kind)
    prefix = f"{chain.transformer_path}/" if chain.transformer_path else ""
    config = Fields(f"{prefix}config.json", folder.read_object(f"{prefix}config.json"), error=_ERROR)
    _check_plain(folder, prefix, config)
    notes = list(chain.notes)
    if kind == "reranker" and not folder.exists("modules.json"):
        # CrossEncoder reads neither of the two files of settings without a modules.json.
        settings, sentence = Fields(_SETTINGS, {}, error=_ERROR), SentenceConfig()
    else:
        sentence = read_sentence_config(folder, chain.transformer_path, kind)
    if kind == "embedding" and not folder.exists("modules.json") and (list(settings) or sentence != SentenceConfig()):
        notes.insert(1, "The settings of sentence-transformers that lie beside it are honoured.")
    classification = read_classification(config, settings, notes) if kind == "reranker" else None
    tokenizer = read_tokenizer(folder, chain.transformer_path, sentence, config.values)
    similarity = settings.get("similarity_fn_name")
    return ModelSpec(
        name=folder.name,
        revision=folder.revision,
        kind=kind,
        config=config.values,
        transformer_path=chain.transformer_path,
        modules=chain.modules,
        classification=classification,
        tokenizer_json=tokenizer.json,
        max_tokens=tokenizer.max_tokens,
        max_seq_length=sentence.max_tokens,
        pad_id=tokenizer.pad_id,
        padding_side=tokenizer.padding_side,
        token_types=tokenizer.token_types,
        largest_id=tokenizer.largest_id,
        prompts=_prompts(settings, _STANDING_PROMPTS[kind]),
        similarity=next((known for known in _SIMILARITIES if known == similarity), None),
        truncate_dim=settings.positive_int("truncate_dim", default=None) if kind == "embedding" else None,
        notes=(*notes, *tokenizer.notes),
    )


def _check_plain(folder: SourceFolder, prefix: str, config: Fields) -> None:
    """Refuse a transformer that is more than its ``config.json`` and weights."""
    if config.get("auto_map"):
        named = "".join(f", {name}," for name in config.texts("architectures", default=(), nullable=True)[:1])
        raise UnsupportedModelError(
            f"The model{named} comes with code of its own (auto_map in config.json), which stonnx does not run.",
            hint="Use a model that needs no code beside transformers, or keep this one on sentence-transformers.",
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


def _prompts(settings: Fields, standing: tuple[str, ...]) -> Prompts:
    stored = settings.get("prompts") or {}
    if not isinstance(stored, dict):
        raise settings.wrong("prompts", "texts by name")
    # A null stands for "no text", here and in sentence-transformers.
    texts = {name: text for name, text in stored.items() if text is not None}
    for name, text in texts.items():
        if not isinstance(text, str):
            raise CheckpointError(f"{_SETTINGS}: the prompt {name!r} is {text!r}; expected a text.")
    default = settings.get("default_prompt_name")
    if default is None:
        return Prompts(texts=texts)
    if not isinstance(default, str) or default not in {*stored, *standing}:
        names = ", ".join(sorted(texts)) or "none"
        raise CheckpointError(
            f"{_SETTINGS}: default_prompt_name is {default!r}, which is not among the prompts ({names}).",
            hint="Correct default_prompt_name, or set it to null.",
        )
    return Prompts(texts={**texts, default: texts.get(default, "")}, default_name=default)
