"""The tokenizers that transformers rebuilds by their class, held against it: single texts, pairs, and every switch."""

from __future__ import annotations

import json

import pytest

from stonnx.checkpoint import read_model, resolve_source
from stonnx.errors import CheckpointError
from stonnx.testing import TinyModel, make_tiny_model
from stonnx.testing._tokenizers import build_tokenizer
from tests.checkpoint.test_tokenizer import TEXTS

FAMILIES = {
    "RobertaTokenizer": ("roberta", "bpe"),
    "XLMRobertaTokenizer": ("xlm-roberta", "unigram"),
    "CamembertTokenizer": ("camembert", "unigram"),
    "MPNetTokenizer": ("mpnet", "wordpiece"),
    "AlbertTokenizer": ("albert", "unigram"),
}
ANGLED = {"[PAD]": "<pad>", "[UNK]": "<unk>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}
OWN = {"AlbertTokenizer": ("[PAD]", "[UNK]"), "MPNetTokenizer": ("[PAD]", "[CLS]", "[SEP]", "[MASK]")}
EXTRA = ["``quoted'' ÉTÉ", "<s>NOTUSED x", " <mask> y  <s> z", "ﬁ Ⅳ ½ ﷺ", "a < b <pad>"]


def write(folder, name, *, without_type=False, **config):
    """A folder with the tokenizer of a class, its special tokens with the texts of the class."""
    family, kind = FAMILIES[name]
    tokenizer = json.loads(build_tokenizer(kind).to_str())
    text = json.dumps(tokenizer)
    for old in OWN.get(name, ANGLED):
        text = text.replace(json.dumps(old), json.dumps(ANGLED[old]))
    tokenizer = json.loads(text)
    if without_type:
        del tokenizer["model"]["type"]
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": name, "model_max_length": 64, **config}), encoding="utf-8"
    )
    (folder / "config.json").write_text(json.dumps({"model_type": family, "vocab_size": 999}), encoding="utf-8")
    return folder


def check(folder):
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    original = AutoTokenizer.from_pretrained(folder)
    spec = read_model(resolve_source(folder))
    mine = Tokenizer.from_str(spec.tokenizer_json)
    texts = [*TEXTS, *EXTRA]
    assert [found.ids for found in mine.encode_batch(texts)] == original(texts, truncation=False)["input_ids"]
    pairs = list(zip(texts, reversed(texts), strict=True))
    expected = original([first for first, _ in pairs], [second for _, second in pairs], truncation=False)
    found = mine.encode_batch(pairs)
    assert [pair.ids for pair in found] == expected["input_ids"]
    assert spec.token_types == ("token_type_ids" in expected)
    if spec.token_types:
        assert [pair.type_ids for pair in found] == expected["token_type_ids"]
    assert spec.pad_id == original.pad_token_id
    assert spec.padding_side == original.padding_side
    return spec


@pytest.mark.reference
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"add_prefix_space": True},
        {"add_prefix_space": False},
        {"extra_special_tokens": ["<extra>"]},
        {"padding_side": "left"},
        {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]},
        {"mask_token": "the"},
    ],
    ids=json.dumps,
)
def test_switches_of_all(tmp_path, name, config):
    check(write(tmp_path / "model", name, **config))


@pytest.mark.reference
@pytest.mark.parametrize("name", FAMILIES)
def test_tokens_of_another_text(tmp_path, name):
    config = {"cls_token": "[C]", "bos_token": "[B]", "sep_token": "[S]", "eos_token": "[E]"}
    if name == "AlbertTokenizer":  # its frame is made of tokens that are there already
        config = {"unk_token": "<unk>", "pad_token": "[P]"}
    check(write(tmp_path / "model", name, **config))


@pytest.mark.reference
@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("MPNetTokenizer", {"do_lower_case": False}),
        ("MPNetTokenizer", {"do_lower_case": False, "strip_accents": True}),
        ("MPNetTokenizer", {"tokenize_chinese_chars": False}),
        ("AlbertTokenizer", {"do_lower_case": False}),
        ("AlbertTokenizer", {"keep_accents": True}),
    ],
    ids=json.dumps,
)
def test_switches_of_one(tmp_path, name, config):
    check(write(tmp_path / "model", name, **config))


@pytest.mark.reference
@pytest.mark.parametrize("name", FAMILIES)
def test_a_file_that_says_otherwise_is_overruled_as_in_transformers(tmp_path, name):
    folder = write(tmp_path / "model", name)
    value = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    value["normalizer"] = {"type": "Lowercase"}
    value["pre_tokenizer"] = {"type": "Whitespace"}
    (folder / "tokenizer.json").write_text(json.dumps(value), encoding="utf-8")
    check(folder)


@pytest.mark.reference
@pytest.mark.parametrize("name", FAMILIES)
def test_the_class_of_the_family_counts_where_no_file_names_one(tmp_path, name):
    folder = write(tmp_path / "model", name)
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 64}', encoding="utf-8")
    check(folder)


@pytest.mark.parametrize("name", FAMILIES)
def test_early_files_do_not_name_the_kind_of_their_vocabulary(tmp_path, name):
    named = read_model(resolve_source(write(tmp_path / "named", name)))
    unnamed = read_model(resolve_source(write(tmp_path / "unnamed", name, without_type=True)))
    assert named.tokenizer_json == unnamed.tokenizer_json


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *((name, {"vocab": junk}) for name in FAMILIES for junk in (None, {"a": -1}, [["a"]], [1], "x")),
        ("RobertaTokenizer", {"merges": 3}),
    ],
)
def test_a_damaged_vocabulary_is_told(tmp_path, name, part):
    folder = write(tmp_path / "model", name)
    value = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    value["model"] |= part
    (folder / "tokenizer.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(CheckpointError, match="tokenizer"):
        read_model(resolve_source(folder))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("RobertaTokenizer", "add_prefix_space"),
        ("XLMRobertaTokenizer", "add_prefix_space"),
        ("MPNetTokenizer", "do_lower_case"),
        ("MPNetTokenizer", "strip_accents"),
        ("AlbertTokenizer", "keep_accents"),
    ],
)
def test_a_switch_of_the_wrong_type_is_told(tmp_path, name, key):
    folder = write(tmp_path / "model", name, **{key: "yes"})
    with pytest.raises(CheckpointError, match=rf"{key} is 'yes'; expected true or false"):
        read_model(resolve_source(folder))


def unpack(folder):
    """Replace tokenizer.json by the files that came before it."""
    value = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    (folder / "tokenizer.json").unlink()
    if value["type"] == "BPE":
        (folder / "vocab.json").write_text(json.dumps(value["vocab"]), encoding="utf-8")
        pairs = [pair if isinstance(pair, str) else " ".join(pair) for pair in value["merges"]]
        (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *pairs, ""]), encoding="utf-8")
    else:
        (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in value["vocab"]), encoding="utf-8")
    return folder


OLDER = {
    "RobertaTokenizer": {"cls_token": "<s>", "sep_token": "</s>"},
    "MPNetTokenizer": {"cls_token": "<s>", "do_lower_case": False},
}


@pytest.mark.reference
@pytest.mark.parametrize("name", OLDER)
def test_files_that_are_older_than_tokenizer_json(tmp_path, name):
    check(unpack(write(tmp_path / "model", name, **OLDER[name])))


@pytest.mark.parametrize("gone", ["vocab.json", "merges.txt"])
def test_one_of_two_files_is_no_tokenizer(tmp_path, gone):
    folder = unpack(write(tmp_path / "model", "RobertaTokenizer"))
    (folder / gone).unlink()
    with pytest.raises(CheckpointError, match="no tokenizer that stonnx can read") as caught:
        read_model(resolve_source(folder))
    assert "save_pretrained" in (caught.value.hint or "")


@pytest.mark.parametrize("line", ["a", "a b c", " ", "t  h"])
def test_a_line_that_is_no_pair_is_told(tmp_path, line):
    folder = unpack(write(tmp_path / "model", "RobertaTokenizer"))
    with (folder / "merges.txt").open("a", encoding="utf-8") as stream:
        stream.write(f"{line}\n")
    with pytest.raises(CheckpointError, match=r"merges\.txt|tokenizer files"):
        read_model(resolve_source(folder))


def test_padding_of_a_class_needs_no_file_that_names_it(tmp_path):
    folder = make_tiny_model(tmp_path, TinyModel(family="roberta", tokenizer="bpe", config={"pad_token_id": 3}))
    document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    angled = {"[PAD]": "<pad>", "[UNK]": "<unk>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}
    text = json.dumps(document)
    for old, new in angled.items():
        text = text.replace(f'"{old}"', f'"{new}"')
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    (folder / "special_tokens_map.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "RobertaTokenizer"}', encoding="utf-8")
    spec = read_model(resolve_source(folder))
    assert spec.pad_id == 0
    assert not any("padding token" in note for note in spec.notes)


def test_a_binary_vocabulary_alone_is_named(tmp_path):
    folder = make_tiny_model(tmp_path, TinyModel(family="xlm-roberta", tokenizer="unigram"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    (folder / "sentencepiece.bpe.model").write_bytes(b"\n")
    with pytest.raises(CheckpointError, match=r"sentencepiece\.bpe\.model alone is not enough") as caught:
        read_model(resolve_source(folder))
    assert "save_pretrained" in caught.value.hint
