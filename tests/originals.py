"""Tiny models of transformers' own classes with spread-out weights, made by transformers itself."""

from __future__ import annotations

import json

from stonnx.testing import TinyModel, make_tiny_model

_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
_OTHER_SIZES = {
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 64},
    "albert": {**_SIZES, "embedding_size": 16},
    "electra": {**_SIZES, "embedding_size": 16},
}


def make_reranker(folder, family, *, labels=1, seed=0, activation=None, **config):
    """Write a ``*ForSequenceClassification`` folder that ``CrossEncoder`` can load.

    Args:
        folder: Where to write.
        family: ``model_type``.
        labels: How many there are.
        seed: Seed of the weights.
        activation: ``activation_fn`` in ``config.json``; None leaves it out.
        config: More entries of ``config.json``.
    """
    names = {index: f"L{index}" for index in range(labels)}
    settings = {} if activation is None else {"sentence_transformers": {"activation_fn": activation}}
    return make_original(folder, family, "SequenceClassification", seed=seed, id2label=names, **settings, **config)


def make_original(folder, family, task, *, seed=0, **config):
    """Write the folder of transformers' ``AutoModelFor<task>`` of a family, and a tokenizer.

    Args:
        folder: Where to write.
        family: ``model_type``.
        task: ``SequenceClassification``, ``MaskedLM`` and others.
        seed: Seed of the weights.
        config: More entries of ``config.json``.
    """
    import torch
    import transformers

    make_tiny_model(folder, TinyModel(with_modules_json=False, head=()))
    limits = folder / "tokenizer_config.json"  # RoBERTa's first positions are no token's, and the original runs off
    limits.write_text(json.dumps(json.loads(limits.read_text()) | {"model_max_length": 48}))
    vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
    sizes = _OTHER_SIZES.get(family, _SIZES)
    settings = transformers.AutoConfig.for_model(family, vocab_size=vocabulary, **sizes, **config)
    model = getattr(transformers, f"AutoModelFor{task}").from_config(settings).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            if value.ndim > 1:
                value.copy_(1.5 * noise / value.shape[-1] ** 0.5)
            else:
                value.copy_(0.1 * noise + float("norm" in name.lower() and name.endswith("weight")))
    model.save_pretrained(folder)
    return folder
