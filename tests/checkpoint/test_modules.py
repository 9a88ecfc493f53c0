from __future__ import annotations

import json
import shutil

import pytest

from stonnx.checkpoint import Dense, LayerNorm, Normalize, Pooling, read_model
from stonnx.checkpoint.modules import read_modules
from stonnx.errors import CheckpointError, UnsupportedModelError

HEAD = (
    Pooling(modes=("cls", "mean"), include_prompt=False),
    Dense(path="2_Dense", in_features=64, out_features=16, bias=False, activation="GELU", use_residual=True),
    LayerNorm(path="3_LayerNorm", dimension=16),
    Normalize(),
)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("old_types", [False, True])
def test_both_generations_give_the_same_head(tiny, source, legacy, old_types):
    folder = tiny(head=HEAD, legacy_pooling_config=legacy, old_module_types=old_types)
    chain = read_modules(source(folder))
    assert (chain.transformer_path, chain.head, chain.notes) == ("", HEAD, ())


@pytest.mark.parametrize(
    "prefix",
    [
        "sentence_transformers.models",
        "sentence_transformers.models.Normalize",
        "sentence_transformers.base.modules",
        "sentence_transformers.base.modules.normalize",
        "sentence_transformers.sentence_transformer.modules",
        "sentence_transformers.sentence_transformer.modules.normalize",
    ],
)
def test_every_path_that_sentence_transformers_knows_is_known(tiny, source, prefix):
    folder = tiny()
    _set_module(folder, 2, type=f"{prefix}.Normalize")
    assert read_modules(source(folder)).head == (Pooling(modes=("mean",)), Normalize())


def _set_module(folder, index, **entries):
    path = folder / "modules.json"
    modules = json.loads(path.read_text(encoding="utf-8"))
    while len(modules) <= index:
        modules.append({})
    modules[index] |= entries
    path.write_text(json.dumps(modules), encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("sentence_transformers.models.CNN", "CNN module"),
        ("sentence_transformers.models.WeightedLayerPooling", "WeightedLayerPooling module"),
        ("sentence_transformers.base.modules.router.Router", "Router module"),
        ("custom_st.Normalize", "custom_st.Normalize"),
        ("os.system", "os.system"),
        ("sentence_transformers.sparse_encoder.modules.Pooling", "not one of sentence-transformers' own"),
    ],
)
def test_other_modules_are_named(tiny, source, kind, message):
    folder = tiny()
    _set_module(folder, 2, type=kind)
    with pytest.raises(UnsupportedModelError, match=message) as caught:
        read_modules(source(folder))
    assert caught.value.hint


@pytest.mark.parametrize("path", ["../1_Pooling", "/etc", "1_Pooling/../../x"])
def test_module_paths_stay_inside(tiny, source, path):
    folder = tiny()
    _set_module(folder, 1, path=path)
    with pytest.raises(CheckpointError, match="leaves the folder"):
        read_modules(source(folder))


def test_the_transformer_comes_first(tiny, source):
    folder = tiny()
    _set_module(folder, 0, type="sentence_transformers.models.StaticEmbedding")
    with pytest.raises(UnsupportedModelError, match="first module is StaticEmbedding"):
        read_modules(source(folder))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ((), "followed by no module"),
        ((Normalize(), Pooling(modes=("mean",))), "followed by Normalize"),
        ((Pooling(modes=("mean",)), Pooling(modes=("cls",))), "more than one Pooling"),
    ],
)
def test_orders_that_make_no_sentence_vector_are_refused(tiny, source, head, message):
    with pytest.raises(UnsupportedModelError, match=message):
        read_modules(source(tiny(head=head)))


def test_dropout_is_skipped_with_a_note(tiny, source, edit):
    folder = tiny()
    _set_module(folder, 3, path="3_Dropout", type="sentence_transformers.models.Dropout")
    edit(folder / "3_Dropout" / "config.json", dropout=0.2)
    chain = read_modules(source(folder))
    assert chain.head == (Pooling(modes=("mean",)), Normalize())
    assert "3_Dropout" in chain.notes[0]


def test_a_bare_folder_pools_by_mean_and_says_so(tiny, source):
    chain = read_modules(source(tiny(with_modules_json=False)))
    assert chain.head == (Pooling(modes=("mean",)),)
    assert "mean pooling" in chain.notes[0]


def test_a_bare_folder_honours_its_pooling(tiny, source, edit):
    folder = tiny(with_modules_json=False)
    edit(folder / "1_Pooling" / "config.json", word_embedding_dimension=32, pooling_mode_cls_token=True)
    chain = read_modules(source(folder))
    assert chain.head == (Pooling(modes=("cls",)),)
    assert "1_Pooling/config.json" in chain.notes[0]


def test_the_transformer_may_lie_in_a_subfolder(tiny, source):
    folder = tiny(tokenizer="bpe", max_tokens=20)
    inside = folder / "0_Transformer"
    inside.mkdir()
    kept = {"modules.json", "config_sentence_transformers.json"}
    for path in [p for p in folder.iterdir() if p.is_file() and p.name not in kept]:
        shutil.move(path, inside / path.name)
    _set_module(folder, 0, path="0_Transformer")
    model = read_model(source(folder))
    assert (model.transformer_path, model.max_tokens, model.config["hidden_size"]) == ("0_Transformer", 20, 32)


@pytest.mark.parametrize("text", ["{}", "[]", "[1]", '[{"type": "x"}]', "[{", '[{"type": 1, "path": ""}]'])
def test_damaged_modules_are_refused(tiny, source, text):
    folder = tiny()
    (folder / "modules.json").write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"modules\.json"):
        read_modules(source(folder))
