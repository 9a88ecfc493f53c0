"""RoBERTa, XLM-RoBERTa and CamemBERT against transformers: positions that count from the id of padding on."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest

from stonnx.errors import CheckpointError, UnsupportedModelError
from stonnx.graph.architectures import read_architecture
from stonnx.graph.dialects import OrtCpu, Portable
from tests.graph import oracle
from tests.graph.families import EMBEDDING, HIDDEN, Family, check_family, check_head, run_transformers

pytestmark = pytest.mark.reference


@pytest.fixture
def family(tmp_path):
    """A function: options of TinyModel in, the model here and in transformers out."""
    with ExitStack() as stack:
        yield lambda **options: Family(tmp_path, stack, **options)


FAMILIES = ("roberta", "xlm-roberta", "camembert")
CONFIG = {"model_type": "roberta", "hidden_size": 32, "num_attention_heads": 4}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    ("hidden_act", "config"),
    [
        ("gelu", {"pad_token_id": 1}),
        ("relu", {"pad_token_id": 0, "layer_norm_eps": 1e-5}),
        ("gelu_new", {"pad_token_id": 3, "type_vocab_size": 3}),
    ],
)
def test_numbers_are_those_of_transformers(family, name, hidden_act, config):
    check_family(family(family=name, hidden_act=hidden_act, config=config), padding_id=config["pad_token_id"])


def test_one_token_type_is_a_constant_and_no_input(family):
    check_family(family(family="roberta", config={"type_vocab_size": 1, "pad_token_id": 1}), padding_id=1, types=False)


def test_a_padding_token_in_a_text_does_not_count(family):
    """A text may spell out <pad>: the original gives it the position of padding."""
    work = family(family="xlm-roberta", config={"pad_token_id": 1})
    ids = np.random.default_rng(3).integers(5, 40, (2, 9))
    ids[:, 3] = 1
    mask = np.ones_like(ids)
    hidden = run_transformers(work.transformers(), ids, mask)
    _, session = work.session(OrtCpu())
    (found,) = session.run(None, {"input_ids": ids})
    assert np.abs(found - oracle.normalize(oracle.pool(hidden, mask, "mean"))).max() < EMBEDDING


def test_padding_on_the_left_moves_no_position(family):
    work = family(family="roberta", config={"pad_token_id": 1})
    mask = np.array([[0, 0, 0, 1, 1, 1, 1]])
    ids = np.where(mask == 1, 9, 1)
    _, session = work.session(Portable())
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    found, _ = session.run(None, feeds)
    assert np.abs(found - run_transformers(work.transformers(), ids, mask))[mask == 1].max() < HIDDEN


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    ("head", "unused"),
    [
        ("MaskedLM", {"lm_head.dense.weight", "lm_head.layer_norm.weight"}),
        ("SequenceClassification", {"classifier.dense.weight", "classifier.out_proj.bias"}),
        ("TokenClassification", {"classifier.weight"}),
    ],
)
def test_checkpoints_with_heads(family, name, head, unused):
    check_head(family(family=name), head, unused)


def test_positions_start_behind_the_padding_id():
    _, encoder = read_architecture(CONFIG | {"max_position_embeddings": 514, "pad_token_id": 1})
    assert (encoder.max_tokens, encoder.padding_id) == (512, 1)


@pytest.mark.parametrize("padding_id", [None, -1, True, "1", 513, 50265])
def test_a_padding_id_that_leaves_no_position_is_refused(padding_id):
    with pytest.raises(CheckpointError, match="pad_token_id is"):
        read_architecture(CONFIG | {"max_position_embeddings": 514, "pad_token_id": padding_id})


@pytest.mark.parametrize("name", FAMILIES)
def test_relative_positions_are_refused(name):
    with pytest.raises(UnsupportedModelError, match="relative_key_query"):
        read_architecture(CONFIG | {"model_type": name, "position_embedding_type": "relative_key_query"})
