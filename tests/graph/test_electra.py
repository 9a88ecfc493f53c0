"""ELECTRA against transformers: tables that may be narrower than the layers."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from stonnx.errors import CheckpointError, UnsupportedModelError
from stonnx.graph.architectures import read_architecture
from tests.graph.families import Family, check_family, check_head

pytestmark = pytest.mark.reference


@pytest.fixture
def family(tmp_path):
    """A function: options of TinyModel in, the model here and in transformers out."""
    with ExitStack() as stack:
        yield lambda **options: Family(tmp_path, stack, **options)


CONFIG = {"model_type": "electra", "hidden_size": 32}


@pytest.mark.parametrize(
    ("hidden_act", "config"),
    [("gelu", {}), ("relu", {"embedding_size": 32}), ("gelu_new", {"embedding_size": 48, "type_vocab_size": 4})],
)
def test_numbers_are_those_of_transformers(family, hidden_act, config):
    check_family(family(family="electra", hidden_act=hidden_act, config=config))


@pytest.mark.parametrize(
    ("head", "unused"),
    [
        ("MaskedLM", {"generator_predictions.dense.weight", "generator_lm_head.bias"}),
        ("PreTraining", {"discriminator_predictions.dense.weight"}),
        ("SequenceClassification", {"classifier.dense.weight", "classifier.out_proj.bias"}),
        ("TokenClassification", {"classifier.weight"}),
    ],
)
def test_checkpoints_with_heads(family, head, unused):
    check_head(family(family="electra"), head, unused)


def test_the_map_is_there_only_where_widths_differ():
    _, same = read_architecture(CONFIG | {"embedding_size": 32})
    _, other = read_architecture(CONFIG)  # 128 by default
    assert "embeddings_project.weight" not in same.expected_tensors()
    assert other.expected_tensors()["embeddings_project.weight"] == (32, 128)


def test_defaults_and_refusals():
    _, encoder = read_architecture({"model_type": "electra"})
    assert (encoder.width, encoder.layers.sizes.heads, encoder.layers.sizes.inner) == (256, 4, 1024)
    assert encoder.max_tokens == 512
    with pytest.raises(UnsupportedModelError, match="relative_key"):
        read_architecture(CONFIG | {"position_embedding_type": "relative_key"})
    with pytest.raises(CheckpointError, match="embedding_size is 0"):
        read_architecture(CONFIG | {"embedding_size": 0})
