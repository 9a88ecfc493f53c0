"""Tensors that are missing, mis-shaped, unused, or spelled the old way."""

from __future__ import annotations

import numpy as np
import pytest

from stonnx.errors import CheckpointError, UnsupportedModelError
from stonnx.graph.architectures import read_architecture
from stonnx.graph.parameters import match_tensors

EXPECTED = {"a.weight": (2, 3), "a.LayerNorm.weight": (3,), "a.LayerNorm.bias": (3,)}


class Tensors:
    def __init__(self, **shapes):
        self._arrays = {name.replace("__", "."): np.zeros(shape, np.float32) for name, shape in shapes.items()}

    def names(self):
        return tuple(self._arrays)

    def shape(self, name):
        return self._arrays[name].shape

    def get(self, name):
        return self._arrays[name]


def test_prefix_and_unused():
    source = Tensors(
        bert__a__weight=(2, 3), bert__a__LayerNorm__weight=(3,), bert__a__LayerNorm__bias=(3,), pooler__weight=(1,)
    )
    parameters = match_tensors(source, EXPECTED, prefixes=("", "bert."))
    assert parameters.get("a.weight").shape == (2, 3)
    assert parameters.unused == ("pooler.weight",)


def test_gamma_and_beta_are_old_names_of_a_layer_norm():
    source = Tensors(a__weight=(2, 3), a__LayerNorm__gamma=(3,), a__LayerNorm__beta=(3,))
    assert match_tensors(source, EXPECTED, prefixes=("",)).unused == ()


def test_missing_and_misshaped_are_all_named():
    source = Tensors(a__weight=(3, 2), a__LayerNorm__weight=(3,))
    with pytest.raises(CheckpointError) as caught:
        match_tensors(source, EXPECTED, prefixes=("", "bert."))
    message = str(caught.value)
    assert "1 tensors are missing: a.LayerNorm.bias" in message
    assert "a.weight has shape (3, 2), expected (2, 3)" in message


def test_long_lists_are_cut():
    expected = {f"t{index}": (1,) for index in range(20)}
    with pytest.raises(CheckpointError, match=r"20 tensors are missing: t0, .* and 12 more"):
        match_tensors(Tensors(), expected, prefixes=("",))


BERT = {"model_type": "bert", "hidden_size": 32, "num_attention_heads": 4}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model_type": "t5"}, UnsupportedModelError, "'t5' is not authored"),
        ({"model_type": None}, CheckpointError, "no model_type"),
        ({"auto_map": {"AutoModel": "code.Model"}}, UnsupportedModelError, "brings its own code"),
        ({"position_embedding_type": "relative_key"}, UnsupportedModelError, "relative_key"),
        ({"is_decoder": True}, UnsupportedModelError, "decoder"),
        ({"hidden_act": "silu"}, UnsupportedModelError, "hidden_act is 'silu'"),
        ({"hidden_size": 33}, CheckpointError, "not a multiple"),
        ({"num_hidden_layers": 0}, CheckpointError, "num_hidden_layers is 0"),
        ({"num_hidden_layers": "12"}, CheckpointError, "num_hidden_layers is '12'"),
        ({"layer_norm_eps": "small"}, CheckpointError, "layer_norm_eps"),
    ],
)
def test_config_errors(change, error, message):
    with pytest.raises(error, match=message) as caught:
        read_architecture(BERT | change)
    assert caught.value.hint or error is CheckpointError
