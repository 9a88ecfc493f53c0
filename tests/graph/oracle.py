"""Plain NumPy twins, float64, of what the graphs compute: slow, obvious, and independent of ONNX."""

from __future__ import annotations

import math

import numpy as np

_ERF = np.vectorize(math.erf, otypes=[np.float64])


def layer_norm(x, weight, bias, eps):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps) * weight + bias


def softmax(x, axis=-1):
    shifted = np.exp(x - x.max(axis, keepdims=True))
    return shifted / shifted.sum(axis, keepdims=True)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def gelu(x):
    return 0.5 * x * (1.0 + _ERF(x / math.sqrt(2.0)))


def gelu_tanh(x):
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def relu(x):
    return np.maximum(x, 0.0)


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805

ACTIVATIONS = {
    "AlphaDropout": lambda x: x,
    "CELU": lambda x: np.where(x > 0, x, np.expm1(x)),
    "Dropout": lambda x: x,
    "ELU": lambda x: np.where(x > 0, x, np.expm1(x)),
    "FeatureAlphaDropout": lambda x: x,
    "Flatten": lambda x: x,
    "GELU": gelu,
    "GLU": lambda x: x[:, : x.shape[1] // 2] * sigmoid(x[:, x.shape[1] // 2 :]),
    "Hardshrink": lambda x: np.where(np.abs(x) > 0.5, x, 0.0),
    "Hardsigmoid": lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "Hardswish": lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "Hardtanh": lambda x: np.clip(x, -1.0, 1.0),
    "Identity": lambda x: x,
    "LeakyReLU": lambda x: np.where(x >= 0, x, 0.01 * x),
    "LogSigmoid": lambda x: -softplus(-x),
    "LogSoftmax": lambda x: np.log(softmax(x, 1)),
    "Mish": lambda x: x * np.tanh(softplus(x)),
    "PReLU": lambda x: np.where(x >= 0, x, 0.25 * x),
    "RReLU": lambda x: np.where(x >= 0, x, (1 / 8 + 1 / 3) / 2 * x),
    "ReLU": relu,
    "ReLU6": lambda x: np.clip(x, 0.0, 6.0),
    "SELU": lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(x)),
    "SiLU": lambda x: x * sigmoid(x),
    "Sigmoid": sigmoid,
    "Softmax": lambda x: softmax(x, 1),
    "Softmin": lambda x: softmax(-x, 1),
    "Softplus": softplus,
    "Softshrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0.0),
    "Softsign": lambda x: x / (1.0 + np.abs(x)),
    "Tanh": np.tanh,
    "Tanhshrink": lambda x: x - np.tanh(x),
}
"""By class name in torch.nn, with that class's default parameters."""

_HIDDEN_ACTIVATIONS = {"gelu": gelu, "gelu_new": gelu_tanh, "gelu_pytorch_tanh": gelu_tanh, "relu": relu}


_BERT = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
_MPNET = ("attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o")


def bert(weights, config, input_ids, mask):
    """BERT's last hidden state, shape (rows, tokens, width). ``weights`` is called with a tensor name."""
    t = _Tensors(weights, config)
    x = t("embeddings.word_embeddings.weight")[input_ids] + t("embeddings.token_type_embeddings.weight")[0]
    x = t.norm(x + t("embeddings.position_embeddings.weight")[: input_ids.shape[1]], "embeddings.LayerNorm")
    return _layers(t, x, mask, _BERT, "attention.output.LayerNorm", 0.0)


def mpnet(weights, config, input_ids, mask):
    """MPNet's last hidden state: positions count real tokens from 2, and scores have a bias by distance."""
    t = _Tensors(weights, config)
    real = input_ids != 1
    positions = np.cumsum(real, axis=1) * real + 1
    x = t("embeddings.word_embeddings.weight")[input_ids] + t("embeddings.position_embeddings.weight")[positions]
    tokens = range(input_ids.shape[1])
    buckets = np.array([[_bucket(key - query) for key in tokens] for query in tokens])
    bias = t("encoder.relative_attention_bias.weight")[buckets].transpose(2, 0, 1)[None]
    return _layers(t, t.norm(x, "embeddings.LayerNorm"), mask, _MPNET, "attention.LayerNorm", bias)


def _bucket(distance):
    n = abs(distance)
    if n >= 8:
        n = min(8 + int(np.float32(math.log(n / 8)) / np.float32(math.log(16)) * np.float32(8)), 15)
    return n + 16 * (distance > 0)


class _Tensors:
    def __init__(self, weights, config):
        self._weights = weights
        self.config = config

    def __call__(self, name):
        return self._weights(name).astype(np.float64)

    def linear(self, x, root):
        return x @ self(f"{root}.weight").T + self(f"{root}.bias")

    def norm(self, x, root):
        return layer_norm(x, self(f"{root}.weight"), self(f"{root}.bias"), self.config["layer_norm_eps"])


def _layers(t, x, mask, names, attention_norm, score_bias):
    rows, tokens, width = x.shape
    heads = t.config["num_attention_heads"]
    bias = np.where(mask[:, None, None, :] > 0, 0.0, -np.inf) + score_bias
    for layer in range(t.config["num_hidden_layers"]):
        root = f"encoder.layer.{layer}"
        q, k, v = (
            t.linear(x, f"{root}.{part}").reshape(rows, tokens, heads, -1).transpose(0, 2, 1, 3) for part in names[:3]
        )
        scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(width // heads) + bias
        context = (softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(rows, tokens, width)
        x = t.norm(t.linear(context, f"{root}.{names[3]}") + x, f"{root}.{attention_norm}")
        inner = _HIDDEN_ACTIVATIONS[t.config["hidden_act"]](t.linear(x, f"{root}.intermediate.dense"))
        x = t.norm(t.linear(inner, f"{root}.output.dense") + x, f"{root}.output.LayerNorm")
    return x


def pool(hidden, mask, mode, prompt_length=0):
    """One pooled vector per row, written as sentence-transformers documents the modes."""
    vectors = []
    for tokens, row in zip(hidden, mask, strict=True):
        real = np.flatnonzero(row)
        kept = real[prompt_length:]
        ranks = dict(zip(real, range(1, len(real) + 1), strict=True))
        vectors.append(_pool_row(tokens, kept, ranks, mode))
    return np.stack(vectors)


def _pool_row(tokens, kept, ranks, mode):
    if mode == "cls":
        return tokens[kept[0]]
    if mode == "lasttoken":
        return tokens[kept[-1]]
    chosen = tokens[kept]
    if mode == "max":
        return chosen.max(0)
    if mode == "mean":
        return chosen.mean(0)
    if mode == "mean_sqrt_len_tokens":
        return chosen.sum(0) / math.sqrt(len(kept))
    weights = np.array([ranks[index] for index in kept], dtype=np.float64)
    return (chosen * weights[:, None]).sum(0) / weights.sum()


_CLASSIFIERS = {
    "albert": ("albert.pooler", np.tanh, "classifier"),
    "bert": ("bert.pooler.dense", np.tanh, "classifier"),
    "distilbert": ("pre_classifier", relu, "classifier"),
    "electra": ("classifier.dense", gelu, "classifier.out_proj"),
    **dict.fromkeys(
        ("camembert", "mpnet", "roberta", "xlm-roberta"), ("classifier.dense", np.tanh, "classifier.out_proj")
    ),
}


def classify(weights, family, hidden):
    """Logits of token vectors, shape (rows, labels). ``weights`` is called with a tensor name."""
    first, activation, last = _CLASSIFIERS[family]
    t = _Tensors(weights, {})
    return t.linear(activation(t.linear(hidden[:, 0].astype(np.float64), first)), last)


def normalize(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
