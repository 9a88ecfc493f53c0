"""DistilBERT against transformers: names of its own, and no token types."""

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


CONFIG = {"model_type": "distilbert", "dim": 32, "n_heads": 4, "hidden_dim": 64, "n_layers": 2, "vocab_size": 9}


@pytest.mark.parametrize(
    ("hidden_act", "config"),
    [("gelu", {}), ("relu", {}), ("gelu_new", {"sinusoidal_pos_embds": True, "layer_norm_eps": 0.1})],
)
def test_numbers_are_those_of_transformers(family, hidden_act, config):
    """``layer_norm_eps`` is none of its settings: 1e-12 whatever it says."""
    check_family(family(family="distilbert", hidden_act=hidden_act, config=config), types=False)


@pytest.mark.parametrize(
    ("head", "unused"),
    [
        ("MaskedLM", {"vocab_transform.weight", "vocab_layer_norm.bias"}),
        ("SequenceClassification", {"pre_classifier.weight", "classifier.bias"}),
        ("TokenClassification", {"classifier.weight"}),
        ("QuestionAnswering", {"qa_outputs.weight"}),
    ],
)
def test_checkpoints_with_heads(family, head, unused):
    check_head(family(family="distilbert"), head, unused)


def test_berts_names_of_its_sizes_count_too():
    """transformers reads both."""
    other = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "hidden_dim": 64, "vocab_size": 9}
    assert read_architecture({"model_type": "distilbert", **other}) == read_architecture(CONFIG)


def test_two_names_that_disagree_are_refused():
    with pytest.raises(CheckpointError, match="dim is 32 and hidden_size is 64"):
        read_architecture(CONFIG | {"hidden_size": 64})


def test_defaults_and_refusals():
    _, encoder = read_architecture({"model_type": "distilbert"})
    assert (encoder.width, encoder.layers.count, encoder.max_tokens, encoder.token_types) == (768, 6, 512, False)
    with pytest.raises(UnsupportedModelError, match="activation is 'quick_gelu'"):
        read_architecture(CONFIG | {"activation": "quick_gelu"})
    with pytest.raises(CheckpointError, match="dim 32 is not a multiple of n_heads 5"):
        read_architecture(CONFIG | {"n_heads": 5})
