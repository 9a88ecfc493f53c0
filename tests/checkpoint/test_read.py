from __future__ import annotations

import pytest

from stonnx.checkpoint import Prompts, read_model, resolve_source
from stonnx.errors import CheckpointError, UnsupportedModelError

SETTINGS = "config_sentence_transformers.json"


def test_a_whole_model(tiny):
    folder = tiny(prompts={"query": "q: "}, default_prompt_name="query", similarity="dot", max_tokens=20)
    model = read_model(resolve_source(folder))
    assert (model.name, model.revision, model.transformer_path) == (str(folder), None, "")
    assert model.config["model_type"] == "bert"
    assert (model.max_tokens, model.pad_id, model.similarity, model.truncate_dim) == (20, 0, "dot", None)
    assert model.prompts == Prompts(texts={"query": "q: "}, default_name="query")
    assert model.notes == ()


@pytest.mark.parametrize(
    ("stored", "default", "expected"),
    [
        (None, None, Prompts()),
        ({"query": None, "document": ""}, None, Prompts(texts={"document": ""})),
        ({"query": None}, "query", Prompts(texts={"query": ""}, default_name="query")),
        ({"s2s": "x"}, "document", Prompts(texts={"s2s": "x", "document": ""}, default_name="document")),
    ],
)
def test_prompts_without_a_text(tiny, edit, stored, default, expected):
    folder = tiny()
    edit(folder / SETTINGS, prompts=stored, default_prompt_name=default)
    assert read_model(resolve_source(folder)).prompts == expected


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"prompts": {"a": "x"}, "default_prompt_name": "b"}, "'b', which is not among the prompts"),
        ({"prompts": {"a": 3}}, "prompt 'a'"),
        ({"prompts": ["a"]}, "expected texts by name"),
        ({"truncate_dim": -1}, "truncate_dim"),
        ({"truncate_dim": "256"}, "truncate_dim"),
    ],
)
def test_settings_that_make_no_sense_are_named(tiny, edit, entries, message):
    folder = tiny()
    edit(folder / SETTINGS, **entries)
    with pytest.raises(CheckpointError, match=message):
        read_model(resolve_source(folder))


@pytest.mark.parametrize(("name", "kept"), [("manhattan", "manhattan"), ("maxsim", None), (None, None), (3, None)])
def test_similarity(tiny, edit, name, kept):
    folder = tiny()
    edit(folder / SETTINGS, similarity_fn_name=name, truncate_dim=16)
    model = read_model(resolve_source(folder))
    assert (model.similarity, model.truncate_dim) == (kept, 16)


@pytest.mark.parametrize("kind", ["SparseEncoder", "MultiVectorEncoder", "Oracle"])
def test_other_kinds_of_models_are_refused(tiny, edit, kind):
    folder = tiny()
    edit(folder / SETTINGS, model_type=kind)
    with pytest.raises(UnsupportedModelError, match=kind):
        read_model(resolve_source(folder))


@pytest.mark.parametrize(
    ("name", "entries", "message"),
    [
        ("config.json", {"auto_map": {"AutoModel": "modeling.Model"}}, "auto_map"),
        ("config.json", {"quantization_config": {"bits": 4}}, "quantised"),
        ("adapter_config.json", {"peft_type": "LORA"}, "adapter"),
    ],
)
def test_models_that_are_more_than_their_weights_are_refused(tiny, edit, name, entries, message):
    folder = tiny()
    edit(folder / name, **entries)
    with pytest.raises(UnsupportedModelError, match=message) as caught:
        read_model(resolve_source(folder))
    assert caught.value.hint


def test_a_model_with_code_of_its_own_is_refused_by_its_name(tiny, edit):
    folder = tiny()
    names = ["JinaBertForSequenceClassification"]
    edit(folder / "config.json", auto_map={"AutoModel": "modeling.Model"}, architectures=names)
    with pytest.raises(UnsupportedModelError, match="The model, JinaBertForSequenceClassification, comes with code"):
        read_model(resolve_source(folder))


@pytest.mark.parametrize(
    "entries",
    [
        {"transformer_task": "fill-mask"},
        {"modality_config": {"image": {"method": "forward", "method_output_name": "last_hidden_state"}}},
        {"module_output_name": "sentence_embedding"},
        {"processing_kwargs": {"text": {"max_length": 3}}},
        {"query_length": 32},
        {"query_expansion": {"strategy": "fixed", "length": 32}},
        {"tokenizer_name_or_path": "other/model"},
        {"model_args": {"num_hidden_layers": 1}},
        {"config_args": {"num_hidden_layers": 1}},
        {"from_the_future": 1},
    ],
    ids=lambda entries: next(iter(entries)),
)
def test_transformer_options_that_change_the_vectors_are_refused(tiny, edit, entries):
    folder = tiny()
    edit(folder / "sentence_bert_config.json", **entries)
    key = next(iter(entries)).replace("_args", "_kwargs")
    with pytest.raises(UnsupportedModelError, match=key):
        read_model(resolve_source(folder))


def test_transformer_options_that_change_nothing_pass(tiny, edit):
    folder = tiny()
    edit(
        folder / "sentence_bert_config.json",
        transformer_task="feature-extraction",
        modality_config={"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        module_output_name="token_embeddings",
        processing_kwargs={},
        unpad_inputs=False,
        model_args={"torch_dtype": "float16", "trust_remote_code": True},
        tokenizer_args={"trust_remote_code": True},
    )
    assert read_model(resolve_source(folder)).max_tokens == 64


@pytest.mark.parametrize("family", ["roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"])
def test_older_names_of_the_sentence_config(tiny, edit, family):
    folder = tiny()
    (folder / "sentence_bert_config.json").write_text("{}", encoding="utf-8")
    edit(folder / f"sentence_{family}_config.json", max_seq_length=11)
    assert read_model(resolve_source(folder)).max_tokens == 11


@pytest.mark.parametrize("entries", [{"max_seq_length": 0}, {"max_seq_length": "9"}, {"do_lower_case": "yes"}])
def test_sentence_config_of_the_wrong_type(tiny, edit, entries):
    folder = tiny()
    edit(folder / "sentence_bert_config.json", **entries)
    with pytest.raises(CheckpointError, match=next(iter(entries))):
        read_model(resolve_source(folder))


@pytest.mark.reference
def test_prompts_are_those_of_sentence_transformers(tiny, edit):
    from sentence_transformers import SentenceTransformer

    folder = tiny(prompts={"query": "q: "})
    edit(folder / SETTINGS, prompts={"query": None, "s2s": "x"}, default_prompt_name="document", truncate_dim=8)
    original = SentenceTransformer(str(folder), device="cpu")
    model = read_model(resolve_source(folder))
    assert {name: model.prompts.texts.get(name, "") for name in original.prompts} == original.prompts
    assert (model.prompts.default_name, model.truncate_dim) == (original.default_prompt_name, original.truncate_dim)
