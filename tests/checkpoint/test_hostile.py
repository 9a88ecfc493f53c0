"""Junk in any place of any file is either harmless or a StonnxError, never another exception."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator

import pytest

from stonnx.checkpoint import read_model, resolve_source
from stonnx.errors import CheckpointError, StonnxError
from stonnx.graph.modules import Dense, LayerNorm, Normalize, Pooling, read_chain

HEAD = (
    Pooling(modes=("mean",)),
    Dense(path="", in_features=32, out_features=8, bias=True, activation="Tanh"),
    LayerNorm(path="", dimension=8),
    Normalize(),
)
FILES = [
    "1_Pooling/config.json",
    "2_Dense/config.json",
    "3_LayerNorm/config.json",
    "4_Normalize/config.json",
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
]
JUNK = [None, True, -1, 0.5, 10**30, float("inf"), "x", "\ud800", "../x", [], ["x"], [None], {}, {"x": []}]


def variations(value: object, depth: int = 0) -> Iterator[object]:
    """The document with one part replaced by junk, in turn."""
    yield from JUNK if depth < 2 else JUNK[::3]
    if depth == 3 or not isinstance(value, dict | list):
        return
    # A vocabulary has hundreds of equal parts: the first ones stand for all.
    keys = list(value)[: 30 if len(value) < 30 else 1] if isinstance(value, dict) else range(min(len(value), 1))
    for key in keys:
        for other in variations(value[key], depth + 1):
            copy = dict(value) if isinstance(value, dict) else list(value)
            copy[key] = other  # type: ignore[index]
            yield copy


def _read(folder):
    """Everything that is read of a model but its weights."""
    source = resolve_source(folder)
    spec = read_model(source)
    read_chain(source, spec, family="bert", width=32)


@pytest.mark.parametrize("name", FILES)
def test_junk_is_an_error_of_ours_or_nothing(tiny, name):
    folder = tiny(head=HEAD, max_tokens=20, prompts={"query": "q: "})
    original = json.loads((folder / name).read_text(encoding="utf-8"))
    refused = 0
    for value in variations(original):
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
        try:
            _read(folder)
        except StonnxError:
            refused += 1
    assert refused


@pytest.mark.parametrize("family", ["bpe", "unigram"])
def test_junk_in_other_tokenizers(tiny, family):
    folder = tiny(tokenizer=family)
    original = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    for value in variations(original):
        (folder / "tokenizer.json").write_text(json.dumps(value), encoding="utf-8")
        with contextlib.suppress(StonnxError):
            _read(folder)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "1" * 5000, '{"a": ' + "9" * 5000 + "}", "\ufeff{}"])
@pytest.mark.parametrize("name", FILES)
def test_text_that_is_no_json_is_an_error_that_names_the_file(tiny, name, text):
    folder = tiny(head=HEAD)
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(StonnxError, match=re.escape(name)):
        _read(folder)


def test_a_tokenizer_that_makes_the_library_panic_is_an_error(tiny):
    folder = tiny(tokenizer="bpe")
    value = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    value["model"]["continuing_subword_prefix"] = "longer than any piece"
    (folder / "tokenizer.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(CheckpointError, match="tokenizer files"):
        _read(folder)
