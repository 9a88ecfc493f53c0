"""Tiny Sentence Transformers folders with random weights, written without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stonnx._io import write_json
from stonnx.graph.modules import Dense, HeadModule, LayerNorm, Normalize, Pooling
from stonnx.testing._encoders import encoder_config, encoder_weights
from stonnx.testing._random import Floats, random_matrix, random_norm, random_vector
from stonnx.testing._tokenizers import SPECIAL_TOKENS, build_tokenizer
from stonnx.testing.tiny_model import TinyModel

__all__ = ["make_tiny_model"]

_LEGACY_MODES = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
_NEW_TYPES = {
    "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Dense": "sentence_transformers.base.modules.dense.Dense",
    "LayerNorm": "sentence_transformers.sentence_transformer.modules.layer_norm.LayerNorm",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
}


def make_tiny_model(folder: str | Path, model: TinyModel | None = None) -> Path:
    """Write a Sentence Transformers folder that sentence-transformers itself can load.

    Args:
        folder: Where to write; created if needed.
        model: What to write; None for the defaults of ``TinyModel``.

    Returns:
        The folder.
    """
    folder = Path(folder)
    model = model or TinyModel()
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(model.seed)
    vocab_size = _write_tokenizer(folder, model)
    config = encoder_config(model, vocab_size)
    write_json(folder / "config.json", config)
    encoder = {f"{model.tensor_prefix}{name}": value for name, value in encoder_weights(model, config, rng).items()}
    _save(folder / "model.safetensors", encoder, model.dtype)
    if model.with_modules_json:
        _write_modules(folder, model, rng)
    return folder


def _write_tokenizer(folder: Path, model: TinyModel) -> int:
    tokenizer = build_tokenizer(model.tokenizer, lowercase=model.lowercase)
    tokenizer.save(str(folder / "tokenizer.json"))
    special: dict[str, Any] = {f"{name}_token": token for name, token in SPECIAL_TOKENS.items()}
    config: dict[str, Any] = {
        "clean_up_tokenization_spaces": True,
        "model_max_length": model.positions,
        "tokenizer_class": "PreTrainedTokenizerFast",
        **special,
    }
    if model.tokenizer == "wordpiece":
        bert = {"do_lower_case": model.lowercase, "strip_accents": None, "tokenize_chinese_chars": True}
        config |= {"tokenizer_class": "BertTokenizer", **bert}
        pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece, _ in pieces), encoding="utf-8")
    write_json(folder / "tokenizer_config.json", config)
    write_json(folder / "special_tokens_map.json", special)
    return int(tokenizer.get_vocab_size())


def _write_modules(folder: Path, model: TinyModel, rng: np.random.Generator) -> None:
    modules = [{"idx": 0, "name": "0", "path": "", "type": _type_name(model, "Transformer")}]
    for index, module in enumerate(model.head, start=1):
        kind = type(module).__name__
        path = f"{index}_{kind}"
        modules.append({"idx": index, "name": str(index), "path": path, "type": _type_name(model, kind)})
        (folder / path).mkdir(exist_ok=True)
        _write_head(folder / path, module, model, rng)
    write_json(folder / "modules.json", modules)
    sentence_config: dict[str, Any] = {"do_lower_case": False}
    if model.max_tokens is not None:
        sentence_config["max_seq_length"] = model.max_tokens
    write_json(folder / "sentence_bert_config.json", sentence_config)
    write_json(
        folder / "config_sentence_transformers.json",
        {
            "__version__": {"sentence_transformers": "6.2.0"},
            "model_type": "SentenceTransformer",
            "prompts": dict(model.prompts),
            "default_prompt_name": model.default_prompt_name,
            "similarity_fn_name": model.similarity,
        },
    )


def _type_name(model: TinyModel, kind: str) -> str:
    return f"sentence_transformers.models.{kind}" if model.old_module_types else _NEW_TYPES[kind]


def _write_head(path: Path, module: HeadModule, model: TinyModel, rng: np.random.Generator) -> None:
    """Write one head module's ``config.json`` and, where it has any, its weights."""
    match module:
        case Pooling():
            write_json(path / "config.json", _pooling_config(module, model))
        case Dense():
            write_json(path / "config.json", _dense_config(module))
            _save(path / "model.safetensors", _dense_weights(module, rng), model.dtype)
        case LayerNorm():
            write_json(path / "config.json", {"dimension": module.dimension})
            _save(path / "model.safetensors", random_norm("norm", module.dimension, rng), model.dtype)
        case Normalize():
            names = {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}
            write_json(path / "config.json", names)


def _pooling_config(module: Pooling, model: TinyModel) -> dict[str, Any]:
    if model.legacy_pooling_config:
        booleans = {key: mode in module.modes for mode, key in _LEGACY_MODES.items()}
        return {"word_embedding_dimension": model.hidden, **booleans, "include_prompt": module.include_prompt}
    modes = module.modes[0] if len(module.modes) == 1 else list(module.modes)
    return {"embedding_dimension": model.hidden, "pooling_mode": modes, "include_prompt": module.include_prompt}


def _dense_config(module: Dense) -> dict[str, Any]:
    return {
        "in_features": module.in_features,
        "out_features": module.out_features,
        "bias": module.bias,
        "activation_function": f"torch.nn.modules.{_activation_path(module.activation)}",
        "module_input_name": "sentence_embedding",
        "module_output_name": "sentence_embedding",
        **({"use_residual": True} if module.use_residual else {}),
    }


def _activation_path(activation: str) -> str:
    return "linear.Identity" if activation == "Identity" else f"activation.{activation}"


def _dense_weights(module: Dense, rng: np.random.Generator) -> dict[str, Floats]:
    tensors = {"linear.weight": random_matrix(rng, module.out_features, module.in_features)}
    if module.bias:
        tensors["linear.bias"] = random_vector(rng, module.out_features)
    if module.activation == "PReLU":
        tensors["activation_function.weight"] = np.full(1, 0.2, dtype=np.float32)
    if module.use_residual and module.in_features != module.out_features:
        tensors["residual.weight"] = random_matrix(rng, module.out_features, module.in_features)
    return tensors


def _save(path: Path, tensors: Mapping[str, Floats], dtype: str) -> None:
    """Write safetensors by its specification: header length, JSON header, data (bfloat16 is not a NumPy type)."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    blobs: list[bytes] = []
    offset = 0
    code = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}[dtype]
    for name, value in sorted(tensors.items()):
        blob = _stored(value, dtype)
        header[name] = {"dtype": code, "shape": list(value.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))


def _stored(value: Floats, dtype: str) -> bytes:
    if dtype == "bfloat16":
        # Truncation, not rounding: any bfloat16 bit pattern serves a test.
        return (np.ascontiguousarray(value).view(np.uint32) >> 16).astype(np.uint16).tobytes()
    return value.astype(dtype).tobytes()
