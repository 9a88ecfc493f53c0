"""ALBERT against transformers: factorised tables, and layers that share their weights in groups."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from stonnx.errors import CheckpointError, UnsupportedModelError
from stonnx.graph.architectures import read_architecture
from stonnx.graph.dialects import OrtCpu, OrtCpuInt8
from tests.graph.families import Family, check_family, check_head, round_projections

pytestmark = pytest.mark.reference


@pytest.fixture
def family(tmp_path):
    """A function: options of TinyModel in, the model here and in transformers out."""
    with ExitStack() as stack:
        yield lambda **options: Family(tmp_path, stack, **options)


CONFIG = {"model_type": "albert", "hidden_size": 32, "num_attention_heads": 4}


@pytest.mark.parametrize(
    ("hidden_act", "config"),
    [
        ("gelu_new", {}),
        ("gelu", {"num_hidden_layers": 5, "num_hidden_groups": 3}),  # groups of 2, 2 and 1
        ("relu", {"num_hidden_layers": 3, "inner_group_num": 2, "embedding_size": 32}),
    ],
)
def test_numbers_are_those_of_transformers(family, hidden_act, config):
    check_family(family(family="albert", hidden_act=hidden_act, config=config))


@pytest.mark.parametrize(
    ("head", "unused"),
    [
        ("MaskedLM", {"predictions.dense.weight", "predictions.LayerNorm.bias"}),
        ("PreTraining", {"predictions.dense.weight", "sop_classifier.classifier.weight"}),
        ("SequenceClassification", {"classifier.weight"}),
        ("TokenClassification", {"classifier.weight"}),
    ],
)
def test_checkpoints_with_heads(family, head, unused):
    check_head(family(family="albert"), head, unused)


def test_a_shared_weight_is_stored_once(family):
    work = family(family="albert", layers=6)
    sizes = []
    for dialect in (OrtCpu(), OrtCpuInt8(round_projections(work))):
        graph, _ = work.session(dialect)
        names = [tensor.name for tensor in graph.model.graph.initializer]
        assert len(names) == len(set(names))
        sizes.append((work.out / f"{dialect.name}.onnx_data").stat().st_size)
        assert sum("attention.query.weight" in name and "int8" in name for name in names) == (len(sizes) - 1)
    assert max(sizes) < 6 * 65536  # one layer's tensors, a page each


def test_defaults_and_refusals():
    _, encoder = read_architecture({"model_type": "albert"})
    assert (encoder.width, encoder.layers.count, encoder.layers.sizes.activation) == (4096, 12, "gelu_tanh")
    assert encoder.max_tokens == 512
    with pytest.raises(UnsupportedModelError, match="relative_key"):
        read_architecture(CONFIG | {"position_embedding_type": "relative_key"})
    with pytest.raises(CheckpointError, match="num_hidden_groups is 13"):
        read_architecture(CONFIG | {"num_hidden_groups": 13})
    with pytest.raises(CheckpointError, match="inner_group_num is 99"):
        read_architecture(CONFIG | {"inner_group_num": 99})
