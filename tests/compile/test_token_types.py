"""Whether a graph of pairs takes token types is up to the tokenizer: transformers asks it, not the model."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stonnx import Reranker
from stonnx.artifact import Artifact
from stonnx.compile import convert
from tests.originals import make_reranker

pytestmark = pytest.mark.reference

PAIRS = [("hello world", "text number five"), ("of and to", "the"), ("today", "not by this")]


FAST = {"tokenizer_class": "PreTrainedTokenizerFast"}
TYPED = {"model_input_names": ["input_ids", "token_type_ids"]}


@pytest.mark.parametrize(
    ("family", "config", "typed"),
    [
        ("bert", {}, True),
        ("bert", FAST, False),
        ("bert", {**FAST, **TYPED}, True),
        ("bert", {"model_input_names": ["input_ids", "attention_mask"]}, False),
        ("electra", FAST, False),
        ("albert", FAST, False),
    ],
    ids=json.dumps,
)
def test_scores_are_the_originals(tmp_path, family, config, typed):
    from sentence_transformers import CrossEncoder

    folder = make_reranker(tmp_path / "source", family)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    convert(folder, tmp_path / "out", verify=False, int8=False)
    artifact = Artifact.open(tmp_path / "out")
    assert {"token_type_ids" in variant.graph.inputs for variant in artifact.manifest.variants} == {typed}
    with Reranker.load(tmp_path / "out") as reranker:
        found = reranker.predict(PAIRS)
    original = CrossEncoder(str(folder), device="cpu")
    expected = np.array([original.predict(pair) for pair in PAIRS])  # one by one: some ask for no mask
    assert np.ptp(expected) > 0.01
    assert np.abs(found - expected).max() < 5e-6
