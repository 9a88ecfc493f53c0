from __future__ import annotations

import json
import shutil

import pytest

from stonnx.checkpoint import ModuleEntry, read_model
from stonnx.checkpoint.modules import read_modules
from stonnx.errors import CheckpointError, UnsupportedModelError
from stonnx.graph.modules import Normalize, Pooling


def test_modules_are_listed_in_their_order(tiny, source):
    chain = read_modules(source(tiny(head=(Pooling(), Normalize()))))
    assert (chain.transformer_path, chain.notes) == ("", ())
    assert chain.modules == (
        ModuleEntry(kind="Pooling", path="1_Pooling"),
        ModuleEntry(kind="Normalize", path="2_Normalize"),
    )


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
    assert read_modules(source(folder)).modules[1].kind == "Normalize"


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
        ("custom_st.Normalize", "custom_st.Normalize"),
        ("os.system", "os.system"),
        ("sentence_transformersx.models.Pooling", "not one of sentence-transformers' own"),
        ("sentence_transformers.sparse_encoder.modules.Pooling", "which stonnx does not convert"),
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


def test_a_bare_folder_pools_by_mean_and_says_so(tiny, source):
    chain = read_modules(source(tiny(with_modules_json=False)))
    assert chain.modules == (ModuleEntry(kind="Pooling", path=None),)
    assert "mean pooling" in chain.notes[0]


def test_a_bare_folder_honours_its_pooling(tiny, source, edit):
    folder = tiny(with_modules_json=False)
    edit(folder / "1_Pooling" / "config.json", word_embedding_dimension=32, pooling_mode_cls_token=True)
    chain = read_modules(source(folder))
    assert chain.modules == (ModuleEntry(kind="Pooling", path="1_Pooling"),)
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
