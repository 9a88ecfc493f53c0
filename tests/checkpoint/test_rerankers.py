"""Cross-encoders without torch: which folders are one, labels, activations, and what is refused."""

from __future__ import annotations

import json

import pytest

from stonnx.checkpoint import Classification, Prompts, Weights, read_model, resolve_source
from stonnx.errors import CheckpointError, StonnxError, UnsupportedModelError
from stonnx.graph import make_blueprint
from tests.checkpoint.test_hostile import variations

SETTINGS = "config_sentence_transformers.json"
SENTENCE = "sentence_bert_config.json"
TRANSFORMER = "sentence_transformers.base.modules.transformer.Transformer"
TASK = {
    "transformer_task": "sequence-classification",
    "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
    "module_output_name": "scores",
}


@pytest.fixture
def bare(tiny, edit):
    """A folder as transformers saves a classifier; keyword arguments go into config.json."""

    def write(**config):
        folder = tiny(with_modules_json=False)
        one = {"id2label": {"0": "LABEL_0"}} if "id2label" not in config and "num_labels" not in config else {}
        edit(folder / "config.json", **{"architectures": ["BertForSequenceClassification"], **one, **config})
        return folder

    return write


@pytest.fixture
def saved(bare, edit):
    """A folder as CrossEncoder of sentence-transformers 6 saves it; keyword arguments go into its settings."""

    def write(*, config=None, sentence=None, modules=((TRANSFORMER, ""),), **settings):
        folder = bare(**(config or {}))
        entries = [{"idx": n, "name": str(n), "path": path, "type": kind} for n, (kind, path) in enumerate(modules)]
        (folder / "modules.json").write_text(json.dumps(entries), encoding="utf-8")
        stored = {"model_type": "CrossEncoder", "prompts": {}, "default_prompt_name": None, **settings}
        (folder / SETTINGS).write_text(json.dumps(stored), encoding="utf-8")
        edit(folder / SENTENCE, **{**TASK, **(sentence or {})})
        return folder

    return write


def read(folder):
    return read_model(resolve_source(folder))


def test_a_bare_classifier_is_a_reranker_and_says_so(bare):
    model = read(bare())
    assert (model.kind, model.modules) == ("reranker", ())
    assert model.classification == Classification(labels=("LABEL_0",), activation="Sigmoid")
    assert "cross-encoder" in model.notes[0]
    assert "BertForSequenceClassification" in model.notes[0]
    assert (model.token_types, model.similarity, model.truncate_dim) == (True, None, None)


def test_a_saved_cross_encoder_is_a_reranker_without_a_word(saved):
    model = read(saved())
    assert (model.kind, model.modules, model.notes) == ("reranker", (), ())


@pytest.mark.parametrize("with_modules_json", [True, False])
def test_an_embedding_model_stays_one(tiny, edit, with_modules_json):
    """Its config.json may say anything: it was loaded without the classifier."""
    folder = tiny()
    edit(folder / "config.json", architectures=["BertForSequenceClassification"])
    if not with_modules_json:  # the pooling, or the kind in the settings, says what it is
        (folder / "modules.json").unlink()
        (folder / SETTINGS).unlink()
    model = read(folder)
    assert (model.kind, model.classification) == ("embedding", None)
    assert next(module.kind for module in model.modules) == "Pooling"


def test_settings_of_an_embedding_model_make_an_embedding_of_a_bare_folder(bare, edit):
    folder = bare()
    edit(folder / SETTINGS, model_type="SentenceTransformer")
    assert read(folder).kind == "embedding"


@pytest.mark.parametrize("names", [None, [], ["BertModel"], ["BertForMaskedLM"], ["BertForTokenClassification"]])
def test_other_bare_folders_stay_embeddings(tiny, edit, names):
    folder = tiny(with_modules_json=False)
    edit(folder / "config.json", architectures=names)
    assert read(folder).kind == "embedding"


@pytest.mark.parametrize(
    ("config", "labels"),
    [
        ({"id2label": {"0": "no", "1": "yes"}}, ("no", "yes")),
        ({"id2label": {"1": "yes", "0": "no"}}, ("no", "yes")),
        ({"id2label": {"0": 0, "1": 1, "2": 2}}, ("0", "1", "2")),
        ({"id2label": None}, ("LABEL_0", "LABEL_1")),  # two are the default of transformers
        ({"id2label": None, "num_labels": 3}, ("LABEL_0", "LABEL_1", "LABEL_2")),
        ({"id2label": {"0": "no", "1": "yes"}, "num_labels": 2}, ("no", "yes")),
        ({"id2label": {"0": "no", "1": "yes"}, "num_labels": 1}, ("LABEL_0",)),
        ({"id2label": {"0": "a", "7": "b"}}, ("a", "LABEL_1")),
        ({"id2label": {"0": "a", "00": "b"}}, ("b",)),
    ],
)
def test_labels(bare, config, labels):
    found = read(bare(**config)).classification
    assert found == Classification(labels=labels, activation="Sigmoid" if len(labels) == 1 else "Identity")


def test_a_cross_encoder_over_another_checkpoint_has_one_label(saved):
    folder = saved(config={"architectures": ["BertModel"], "id2label": None})
    assert read(folder).classification == Classification(labels=("LABEL_0",), activation="Sigmoid")


IDENTITY, TANH = "torch.nn.modules.linear.Identity", "torch.nn.Tanh"
OLD_TANH = {"sbert_ce_default_activation_function": TANH}


@pytest.mark.parametrize(
    ("settings", "inner", "older", "activation", "notes"),
    [
        (None, {"activation_fn": IDENTITY, "version": "4.1.0"}, OLD_TANH, "Identity", 0),
        (None, {"activation_fn": None}, OLD_TANH, "Sigmoid", 0),
        (None, {"version": "4.1.0"}, OLD_TANH, "Tanh", 0),
        (None, None, OLD_TANH, "Tanh", 0),
        (None, None, {"sbert_ce_default_activation_function": None}, "Sigmoid", 0),
        (TANH, {"activation_fn": IDENTITY}, {}, "Tanh", 0),
        ("my.Act", {"activation_fn": IDENTITY}, {}, "Identity", 1),
        ("my.Act", {"activation_fn": "my.Act"}, {}, "Sigmoid", 2),
        ("my.Act", None, {}, "Sigmoid", 1),
    ],
)
def test_activations(saved, settings, inner, older, activation, notes):
    model = read(saved(config={"sentence_transformers": inner, **older}, activation_fn=settings))
    assert (model.classification.activation, len(model.notes)) == (activation, notes)


@pytest.mark.parametrize(
    "path",
    ["torch.hub.load", "torch.nn.functional.sigmoid", "torch.nn.modules.activation", "torch.nn.Tanh()", "torch."],
)
def test_an_activation_of_torch_that_is_no_class_of_nn_is_refused(bare, path):
    folder = bare(sentence_transformers={"activation_fn": path})
    with pytest.raises(UnsupportedModelError, match=r"config\.json: sentence_transformers: activation_fn is") as caught:
        read(folder)
    assert "torch.nn.Sigmoid" in (caught.value.hint or "")


def test_prompts_travel_with_a_saved_cross_encoder(saved):
    folder = saved(prompts={"query": "q: ", "none": None}, default_prompt_name="query")
    assert read(folder).prompts == Prompts(texts={"query": "q: "}, default_name="query")


def test_no_prompt_stands_by_itself(saved):
    """An embedding model has a query and a document prompt in any case; a cross-encoder has not."""
    with pytest.raises(CheckpointError, match="default_prompt_name is 'query'"):
        read(saved(default_prompt_name="query"))


def test_settings_beside_a_bare_cross_encoder_do_not_count(bare, edit):
    """CrossEncoder reads neither file without a modules.json."""
    folder = bare()
    edit(folder / SETTINGS, model_type="CrossEncoder", activation_fn=TANH, prompts={"query": "q: "})
    edit(folder / SENTENCE, max_seq_length=7, do_lower_case=True)
    model = read(folder)
    assert (model.classification.activation, model.prompts, model.max_tokens) == ("Sigmoid", Prompts(), 64)
    assert model.max_seq_length is None


def test_settings_of_a_saved_one_count(saved):
    model = read(saved(sentence={"max_seq_length": 7}))
    assert (model.max_tokens, model.max_seq_length) == (7, 7)


@pytest.mark.parametrize(
    ("sentence", "key"),
    [
        ({"transformer_task": "feature-extraction"}, "transformer_task"),
        ({"transformer_task": None}, "transformer_task"),  # the default is token vectors
        ({"transformer_task": "text-generation"}, "transformer_task"),
        ({"module_output_name": "token_embeddings"}, "module_output_name"),
        ({"modality_config": {"message": {}}}, "modality_config"),
        ({"config_kwargs": {"num_labels": 3}}, "config_kwargs"),
    ],
)
def test_transformers_that_give_no_scores_are_refused(saved, sentence, key):
    with pytest.raises(UnsupportedModelError, match=rf"{key} is") as caught:
        read(saved(sentence=sentence))
    assert "sequence-classification" in (caught.value.hint or "")


def test_an_embedding_model_that_gives_scores_is_refused(tiny, edit):
    folder = tiny()
    edit(folder / SENTENCE, **TASK)
    with pytest.raises(UnsupportedModelError, match="transformer_task"):
        read(folder)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("sentence_transformers.cross_encoder.modules.logit_score.LogitScore", "1_LogitScore"),
        ("sentence_transformers.sentence_transformer.modules.pooling.Pooling", "1_Pooling"),
        ("sentence_transformers.base.modules.dense.Dense", "1_Dense"),
    ],
)
def test_other_chains_are_refused_by_name(saved, kind, path):
    with pytest.raises(UnsupportedModelError, match=kind.rpartition(".")[2]) as caught:
        read(saved(modules=((TRANSFORMER, ""), (kind, path))))
    assert "ForSequenceClassification" in (caught.value.hint or "")


def test_a_language_model_that_scores_is_refused_by_name(bare, edit):
    folder = bare(architectures=["Qwen3ForCausalLM"])
    edit(folder / SETTINGS, model_type="CrossEncoder")
    with pytest.raises(UnsupportedModelError, match="Qwen3ForCausalLM") as caught:
        read(folder)
    assert "ForSequenceClassification" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["chat_template.jinja", "chat_template.json", "tokenizer_config.json"])
def test_a_chat_template_would_wrap_the_pairs(bare, edit, name):
    folder = bare()
    if name == "tokenizer_config.json":
        edit(folder / name, chat_template="{{ messages }}")
    else:
        (folder / name).write_text("{}", encoding="utf-8")
    with pytest.raises(UnsupportedModelError, match="chat template") as caught:
        read(folder)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"architectures": "BertForSequenceClassification"}, "architectures"),
        ({"architectures": [None]}, "architectures"),
        ({"id2label": ["a"]}, "id2label"),
        ({"id2label": {}}, "id2label has 0 labels"),
        ({"id2label": {"x": "a"}}, "id2label"),
        ({"id2label": {"-1": "a"}}, "id2label"),
        ({"id2label": {"²": "a"}}, "id2label"),
        ({"id2label": {"9" * 5000: "a"}}, "id2label"),
        ({"id2label": {"0": None}}, "id2label"),
        ({"id2label": {"0": ["a"]}}, "id2label"),
        ({"id2label": {"0": True}}, "id2label"),
        ({"id2label": {str(n): "x" for n in range(10_001)}}, "10001 labels"),
        ({"num_labels": 10**12}, "num_labels"),
        ({"num_labels": 0}, "num_labels"),
        ({"num_labels": True}, "num_labels"),
        ({"num_labels": "1"}, "num_labels"),
        ({"sentence_transformers": []}, "sentence_transformers"),
        ({"sentence_transformers": {"activation_fn": 3}}, "activation_fn"),
        ({"sbert_ce_default_activation_function": ["torch.nn.Tanh"]}, "sbert_ce_default_activation_function"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else None,
)
def test_values_that_make_no_sense_are_named(bare, config, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        read(bare(**config))
    assert "config.json" in caught.value.message
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize("name", ["config.json", SETTINGS, SENTENCE, "modules.json"])
def test_junk_anywhere_is_an_error_of_ours_or_nothing(saved, name):
    config = {"sentence_transformers": {"activation_fn": TANH}, "num_labels": 1}
    folder = saved(config=config, activation_fn=TANH, prompts={"query": "q: "})
    original = json.loads((folder / name).read_text(encoding="utf-8"))
    refused = 0
    for value in variations(original):
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
        try:
            read(folder)
        except StonnxError:
            refused += 1
    assert refused


def test_a_reranker_is_never_drawn_as_an_embedding(bare):
    """Whoever authors it must put the classifier into the graph, or refuse."""
    source = resolve_source(bare())
    with Weights.open(source) as weights, pytest.raises(StonnxError):
        make_blueprint(source, read_model(source), weights)
