"""What is read of a cross-encoder, held against sentence-transformers' CrossEncoder, family by family."""

from __future__ import annotations

import json

import pytest

from stonnx.checkpoint import Weights, read_model, resolve_source
from stonnx.testing._tokenizers import build_tokenizer
from tests.checkpoint.test_tokenizer import TEXTS

pytestmark = pytest.mark.reference

CLASSES = {
    "bert": ("BertTokenizer", "wordpiece"),
    "roberta": ("RobertaTokenizer", "bpe"),
    "xlm-roberta": ("XLMRobertaTokenizer", "unigram"),
    "camembert": ("CamembertTokenizer", "unigram"),
    "distilbert": ("DistilBertTokenizer", "wordpiece"),
    "electra": ("ElectraTokenizer", "wordpiece"),
    "mpnet": ("MPNetTokenizer", "wordpiece"),
    "albert": ("AlbertTokenizer", "unigram"),
}
ROLES = {
    "pad": "[PAD]",
    "unk": "[UNK]",
    "cls": "[CLS]",
    "bos": "[CLS]",
    "sep": "[SEP]",
    "eos": "[SEP]",
    "mask": "[MASK]",
}
SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


def write(folder, family, *, model_max_length=None, **config):
    """A tiny classifier of a family, saved by transformers."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    name, kind = CLASSES[family]
    tokenizer = build_tokenizer(kind)
    sizes = {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16} if family == "distilbert" else SIZES
    made = AutoConfig.for_model(
        family, vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=80, pad_token_id=0, **sizes, **config
    )
    AutoModelForSequenceClassification.from_config(made).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = {f"{role}_token": text for role, text in ROLES.items()}
    limit = {} if model_max_length is None else {"model_max_length": model_max_length}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name, **roles, **limit}))
    return folder


def check(folder):
    """Kind, labels, activation, limit, prompts and pairs are those of CrossEncoder."""
    from sentence_transformers import CrossEncoder
    from tokenizers import Tokenizer

    original = CrossEncoder(str(folder), device="cpu")
    spec = read_model(resolve_source(folder))
    assert spec.kind == "reranker"
    labels = original.config.id2label
    assert spec.classification.labels == tuple(labels[index] for index in range(original.num_labels))
    assert spec.classification.activation == type(original.activation_fn).__name__
    assert spec.max_tokens == original.max_seq_length
    assert (dict(spec.prompts.texts), spec.prompts.default_name) == (original.prompts, original.default_prompt_name)
    assert (spec.pad_id, spec.padding_side) == (original.tokenizer.pad_token_id, original.tokenizer.padding_side)

    mine = Tokenizer.from_str(spec.tokenizer_json)
    mine.enable_truncation(spec.max_tokens, strategy="longest_first")
    pairs = list(zip(TEXTS, reversed(TEXTS), strict=True))
    expected = original.preprocess(pairs)
    rows = [
        ids[mask.bool()].tolist() for ids, mask in zip(expected["input_ids"], expected["attention_mask"], strict=True)
    ]
    found = mine.encode_batch(pairs)
    assert [pair.ids for pair in found] == rows
    assert spec.token_types == ("token_type_ids" in expected)
    if spec.token_types:
        types = [row[: len(ids)].tolist() for row, ids in zip(expected["token_type_ids"], rows, strict=True)]
        assert [pair.type_ids for pair in found] == types
    with Weights.open(resolve_source(folder)) as weights:
        assert any("classifier" in name for name in weights.names())
    return spec, original


@pytest.mark.parametrize("family", CLASSES)
def test_a_score(tmp_path, family):
    spec, _ = check(write(tmp_path, family, num_labels=1, model_max_length=40))
    assert spec.classification.activation == "Sigmoid"


@pytest.mark.parametrize("family", CLASSES)
def test_named_labels_and_no_limit_of_the_tokenizer(tmp_path, family):
    labels = {0: "contradiction", 1: "entailment", 2: "neutral"}
    spec, _ = check(write(tmp_path, family, id2label=labels, label2id={text: at for at, text in labels.items()}))
    assert spec.classification.activation == "Identity"


@pytest.mark.parametrize("family", CLASSES)
def test_saved_by_cross_encoder(tmp_path, family):
    from sentence_transformers import CrossEncoder
    from torch import nn

    folder = write(tmp_path / "model", family, num_labels=1, model_max_length=40)
    model = CrossEncoder(
        str(folder), device="cpu", activation_fn=nn.Tanh(), prompts={"query": "q: "}, default_prompt_name="query"
    )
    model.save_pretrained(str(tmp_path / "saved"))
    spec, _ = check(tmp_path / "saved")
    assert (spec.classification.activation, spec.prompts.default_name) == ("Tanh", "query")
    assert spec.notes == ()


@pytest.mark.parametrize(
    "config",
    [
        {"problem_type": "regression", "num_labels": 1},
        {"problem_type": "multi_label_classification", "num_labels": 2},
        {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity", "num_labels": 1},
        {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Tanh"}, "num_labels": 2},
        {"sentence_transformers": {"activation_fn": "somebody.elses.Activation"}, "num_labels": 1},
        {"sentence_transformers": {"version": "5.0.0"}, "num_labels": 1},
        {},
    ],
    ids=json.dumps,
)
def test_what_config_json_may_say(tmp_path, config):
    check(write(tmp_path, "bert", **config))


@pytest.mark.parametrize(
    "edited", [{"num_labels": 5}, {"id2label": None, "label2id": None}, {"id2label": {"0": "a", "7": "b"}}]
)
def test_labels_and_their_number_as_transformers_counts_them(tmp_path, edited):
    """The weights do not fit such a config.json: only its reading is compared."""
    from transformers import AutoConfig

    folder = write(tmp_path, "bert", num_labels=3)
    value = json.loads((folder / "config.json").read_text()) | edited
    (folder / "config.json").write_text(json.dumps(value))
    count = AutoConfig.from_pretrained(folder).num_labels
    assert len(read_model(resolve_source(folder)).classification.labels) == count
