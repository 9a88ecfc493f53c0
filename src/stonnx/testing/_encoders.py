"""The configuration and the weights of tiny encoders, family by family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stonnx.graph.architectures import read_architecture
from stonnx.testing._random import Floats, random_matrix, random_norm, random_vector
from stonnx.testing.tiny_model import TinyFamily, TinyModel

__all__ = ["encoder_config", "encoder_weights"]

_CLASSES: Mapping[TinyFamily, str] = {
    "albert": "AlbertModel",
    "bert": "BertModel",
    "camembert": "CamembertModel",
    "distilbert": "DistilBertModel",
    "electra": "ElectraModel",
    "mpnet": "MPNetModel",
    "roberta": "RobertaModel",
    "xlm-roberta": "XLMRobertaModel",
}
_OWN_NAMES: Mapping[TinyFamily, Mapping[str, str]] = {
    "distilbert": {
        "hidden_size": "dim",
        "intermediate_size": "hidden_dim",
        "num_attention_heads": "n_heads",
        "num_hidden_layers": "n_layers",
        "hidden_act": "activation",
    }
}
# Narrow tables, so that the map to the width of the layers is there.
_MORE: Mapping[TinyFamily, Mapping[str, object]] = {"albert": {"embedding_size": 16}, "electra": {"embedding_size": 16}}

_POOLERS: Mapping[TinyFamily, str] = {
    "albert": "pooler",
    "camembert": "pooler.dense",
    "roberta": "pooler.dense",
    "xlm-roberta": "pooler.dense",
}


def encoder_config(model: TinyModel, vocab_size: int) -> dict[str, Any]:
    """What goes into ``config.json``."""
    usual = {
        "architectures": [_CLASSES[model.family]],
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": model.hidden_act,
        "hidden_dropout_prob": 0.1,
        "hidden_size": model.hidden,
        "initializer_range": 0.02,
        "intermediate_size": 2 * model.hidden,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": model.positions,
        "model_type": model.family,
        "num_attention_heads": 4,
        "num_hidden_layers": model.layers,
        "pad_token_id": 0,
        "position_embedding_type": "absolute",
        "torch_dtype": model.dtype,
        "type_vocab_size": 2,
        "vocab_size": vocab_size,
    }
    names = _OWN_NAMES.get(model.family, {})
    config = {names.get(key, key): value for key, value in usual.items()}
    return {**config, **_MORE.get(model.family, {}), **model.config}


def encoder_weights(model: TinyModel, config: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Floats]:
    """Random tensors of an encoder, by name."""
    if model.family in _LAYER_PARTS:
        return _bert_weights(model, config["vocab_size"], rng)
    _, encoder = read_architecture(config)
    tensors = {name: _random(name, shape, rng) for name, shape in encoder.expected_tensors().items()}
    if (pooler := _POOLERS.get(model.family)) is not None:  # as in real checkpoints, although embeddings do not use it
        tensors[f"{pooler}.weight"] = random_matrix(rng, encoder.width, encoder.width)
        tensors[f"{pooler}.bias"] = random_vector(rng, encoder.width)
    return tensors


def _random(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    if len(shape) == 2:
        return random_matrix(rng, *shape)
    is_factor = name.lower().endswith(("layernorm.weight", "layer_norm.weight"))
    return random_vector(rng, shape[0], around=1.0 if is_factor else 0.0)


# Names of a layer's parts below ``encoder.layer.N``: query, key, value, projection, the norm of the attention.
_LAYER_PARTS = {
    "bert": (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "attention.output.LayerNorm",
    ),
    "mpnet": ("attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o", "attention.LayerNorm"),
}


def _bert_weights(model: TinyModel, vocab_size: int, rng: np.random.Generator) -> dict[str, Floats]:
    """In the order in which the numbers of older tests were drawn, pooler included."""
    hidden, wide = model.hidden, 2 * model.hidden
    tensors = {
        "embeddings.word_embeddings.weight": random_matrix(rng, vocab_size, hidden),
        "embeddings.position_embeddings.weight": random_matrix(rng, model.positions, hidden),
        "pooler.dense.weight": random_matrix(rng, hidden, hidden),
        "pooler.dense.bias": random_vector(rng, hidden),
        **random_norm("embeddings.LayerNorm", hidden, rng),
    }
    if model.family == "bert":
        tensors["embeddings.token_type_embeddings.weight"] = random_matrix(rng, 2, hidden)
    else:
        tensors["encoder.relative_attention_bias.weight"] = random_matrix(rng, 32, 4)
    query, key, value, projection, norm = _LAYER_PARTS[model.family]
    shapes = {
        query: (hidden, hidden),
        key: (hidden, hidden),
        value: (hidden, hidden),
        projection: (hidden, hidden),
        "intermediate.dense": (wide, hidden),
        "output.dense": (hidden, wide),
    }
    for layer in range(model.layers):
        prefix = f"encoder.layer.{layer}"
        for name, shape in shapes.items():
            tensors[f"{prefix}.{name}.weight"] = random_matrix(rng, *shape)
            tensors[f"{prefix}.{name}.bias"] = random_vector(rng, shape[0])
        tensors |= random_norm(f"{prefix}.{norm}", hidden, rng)
        tensors |= random_norm(f"{prefix}.output.LayerNorm", hidden, rng)
    return tensors
