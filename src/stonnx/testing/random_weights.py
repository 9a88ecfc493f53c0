"""Seeded random weights for a model folder that carries everything but its weights.

The small files of a real model (configuration, tokenizer, module chain) and random weights give a
model of the real shape: as large, as fast and as sensitive to a wrong graph as the real one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stonnx.errors import UnsupportedModelError, UsageError

__all__ = ["make_random_model"]

_STD = 0.02


def make_random_model(small_files: Path, out: Path, seed: int = 0) -> Path:
    """Copy a BERT model's small files to ``out`` and add random weights of the shape its config names.

    Matrices and biases are normal with standard deviation 0.02; layer norms are 1 and 0 with the same
    noise, so that a bias or a norm that a graph leaves out, or takes from another layer, shows in the vectors.
    The pooler is there too, as in real checkpoints, although sentence embeddings do not use it.

    Args:
        small_files: Folder with ``config.json`` of a BERT model, and its tokenizer and module files.
        out: Folder to create; it must not exist.
        seed: The same seed gives the same bytes with the same NumPy.

    Returns:
        ``out``, with ``model.safetensors`` (float32) in it.

    Raises:
        UsageError: ``small_files`` has no ``config.json``, or ``out`` exists.
        UnsupportedModelError: The config is not that of a BERT model.
    """
    config_path = small_files / "config.json"
    if not config_path.is_file():
        raise UsageError(f"{small_files} holds no config.json.", hint="Name the folder of a model's small files.")
    config: dict[str, Any] = json.loads(config_path.read_text(encoding="utf-8"))
    if config.get("model_type") != "bert":
        raise UnsupportedModelError(f"{config_path} says model_type {config.get('model_type')!r}; expected 'bert'.")
    if out.exists():
        raise UsageError(f"{out} exists already.", hint="Choose another output folder.")

    from safetensors.numpy import save_file

    for path in sorted(small_files.rglob("*")):
        if path.is_file():
            target = out / path.relative_to(small_files)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)  # contents only: the source may be read-only
    tensors = _tensors(config, np.random.default_rng(seed))
    save_file(dict(tensors), out / "model.safetensors", metadata={"format": "pt"})
    return out


def _tensors(config: dict[str, Any], rng: np.random.Generator) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Names and values of a ``BertModel``, in the order of the forward pass."""
    for name, shape in _shapes(config):
        value = rng.standard_normal(shape, dtype=np.float32)
        value *= np.float32(_STD)
        if name.endswith("LayerNorm.weight"):
            value += np.float32(1.0)
        yield name, value


def _shapes(config: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, wide = int(config["hidden_size"]), int(config["intermediate_size"])
    yield "embeddings.word_embeddings.weight", (int(config["vocab_size"]), hidden)
    yield "embeddings.position_embeddings.weight", (int(config["max_position_embeddings"]), hidden)
    yield "embeddings.token_type_embeddings.weight", (int(config.get("type_vocab_size", 2)), hidden)
    yield from _norm("embeddings.LayerNorm", hidden)
    for layer in range(int(config["num_hidden_layers"])):
        prefix = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            yield from _linear(f"{prefix}.attention.self.{part}", hidden, hidden)
        yield from _linear(f"{prefix}.attention.output.dense", hidden, hidden)
        yield from _norm(f"{prefix}.attention.output.LayerNorm", hidden)
        yield from _linear(f"{prefix}.intermediate.dense", wide, hidden)
        yield from _linear(f"{prefix}.output.dense", hidden, wide)
        yield from _norm(f"{prefix}.output.LayerNorm", hidden)
    yield from _linear("pooler.dense", hidden, hidden)


def _linear(name: str, rows: int, columns: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (rows, columns)
    yield f"{name}.bias", (rows,)


def _norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)
