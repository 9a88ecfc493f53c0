"""The Sentence Transformers side of an artifact: small files that other tools look for."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from stonnx._io import write_json, write_text
from stonnx.checkpoint import Classification, ModelSpec, SourceFolder
from stonnx.checkpoint.hub import CARD_FILES
from stonnx.checkpoint.sentence_config import SentenceConfig, read_sentence_config
from stonnx.graph import Blueprint
from stonnx.graph.modules import ModuleTarget

__all__ = ["write_model_folder"]

_TRANSFORMER_FILES = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt")
_MODULE_TYPE = "sentence_transformers.models."  # every release since 2.0 reads this spelling
# Since 6.0 a cross-encoder has the three files of settings as well; older releases read config.json alone.
_RERANKER_TYPE = "sentence_transformers.base.modules.transformer."
_RERANKER_TASK = {
    "transformer_task": "sequence-classification",
    "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
    "module_output_name": "scores",
}


def write_model_folder(source: SourceFolder, blueprint: Blueprint, out: Path) -> None:
    """Write config, tokenizer, module chain and model card, but no graph.

    The transformer always goes to the root and the modules to ``1_Pooling``, ``2_Dense``…; what
    the source says in other spellings is said in the one that every sentence-transformers reads.

    Args:
        source: The original model.
        blueprint: The same, read.
        out: An existing folder.

    Raises:
        CheckpointError: A file leads out of the source folder, or weights of a module are damaged.
    """
    spec, chain = blueprint.spec, blueprint.chain
    for name in CARD_FILES:
        _copy(source, name, out / name)
    for name in _TRANSFORMER_FILES:
        _copy(source, _join(spec.transformer_path, name), out / name)
    write_text(out / "tokenizer.json", spec.tokenizer_json)
    write_json(out / "config.json", _config(spec))
    write_json(out / "sentence_bert_config.json", _transformer_config(source, blueprint))
    write_json(out / "config_sentence_transformers.json", _model_config(spec))
    prefix = _MODULE_TYPE if spec.kind == "embedding" else _RERANKER_TYPE
    modules = [{"idx": 0, "name": "0", "path": "", "type": f"{prefix}Transformer"}]
    listed = [pair for pair in zip(chain.modules, chain.given, strict=False) if pair[0].listed]
    for index, (module, given) in enumerate(listed, 1):
        path = f"{index}_{module.kind}"
        (out / path).mkdir()
        module.write(ModuleTarget(out / path, source, given))
        modules.append({"idx": index, "name": str(index), "path": path, "type": f"{prefix}{module.kind}"})
    write_json(out / "modules.json", modules)


def _copy(source: SourceFolder, relative: str, target: Path) -> None:
    if source.exists(relative):
        shutil.copyfile(source.file(relative), target)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _config(spec: ModelSpec) -> dict[str, object]:
    """``config.json``; a cross-encoder's labels and activation stand where every release looks for them."""
    config = dict(spec.config)
    if spec.classification is None:
        return config
    labels, path = spec.classification.labels, _activation_path(spec.classification)
    stored = config.get("sentence_transformers")
    settings = stored if isinstance(stored, Mapping) else {}
    return {
        **config,
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
        "sentence_transformers": {**settings, "activation_fn": path},
        "sbert_ce_default_activation_function": path,  # before 4.0
    }


def _activation_path(classification: Classification) -> str:
    return f"torch.nn.{classification.activation}"


def _transformer_config(source: SourceFolder, blueprint: Blueprint) -> dict[str, object]:
    """What the source says, with the limit spelled out."""
    spec = blueprint.spec
    # CrossEncoder does not look at these settings where there is no modules.json.
    counts = spec.kind == "embedding" or source.exists("modules.json")
    stored = read_sentence_config(source, spec.transformer_path, spec.kind) if counts else SentenceConfig()
    config: dict[str, object] = {"max_seq_length": blueprint.max_tokens, "do_lower_case": stored.lowercase}
    if spec.kind == "reranker":
        config |= _RERANKER_TASK
    return {**config, "tokenizer_args": dict(stored.tokenizer_options)} if stored.tokenizer_options else config


def _model_config(spec: ModelSpec) -> dict[str, object]:
    config: dict[str, object] = {
        "prompts": dict(spec.prompts.texts),
        "default_prompt_name": spec.prompts.default_name,
    }
    if spec.classification is not None:
        return {"model_type": "CrossEncoder", **config, "activation_fn": _activation_path(spec.classification)}
    config["similarity_fn_name"] = spec.similarity
    return config if spec.truncate_dim is None else {**config, "truncate_dim": spec.truncate_dim}
