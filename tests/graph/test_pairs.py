"""Graphs for pairs of texts: every family and dialect against transformers, with the types of the two texts."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from stonnx.graph.architectures import FAMILIES
from stonnx.graph.builder import GraphBuilder, WeightFile
from stonnx.graph.dialects import OrtCpu, OrtCpuInt8, Portable
from tests.graph.families import Family, check_pairs


@pytest.mark.reference
@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_numbers_are_those_of_transformers(tmp_path, name):
    with ExitStack() as stack:
        work = Family(tmp_path, stack, family=name, hidden_act="relu")  # the int8 dialect takes GELU's tanh form
        check_pairs(work, (Portable(), OrtCpu(), OrtCpuInt8({})))


@pytest.mark.parametrize("dialect", [Portable(), OrtCpu()], ids=["portable", "ort_cpu"])
@pytest.mark.parametrize("token_types", [True, False])
@pytest.mark.parametrize("pairs", [True, False])
def test_types_are_an_input_where_they_can_differ(tmp_path, dialect, token_types, pairs):
    with WeightFile(tmp_path / "weights") as weights:
        g = GraphBuilder("g", weights)
        inputs = dialect.declare_inputs(g, token_types=token_types, pairs=pairs, prompt_lengths=False)
    expected = token_types and (pairs or isinstance(dialect, Portable))
    assert inputs.token_type_ids == ("token_type_ids" if expected else None)
