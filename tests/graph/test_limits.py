"""The longest token row of a model: what its files say, cut where its architecture has no more positions."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from stonnx.checkpoint import Weights, read_model, resolve_source
from stonnx.compile import convert
from stonnx.errors import CheckpointError, UnsupportedModelError
from stonnx.graph import make_blueprint
from stonnx.graph.limits import check_padding, row_limit
from stonnx.testing import TinyModel, make_tiny_model
from tests.originals import make_original


def blueprint(folder, *, sentence, limit=None):
    """The drawing of a tiny model whose files are changed."""
    (folder / "sentence_bert_config.json").write_text(json.dumps(sentence), encoding="utf-8")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": limit}), encoding="utf-8")
    source = resolve_source(folder)
    with Weights.open(source) as weights:
        return make_blueprint(source, read_model(source), weights)


@pytest.mark.parametrize(
    ("family", "asked", "expected", "cut"),
    [
        ("bert", None, 64, False),
        ("bert", 20, 20, False),
        ("bert", 64, 64, False),
        ("bert", 500, 64, True),
        ("mpnet", None, 62, False),  # two positions are no token's
        ("mpnet", 20, 20, False),
        ("mpnet", 64, 62, True),
    ],
)
def test_rows_end_where_the_positions_do(tmp_path, family, asked, expected, cut):
    folder = make_tiny_model(tmp_path / "model", TinyModel(family=family, positions=64))
    drawn = blueprint(folder, sentence={} if asked is None else {"max_seq_length": asked})
    assert drawn.max_tokens == expected
    note = f"max_seq_length is {asked}, but the model has {expected} positions: texts are cut there."
    assert drawn.notes == ((note,) if cut else ())


def test_a_model_without_any_limit_is_refused(tmp_path):
    spec = read_model(resolve_source(make_tiny_model(tmp_path / "model")))
    assert row_limit(replace(spec, max_tokens=None), 7) == 7
    assert row_limit(replace(spec, max_tokens=5), None) == 5
    with pytest.raises(CheckpointError, match="limits the length") as caught:
        row_limit(replace(spec, max_tokens=None), None)
    assert "max_seq_length" in (caught.value.hint or "")


@pytest.mark.parametrize("uncounted", [None, 5])
def test_padding_on_the_left_must_not_move_positions(tmp_path, uncounted):
    spec = read_model(resolve_source(make_tiny_model(tmp_path / "model")))
    check_padding(spec, uncounted)
    left = replace(spec, padding_side="left")
    check_padding(left, spec.pad_id)
    with pytest.raises(UnsupportedModelError, match="padding_side 'left'") as caught:
        check_padding(left, uncounted)
    assert "padding_side to right" in (caught.value.hint or "")


@pytest.mark.reference
@pytest.mark.slow
def test_left_padding_of_roberta_is_the_originals(tmp_path):
    """Its positions do not count padding: what convert measures is the original, alone and in a batch."""
    folder = make_original(tmp_path / "source", "roberta", "MaskedLM", pad_token_id=0)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"padding_side": "left"}))
    done = convert(folder, tmp_path / "out", int8=False)
    assert done.manifest.verified
    assert done.manifest.tower.tokenizer.padding_side == "left"
