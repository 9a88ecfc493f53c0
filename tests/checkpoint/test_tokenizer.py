"""The effective tokenizer, held against the tokenizer that transformers builds from the same folder."""

from __future__ import annotations

import json
import shutil

import pytest

from stonnx.checkpoint import read_model, resolve_source
from stonnx.errors import CheckpointError, UnsupportedModelError

TEXTS = [
    "",
    " ",
    "a",
    "Hello, World! The text-42 of THE world.",
    "今天是周五啦，明天就是周末啦，開心！",
    "Ünïcödé ÀÉÎ façade İstanbul ﬁ Ａｂｃ ß",
    "tab\tnew\nline\r\n  many   blanks\u3000wide\xa0hard",
    "null\0 bell\x07 soft\xadhyphen zero\u200bwidth \ufeff",
    "emoji 👍🏽 👨‍👩‍👧 flag 🇨🇳",
    "[CLS] special [SEP] tokens [MASK] [PAD] [unk] [UNK] <extra> NewToken newtoken x<extra>y",
    "مرحبا नमस्ते Привет Ελλάς",
    "https://example.org/a?b=c&d=%20#e",
    "word" * 60,
    "the " * 200,
    "e\u0301 decomposed, é composed, 한국어",
]


def tokens(text_of_json, texts):
    from tokenizers import Tokenizer

    return [encoding.ids for encoding in Tokenizer.from_str(text_of_json).encode_batch(texts)]


def reference(folder):
    """Token rows of TEXTS, and the tokenizer that transformers builds."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return tokenizer(TEXTS, truncation=False)["input_ids"], tokenizer


def check(folder):
    expected, original = reference(folder)
    model = read_model(resolve_source(folder))
    assert tokens(model.tokenizer_json, TEXTS) == expected
    assert model.pad_id == original.pad_token_id
    return model


BERT_OPTIONS = [
    {},
    {"do_lower_case": False},
    {"do_lower_case": False, "strip_accents": True},
    {"strip_accents": False},
    {"tokenize_chinese_chars": False},
    {"tokenizer_class": "BertTokenizerFast", "do_lower_case": False},
    {"tokenizer_class": None},
    {"tokenizer_class": None, "do_lower_case": None},
    {"tokenizer_class": "DistilBertTokenizerFast", "do_lower_case": False},
    {"tokenizer_class": "ElectraTokenizer"},
    {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False},
    {"tokenizer_class": "NoSuchTokenizer", "do_lower_case": False},
    {"never_split": ["World"], "do_basic_tokenize": False},
    {"unk_token": "a"},
    {"cls_token": "[SEP]", "mask_token": None},
    {"pad_token": "<new pad>"},
    {"additional_special_tokens": ["<extra>"]},
    {"image_token": "<extra>"},
    {"added_tokens_decoder": {"900": {"content": "NewToken", "lstrip": True}, "3": {"content": "[SEP]"}}},
    {"added_tokens_decoder": {"5": {"content": "<extra>", "special": True, "single_word": True}}},
    {"added_tokens_decoder": {"0": {"content": "[PAD]", "special": False}}},
    {"sep_token": {"__type": "AddedToken", "content": "[SEP]", "lstrip": True}},
]


@pytest.mark.reference
@pytest.mark.parametrize("options", BERT_OPTIONS, ids=json.dumps)
@pytest.mark.parametrize("with_json", [True, False])
def test_bert_options(tiny, edit, options, with_json):
    folder = tiny()
    edit(folder / "tokenizer_config.json", **options)
    if not with_json:
        if options.get("tokenizer_class") in {"PreTrainedTokenizerFast", "NoSuchTokenizer"}:
            pytest.skip("needs tokenizer.json on both sides")
        (folder / "tokenizer.json").unlink()
    check(folder)


@pytest.mark.reference
@pytest.mark.parametrize("name", ["special_tokens_map.json", "tokenizer_config.json"])
def test_bert_without_its_small_files(tiny, name):
    folder = tiny(lowercase=False)
    (folder / name).unlink()
    check(folder)


@pytest.mark.reference
@pytest.mark.parametrize("with_json", [True, False])
def test_added_tokens_of_the_old_files(tiny, edit, with_json):
    folder = tiny()
    (folder / "added_tokens.json").write_text('{"NewToken": 500, "<extra>": 501}', encoding="utf-8")
    edit(
        folder / "special_tokens_map.json",
        additional_special_tokens=["<extra>"],
        mask_token={"content": "[MASK]", "lstrip": True, "rstrip": True, "normalized": False, "single_word": False},
    )
    if not with_json:
        (folder / "tokenizer.json").unlink()
    check(folder)


@pytest.mark.reference
def test_a_customised_tokenizer_json_is_replaced_as_transformers_does(tiny, edit):
    folder = tiny()
    value = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    value["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFC"}]}
    value["pre_tokenizer"] = {"type": "Whitespace"}
    value["model"]["max_input_chars_per_word"] = 4
    value["post_processor"] = None
    value["added_tokens"].append(dict(value["added_tokens"][0], id=700, content="<extra>", special=False))
    (folder / "tokenizer.json").write_text(json.dumps(value), encoding="utf-8")
    model = check(folder)
    assert any("normaliser" in note for note in model.notes)


@pytest.mark.reference
@pytest.mark.parametrize("tokenizer", ["bpe", "unigram"])
@pytest.mark.parametrize("options", [{}, {"extra_special_tokens": ["<extra>"]}, {"pad_token": None}], ids=json.dumps)
def test_other_families(tiny, edit, tokenizer, options):
    folder = tiny(tokenizer=tokenizer)
    edit(folder / "tokenizer_config.json", **options)
    check(folder)


@pytest.mark.reference
@pytest.mark.parametrize("spaces", [False, True])
def test_the_layout_of_multilingual_e5(tiny, edit, spaces):
    """A BertModel with the tokenizer of XLM-R, which transformers rebuilds from its vocabulary, too."""
    folder = tiny(tokenizer="unigram")
    value = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    names = {"[CLS]": "<s>", "[PAD]": "<pad>", "[SEP]": "</s>", "[UNK]": "<unk>", "[MASK]": "<mask>"}
    pieces = [[names.get(piece, piece), score] for piece, score in value["model"]["vocab"]]
    order = [*names.values()]
    pieces = sorted(pieces[:5], key=lambda pair: order.index(pair[0])) + pieces[5:]
    value["model"] |= {"vocab": pieces, "unk_id": 3}
    ids = {piece: index for index, (piece, _) in enumerate(pieces)}
    flags = {"single_word": False, "rstrip": False, "normalized": False, "special": True}
    value["added_tokens"] = [
        {"id": ids[name], "content": name, "lstrip": name == "<mask>", **flags} for name in names.values()
    ]
    replace = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
    value["normalizer"] = {"type": "Sequence", "normalizers": [replace]} if spaces else None
    metaspace = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    value["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]}
    value["decoder"] = metaspace
    value["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "</s>", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in ("<s>", "</s>")},
    }
    (folder / "tokenizer.json").write_text(json.dumps(value), encoding="utf-8")
    roles = {"bos": "<s>", "cls": "<s>", "eos": "</s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    named = {f"{role}_token": text for role, text in roles.items()}
    edit(folder / "special_tokens_map.json", **named)
    edit(folder / "tokenizer_config.json", tokenizer_class="XLMRobertaTokenizer", **named)
    check(folder)


@pytest.mark.reference
@pytest.mark.parametrize("name", ["m3e-base", "m3e-small", "bge-small-zh-v1.5"])
@pytest.mark.parametrize("with_json", [True, False])
def test_real_tokenizers(shared_dir, tmp_path, name, with_json):
    folder = tmp_path / name
    ignored = shutil.ignore_patterns() if with_json else shutil.ignore_patterns("tokenizer.json")
    # Contents only: the originals may be read-only, and these are removed again.
    shutil.copytree(shared_dir / "models" / name, folder, ignore=ignored, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    check(folder)


@pytest.mark.reference
def test_minilm(minilm_dir):
    assert check(minilm_dir).max_tokens == 256


@pytest.mark.reference
@pytest.mark.parametrize("tokenizer", ["wordpiece", "bpe", "unigram"])
@pytest.mark.parametrize("chain", [None, {"type": "Lowercase"}, {"type": "NFD"}])
def test_lowercasing_of_sentence_transformers(tiny, edit, tokenizer, chain):
    from sentence_transformers.base.modules import Transformer

    folder = tiny(tokenizer=tokenizer, lowercase=False)
    if chain is not None:
        value = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        value["normalizer"] = {"type": "Sequence", "normalizers": [chain]}
        (folder / "tokenizer.json").write_text(json.dumps(value), encoding="utf-8")
    edit(folder / "sentence_bert_config.json", do_lower_case=True)
    expected = Transformer.load(str(folder)).tokenizer(TEXTS, truncation=False)["input_ids"]
    model = read_model(resolve_source(folder))
    assert tokens(model.tokenizer_json, TEXTS) == expected


def test_stored_truncation_and_padding_are_dropped(tiny):
    folder = tiny()
    value = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    value["truncation"] = {"max_length": 4, "stride": 0, "strategy": "LongestFirst", "direction": "Right"}
    value["padding"] = {
        "strategy": {"Fixed": 9},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    (folder / "tokenizer.json").write_text(json.dumps(value), encoding="utf-8")
    result = json.loads(read_model(resolve_source(folder)).tokenizer_json)
    assert (result["truncation"], result["padding"]) == (None, None)


def test_a_disagreement_is_told(tiny, edit):
    folder = tiny()
    edit(folder / "tokenizer_config.json", do_lower_case=False)
    assert any("do_lower_case=False" in note for note in read_model(resolve_source(folder)).notes)


@pytest.mark.parametrize(
    ("sentence", "config", "positions", "expected"),
    [
        ({}, {"model_max_length": 40}, 64, 40),
        ({}, {"model_max_length": 1000}, 64, 64),
        ({}, {"model_max_length": 10**30}, 64, 64),
        ({}, {"model_max_length": 1e30}, 64, 64),
        ({}, {"model_max_length": None}, 64, 64),
        ({}, {"model_max_length": None, "max_len": 30}, 64, 30),
        ({"max_seq_length": 20}, {"model_max_length": 40}, 64, 20),
        ({"max_seq_length": 50}, {"model_max_length": 40}, 64, 50),
        ({"max_seq_length": 500}, {"model_max_length": 40}, 64, 64),
        ({"max_seq_length": 20, "tokenizer_args": {"model_max_length": 30}}, {}, 64, 30),
        ({"max_seq_length": 20}, {}, -1, 20),
        ({}, {"model_max_length": None}, -1, None),
        ({}, {"model_max_length": None}, None, None),
    ],
)
def test_the_length_limit(tiny, edit, sentence, config, positions, expected):
    folder = tiny()
    edit(folder / "sentence_bert_config.json", **sentence)
    edit(folder / "tokenizer_config.json", **config)
    edit(folder / "config.json", max_position_embeddings=positions)
    model = read_model(resolve_source(folder))
    assert (model.max_tokens, model.max_seq_length) == (expected, sentence.get("max_seq_length"))


@pytest.mark.reference
@pytest.mark.parametrize("sentence", [{}, {"max_seq_length": 50}, {"tokenizer_args": {"model_max_length": 30}}])
def test_the_length_limit_is_the_one_of_sentence_transformers(tiny, edit, sentence):
    from sentence_transformers.base.modules import Transformer

    folder = tiny()
    edit(folder / "sentence_bert_config.json", **sentence)
    edit(folder / "tokenizer_config.json", model_max_length=40)
    assert read_model(resolve_source(folder)).max_tokens == Transformer.load(str(folder)).max_seq_length


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"auto_map": {"AutoTokenizer": ["x.Y", None]}}, UnsupportedModelError, "auto_map"),
        ({"padding_side": "both"}, CheckpointError, "padding_side"),
        ({"truncation_side": 3}, CheckpointError, "truncation_side"),
        ({"model_input_names": "input_ids"}, CheckpointError, "model_input_names"),
        ({"truncation_side": "left"}, UnsupportedModelError, "truncation_side"),
        ({"split_special_tokens": True}, UnsupportedModelError, "split_special_tokens"),
        ({"tokenizer_class": "BertJapaneseTokenizer"}, UnsupportedModelError, "BertJapaneseTokenizer"),
        ({"tokenizer_class": "PhobertTokenizer"}, UnsupportedModelError, "PhobertTokenizer"),
        ({"tokenizer_class": 3}, CheckpointError, "tokenizer_class"),
        ({"do_lower_case": "yes"}, CheckpointError, "do_lower_case"),
        ({"model_max_length": "long"}, CheckpointError, "model_max_length"),
        ({"added_tokens_decoder": []}, CheckpointError, "added_tokens_decoder"),
        ({"added_tokens_decoder": {"x": "y"}}, CheckpointError, "the id 'x'"),
        ({"added_tokens_decoder": {"1": {"text": "y"}}}, CheckpointError, "describes a token"),
        ({"pad_token": 7}, CheckpointError, "describes a token"),
        ({"extra_special_tokens": "x"}, CheckpointError, "extra special tokens"),
    ],
)
def test_options_that_cannot_be_carried_over_are_named(tiny, edit, options, error, message):
    folder = tiny()
    (folder / "special_tokens_map.json").unlink()  # it overrides the tokens of tokenizer_config.json
    edit(folder / "tokenizer_config.json", **options)
    with pytest.raises(error, match=message):
        read_model(resolve_source(folder))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": {"type": "WordPiece", "vocab": {"a": -1}}}'])
def test_a_damaged_tokenizer_is_an_error(tiny, content):
    folder = tiny()
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError):
        read_model(resolve_source(folder))


def test_a_folder_without_a_tokenizer_says_how_to_get_one(tiny):
    folder = tiny()
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").unlink()
    with pytest.raises(CheckpointError, match="no tokenizer") as caught:
        read_model(resolve_source(folder))
    assert "save_pretrained" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json"])
def test_an_empty_vocabulary_is_refused(tiny, edit, name):
    folder = tiny()
    if name == "vocab.txt":
        (folder / "tokenizer.json").unlink()
        (folder / name).write_text("", encoding="utf-8")
    else:
        document = json.loads((folder / name).read_text(encoding="utf-8"))
        edit(folder / name, model={**document["model"], "vocab": {}}, added_tokens=[])
    with pytest.raises(CheckpointError, match="empty vocabulary"):
        read_model(resolve_source(folder))
