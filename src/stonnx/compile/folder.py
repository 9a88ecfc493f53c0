"""The Sentence Transformers side of an artifact: small files that other tools look for."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from stonnx._io import write_json, write_text
from stonnx.checkpoint import SourceFolder, Weights
from stonnx.checkpoint.head import LEGACY_MODES
from stonnx.checkpoint.hub import CARD_FILES
from stonnx.checkpoint.sentence_config import read_sentence_config
from stonnx.checkpoint.spec import Dense, HeadModule, LayerNorm, ModelSpec, Pooling

__all__ = ["write_model_folder"]

_TRANSFORMER_FILES = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt")
_MODULE_TYPE = "sentence_transformers.models."  # every release since 2.0 reads this spelling


def write_model_folder(source: SourceFolder, spec: ModelSpec, out: Path) -> None:
    """Write config, tokenizer, module chain and model card, but no graph.

    The transformer always goes to the root and the modules to ``1_Pooling``, ``2_Dense``…; what
    the source says in other spellings is said in the one that every sentence-transformers reads.

    Args:
        source: The original model.
        spec: The same, read.
        out: An existing folder.

    Raises:
        CheckpointError: A file leads out of the source folder, or weights of a module are damaged.
    """
    for name in CARD_FILES:
        _copy(source, name, out / name)
    for name in _TRANSFORMER_FILES:
        _copy(source, _join(spec.transformer_path, name), out / name)
    write_json(out / "config.json", dict(spec.config))
    write_text(out / "tokenizer.json", spec.tokenizer_json)
    write_json(out / "sentence_bert_config.json", _transformer_config(source, spec))
    write_json(out / "config_sentence_transformers.json", _model_config(spec))
    modules = [{"idx": 0, "name": "0", "path": "", "type": f"{_MODULE_TYPE}Transformer"}]
    for index, module in enumerate(spec.head, 1):
        kind = type(module).__name__
        path = f"{index}_{kind}"
        (out / path).mkdir()
        _write_module(source, spec, module, out / path)
        modules.append({"idx": index, "name": str(index), "path": path, "type": f"{_MODULE_TYPE}{kind}"})
    write_json(out / "modules.json", modules)


def _copy(source: SourceFolder, relative: str, target: Path) -> None:
    if source.exists(relative):
        shutil.copyfile(source.file(relative), target)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _transformer_config(source: SourceFolder, spec: ModelSpec) -> dict[str, object]:
    """What the source says, with the limit spelled out."""
    stored = read_sentence_config(source, spec.transformer_path)
    config: dict[str, object] = {"max_seq_length": spec.max_tokens, "do_lower_case": stored.lowercase}
    return {**config, "tokenizer_args": dict(stored.tokenizer_options)} if stored.tokenizer_options else config


def _model_config(spec: ModelSpec) -> dict[str, object]:
    config: dict[str, object] = {
        "prompts": dict(spec.prompts.texts),
        "default_prompt_name": spec.prompts.default_name,
        "similarity_fn_name": spec.similarity,
    }
    return config if spec.truncate_dim is None else {**config, "truncate_dim": spec.truncate_dim}


def _write_module(source: SourceFolder, spec: ModelSpec, module: HeadModule, out: Path) -> None:
    config = _pooling_config(spec, module) if isinstance(module, Pooling) else _module_config(module)
    write_json(out / "config.json", config)
    if isinstance(module, Dense | LayerNorm):
        with Weights.open(source, module.path) as weights:
            tensors = {name: np.ascontiguousarray(weights.get(name)) for name in weights.names()}
            # Not save_file, which makes the file readable by its owner only.
            (out / "model.safetensors").write_bytes(save(tensors))


def _pooling_config(spec: ModelSpec, module: Pooling) -> dict[str, object]:
    """The old booleans, which every release reads; the new key only for an order they cannot say."""
    width = spec.config.get("hidden_size")
    if module.modes == tuple(mode for mode in LEGACY_MODES.values() if mode in module.modes):
        flags = {key: mode in module.modes for key, mode in LEGACY_MODES.items()}
        return {"word_embedding_dimension": width, **flags, "include_prompt": module.include_prompt}
    return {
        "embedding_dimension": width,
        "pooling_mode": list(module.modes),
        "include_prompt": module.include_prompt,
    }


def _module_config(module: HeadModule) -> dict[str, object]:
    if isinstance(module, Dense):
        config: dict[str, object] = {
            "in_features": module.in_features,
            "out_features": module.out_features,
            "bias": module.bias,
            "activation_function": f"torch.nn.{module.activation}",
        }
        return {**config, "use_residual": True} if module.use_residual else config
    return {"dimension": module.dimension} if isinstance(module, LayerNorm) else {}
