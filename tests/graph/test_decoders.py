"""Whole models of other kinds than BERT's, from the same parts: against transformers, padded on either side.

No family of stonnx's is one of these yet. The blocks are put together here, so that what a family will say about
itself (rotary positions, shared key heads, causal attention and windows, norms of queries and keys, gates, norms
before the blocks) is known to be what transformers computes.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest

from stonnx.graph.blocks import (
    AttentionBlock,
    AttentionPattern,
    EmbeddingBlock,
    FeedForwardBlock,
    Layer,
    Linear,
    Norm,
    Projection,
    Rotary,
)
from stonnx.graph.builder import GraphBuilder, WeightFile
from stonnx.graph.dialects import Portable
from stonnx.graph.layers import author_layers
from stonnx.graph.parameters import Parameters
from tests.graph.integers import open_session

pytestmark = pytest.mark.reference

SIZES = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "max_position_embeddings": 64,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100.0},
}


def transformers_model(kind, **config):
    import torch
    import transformers

    found = getattr(transformers, f"{kind}Config")(**SIZES, **config, attn_implementation="eager")
    model = getattr(transformers, f"{kind}Model")(found).eval()
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        spread = 1.5 / math.sqrt(parameter.shape[-1]) if parameter.dim() == 2 else 0.2
        parameter.data = torch.randn(parameter.shape, generator=generator) * spread + (parameter.dim() == 1)
    return model


def layer_of(number, *, window=None, head_norms=False, biases=False):
    root, site = f"layers.{number}.", f"layer.{number}"

    def linear(name, *, bias=False):
        return Linear(f"{root}{name}.weight", f"{root}{name}.bias" if bias else None)

    def norm(name):
        return Norm(weight=f"{root}{name}.weight", bias=None, eps=1e-6, kind="rms")

    maps = tuple(linear(f"self_attn.{part}_proj", bias=biases) for part in "qkv")
    attention = AttentionBlock(
        maps=Projection(site=f"{site}.attention", linears=maps, source="norm"),
        output=Projection(site=f"{site}.output", linears=(linear("self_attn.o_proj"),), source="attention"),
        heads=4,
        key_value_heads=2,
        head_size=12,
        pattern=AttentionPattern(before=None if window is None else window - 1, after=0),
        rotary=Rotary(frequencies=tuple(100.0 ** (-2 * i / 12) for i in range(6))),
        query_norm=norm("self_attn.q_norm") if head_norms else None,
        key_norm=norm("self_attn.k_norm") if head_norms else None,
    )
    feed_forward = FeedForwardBlock(
        maps=Projection(
            site=f"{site}.feed_forward", linears=(linear("mlp.gate_proj"), linear("mlp.up_proj")), source="norm"
        ),
        output=Projection(site=f"{site}.down", linears=(linear("mlp.down_proj"),), source="activation"),
        activation="silu",
    )
    return Layer(
        attention=attention,
        feed_forward=feed_forward,
        attention_norm=norm("input_layernorm"),
        feed_forward_norm=norm("post_attention_layernorm"),
        placement="pre",
    )


def author_decoder(folder, model, layers):
    tensors = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    parameters = Parameters(_Tensors(tensors), {name: name for name in tensors}, ())
    with WeightFile(folder / "decoder.onnx_data") as weights:
        g, dialect = GraphBuilder("decoder", weights), Portable()
        inputs = dialect.declare_inputs(g, token_types=False, pairs=False, prompt_lengths=False)
        tables = EmbeddingBlock(word="embed_tokens.weight", position=None, token_type=None, norm=None)
        x = author_layers(g, parameters, dialect, inputs, dialect.embed(g, parameters, inputs, tables), layers)
        x = dialect.normalize(g, parameters, x, Norm(weight="norm.weight", bias=None, eps=1e-6, kind="rms"))
        g.output(x, "last_hidden_state", ("rows", "tokens", 32))
        onnx.save(g.model(), folder / "decoder.onnx")
    return open_session(folder / "decoder.onnx")


@pytest.mark.parametrize("padding", ["right", "left"])
@pytest.mark.parametrize(
    ("kind", "config", "options"),
    [
        ("Qwen3", {"rms_norm_eps": 1e-6}, {"head_norms": True}),
        ("Qwen2", {"rms_norm_eps": 1e-6}, {"biases": True}),
        ("Mistral", {"rms_norm_eps": 1e-6, "sliding_window": 4}, {"window": 4}),
    ],
)
def test_numbers_are_those_of_transformers(tmp_path, kind, config, options, padding):
    import torch

    model = transformers_model(kind, **config)
    session = author_decoder(tmp_path, model, [layer_of(number, **options) for number in range(2)])
    rng = np.random.default_rng(1)
    mask = np.arange(14) < np.array([[14], [9], [1]])
    mask = (mask if padding == "right" else mask[:, ::-1]).astype(np.int64)
    ids = np.where(mask == 1, rng.integers(1, 50, mask.shape), 0)
    (found,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
    with torch.no_grad():
        expected = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).last_hidden_state
    assert np.isfinite(found).all()
    assert np.abs(found - expected.numpy())[mask == 1].max() < 2e-5


class _Tensors:
    def __init__(self, tensors):
        self._tensors = tensors

    def get(self, name):
        return self._tensors[name]
