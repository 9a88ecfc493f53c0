from __future__ import annotations

import numpy as np
import pytest

from stonnx.checkpoint import read_model, resolve_source
from stonnx.graph.modules import Dense, LayerNorm, Normalize, Pooling
from stonnx.testing import TinyModel, make_tiny_model

TEXTS = ["今天是周五啦，明天就是周末啦", "Hello world, the text 42!", "zq", ""]
ALL_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
WIDE = (
    Pooling(modes=ALL_MODES, include_prompt=False),
    Dense(path="", in_features=192, out_features=16, bias=True, activation="PReLU", use_residual=True),
    LayerNorm(path="", dimension=16),
    Normalize(),
)


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    one, two, other = (
        files(make_tiny_model(tmp_path / name, TinyModel(seed=seed))) for name, seed in (("1", 0), ("2", 0), ("3", 1))
    )
    assert one == two
    assert one != other


@pytest.mark.parametrize("family", ["wordpiece", "bpe", "unigram"])
def test_no_text_is_all_unknown(tmp_path, family):
    from tokenizers import Tokenizer

    model = read_model(resolve_source(make_tiny_model(tmp_path, TinyModel(tokenizer=family))))
    tokenizer = Tokenizer.from_str(model.tokenizer_json)
    unknown = tokenizer.token_to_id("[UNK]")
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        assert (ids[0], ids[-1]) == (tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]"))
        assert ids.count(unknown) * 4 <= len(ids)


@pytest.mark.reference
@pytest.mark.parametrize("family", ["wordpiece", "bpe", "unigram"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"head": WIDE, "old_module_types": True, "legacy_pooling_config": True, "tensor_prefix": "bert."},
        {"with_modules_json": False, "hidden_act": "relu"},
    ],
    ids=["default", "wide", "bare"],
)
def test_sentence_transformers_loads_it_and_tells_texts_apart(tmp_path, family, options):
    from sentence_transformers import SentenceTransformer

    folder = make_tiny_model(tmp_path, TinyModel(tokenizer=family, **options))
    vectors = SentenceTransformer(str(folder), device="cpu").encode(TEXTS, normalize_embeddings=True)
    similarities = vectors @ vectors.T
    assert vectors.shape == (4, 16 if "head" in options else 32)
    assert np.all(similarities[~np.eye(4, dtype=bool)] < 0.99)
