"""The configuration of each head module: what is read, what is refused."""

from __future__ import annotations

from typing import get_args

import pytest

from stonnx.errors import CheckpointError, UnsupportedModelError
from stonnx.graph.modules import Dense, LayerNorm, Normalize, Pooling, PoolingMode
from stonnx.graph.modules.base import ModuleSource

DENSE = Dense(path="", in_features=32, out_features=8, bias=True, activation="Tanh")


@pytest.fixture
def read(tiny, source, edit):
    """Read the head module of ``kind`` after changing its config.json."""

    def run(module, notes=None, **entries):
        kind = type(module).__name__
        folder = tiny(head=(Pooling(modes=("mean",)), module) if kind != "Pooling" else (module,))
        path = f"{1 if kind == 'Pooling' else 2}_{kind}"
        edit(folder / path / "config.json", **entries)
        return type(module).read(ModuleSource(source(folder), path, [] if notes is None else notes))

    return run


@pytest.mark.parametrize("mode", get_args(PoolingMode))
def test_each_pooling_mode(read, mode):
    assert read(Pooling(modes=(mode,))).modes == (mode,)


def test_modes_keep_the_order_of_the_new_key(read):
    assert read(Pooling(modes=("lasttoken", "cls"))).modes == ("lasttoken", "cls")


def test_old_booleans_are_concatenated_in_a_fixed_order(read):
    flags = {"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}
    assert read(Pooling(modes=("max",)), pooling_mode=None, **flags).modes == ("cls", "mean", "lasttoken")


def test_the_new_key_wins_over_old_booleans(read):
    assert read(Pooling(modes=("max",)), pooling_mode_cls_token=True).modes == ("max",)


def test_no_mode_at_all_is_mean(read):
    assert read(Pooling(modes=("max",)), pooling_mode=None, pooling_mode_cls_token=False).modes == ("mean",)


@pytest.mark.parametrize(
    ("entries", "error", "message"),
    [
        ({"pooling_mode": "median"}, UnsupportedModelError, "'median'"),
        ({"pooling_mode": ["mean", "median"]}, UnsupportedModelError, "'median'"),
        ({"pooling_mode": []}, CheckpointError, "expected a mode"),
        ({"pooling_mode": 3}, CheckpointError, "expected a mode"),
        ({"include_prompt": "no"}, CheckpointError, "include_prompt"),
        ({"pooling_mode_attention": True}, UnsupportedModelError, "pooling_mode_attention"),
    ],
)
def test_pooling_that_makes_no_sense_is_named(read, entries, error, message):
    with pytest.raises(error, match=message):
        read(Pooling(modes=("mean",)), **entries)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("torch.nn.modules.activation.GELU", "GELU"),
        ("torch.nn.modules.linear.Identity", "Identity"),
        ("torch.nn.ReLU", "ReLU"),
        (None, "Tanh"),
    ],
)
def test_activations(read, path, name):
    assert read(DENSE, activation_function=path).activation == name


def test_an_untrusted_activation_becomes_tanh_with_a_note(read):
    notes: list[str] = []
    assert read(DENSE, notes, activation_function="os.system").activation == "Tanh"
    assert "'os.system'" in notes[0]


@pytest.mark.parametrize("path", ["torch.nn.functional.relu", "torch.hub.load", "torch.load"])
def test_an_activation_that_is_no_class_of_torch_nn_is_refused(read, path):
    with pytest.raises(UnsupportedModelError, match=path):
        read(DENSE, activation_function=path)


def test_unknown_dense_options_are_ignored_with_a_note(read):
    notes: list[str] = []
    assert read(DENSE, notes, colbert_dim=1).out_features == 8
    assert "colbert_dim" in notes[0]


@pytest.mark.parametrize(
    ("module", "entries", "error"),
    [
        (DENSE, {"in_features": 0}, CheckpointError),
        (DENSE, {"out_features": "8"}, CheckpointError),
        (DENSE, {"bias": 1}, CheckpointError),
        (DENSE, {"activation_function": 7}, CheckpointError),
        (DENSE, {"module_input_name": "token_embeddings"}, UnsupportedModelError),
        (DENSE, {"module_output_name": "other"}, UnsupportedModelError),
        (LayerNorm(path="", dimension=32), {"dimension": True}, CheckpointError),
    ],
)
def test_options_outside_the_plan_are_errors(read, module, entries, error):
    with pytest.raises(error, match=next(iter(entries))):
        read(module, **entries)


def test_a_missing_configuration_is_an_error_except_for_normalize(tiny, source):
    folder = tiny()
    (folder / "1_Pooling" / "config.json").unlink()
    (folder / "2_Normalize" / "config.json").unlink()
    Normalize.read(ModuleSource(source(folder), "2_Normalize", []))
    with pytest.raises(CheckpointError, match="does not exist"):
        Pooling.read(ModuleSource(source(folder), "1_Pooling", []))


@pytest.mark.reference
@pytest.mark.parametrize("legacy", [False, True])
def test_sentence_transformers_reads_the_same_modes(tiny, source, edit, legacy):
    from sentence_transformers.sentence_transformer.modules import Pooling as Original

    folder = tiny(head=(Pooling(modes=("lasttoken", "mean", "cls")),), legacy_pooling_config=legacy)
    original = Original.load(str(folder), subfolder="1_Pooling")
    assert Pooling.read(ModuleSource(source(folder), "1_Pooling", [])).modes == original.pooling_mode
