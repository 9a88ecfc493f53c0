"""The chain of head modules: read from a folder, and refused where it makes no sense."""

from __future__ import annotations

import json

import pytest

from stonnx.artifact import Output
from stonnx.checkpoint import read_model
from stonnx.errors import UnsupportedModelError
from stonnx.graph.modules import Dense, LayerNorm, Normalize, Pooling, read_chain

HEAD = (
    Pooling(modes=("cls", "mean"), include_prompt=False),
    Dense(path="2_Dense", in_features=64, out_features=16, bias=False, activation="GELU", use_residual=True),
    LayerNorm(path="3_LayerNorm", dimension=16),
    Normalize(),
)


@pytest.fixture
def read(source):
    """A function: a model's folder in, its chain out."""

    def run(folder):
        model = source(folder)
        return read_chain(model, read_model(model), family="bert", width=32)

    return run


def append_module(folder, kind, path):
    names = folder / "modules.json"
    modules = json.loads(names.read_text(encoding="utf-8"))
    names.write_text(json.dumps([*modules, {"type": kind, "path": path}]), encoding="utf-8")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("old_types", [False, True])
def test_both_generations_give_the_same_head(tiny, read, legacy, old_types):
    chain = read(tiny(head=HEAD, legacy_pooling_config=legacy, old_module_types=old_types))
    assert (chain.modules, chain.notes) == (HEAD, ())
    assert chain.outputs == (Output(name="sentence_embedding", kind="sentence_embedding", dimension=16),)
    assert chain.excludes_prompt


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("sentence_transformers.models.CNN", "CNN module"),
        ("sentence_transformers.models.WeightedLayerPooling", "WeightedLayerPooling module"),
        ("sentence_transformers.base.modules.router.Router", "Router module"),
    ],
)
def test_other_modules_are_named(tiny, read, kind, message):
    folder = tiny()
    append_module(folder, kind, "3_Other")
    with pytest.raises(UnsupportedModelError, match=message) as caught:
        read(folder)
    assert "Transformer, Pooling, Dense, LayerNorm, Normalize and Dropout" in caught.value.hint


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ((), "followed by no module"),
        ((Normalize(), Pooling(modes=("mean",))), "followed by Normalize"),
        ((Pooling(modes=("mean",)), Pooling(modes=("cls",))), "more than one Pooling"),
    ],
)
def test_orders_that_make_no_sentence_vector_are_refused(tiny, read, head, message):
    with pytest.raises(UnsupportedModelError, match=message):
        read(tiny(head=head))


def test_dropout_is_skipped_with_a_note(tiny, read, edit):
    folder = tiny()
    append_module(folder, "sentence_transformers.models.Dropout", "3_Dropout")
    edit(folder / "3_Dropout" / "config.json", dropout=0.2)
    chain = read(folder)
    assert chain.modules == (Pooling(modes=("mean",)), Normalize())
    assert "3_Dropout" in chain.notes[0]


def test_a_bare_folder_pools_by_mean(tiny, read):
    assert read(tiny(with_modules_json=False)).modules == (Pooling(modes=("mean",)),)


def test_a_bare_folder_honours_its_pooling(tiny, read, edit):
    folder = tiny(with_modules_json=False)
    edit(folder / "1_Pooling" / "config.json", word_embedding_dimension=32, pooling_mode_cls_token=True)
    assert read(folder).modules == (Pooling(modes=("cls",)),)
