"""The protobuf walk against the onnx package, and against damaged files."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stonnx.artifact import Artifact, check_graphs
from stonnx.artifact.onnx_facts import MESSAGES, ExternalData, Output, read_onnx_facts
from stonnx.artifact.wire import DamagedError, fields
from stonnx.errors import ArtifactError
from tests.artifact.valid_folder import write_graph


def test_field_numbers_are_those_of_onnx():
    """Every way from a model to a tensor is walked: a new one in a later onnx fails here."""
    onnx = pytest.importorskip("onnx")
    pools = [onnx.ModelProto.DESCRIPTOR]
    reached = {}
    while pools:
        message = pools.pop()
        if message.name in reached:
            continue
        inner = {field.number: field.message_type for field in message.fields if field.message_type is not None}
        reached[message.name] = {number: kind.name for number, kind in inner.items()}
        pools.extend(inner.values())
    holds_tensor = {"TensorProto"}
    while more := {
        name for name, inner in reached.items() if name not in holds_tensor and holds_tensor & set(inner.values())
    }:
        holds_tensor |= more
    expected = {
        name: {number: kind for number, kind in reached[name].items() if kind in holds_tensor} for name in holds_tensor
    }
    assert expected == MESSAGES


def test_facts_of_the_portable_graph(valid):
    facts = read_onnx_facts(valid / "onnx/model.onnx")
    assert facts.external == {ExternalData("model.onnx_data", "0", "320")}
    assert facts.inputs == {"input_ids", "attention_mask", "token_type_ids"}
    assert facts.initializers == {"table", "axis", "last"}
    assert facts.outputs == {"last_hidden_state": Output(1, 8), "sentence_embedding": Output(1, 8)}


def test_an_undeclared_dimension_is_left_to_the_first_run(valid):
    path = valid / "onnx/model.onnx"
    artifact = Artifact.open(valid)
    write_graph(path, portable=True, dimension=None)
    assert read_onnx_facts(path).outputs["sentence_embedding"] == Output(1, None)
    check_graphs(artifact, artifact.variant("portable"))


def test_an_input_with_a_default_may_be_left_out(valid):
    onnx = pytest.importorskip("onnx")
    path = valid / "onnx/model_optimized.onnx"
    artifact = Artifact.open(valid)
    model = onnx.load(str(path), load_external_data=False)
    model.graph.input.append(onnx.helper.make_tensor_value_info("prompt_length", onnx.TensorProto.INT64, []))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactError, match="the graph takes input_ids, prompt_length"):
        check_graphs(artifact, artifact.variant("fp32"))
    model.graph.initializer.append(onnx.helper.make_tensor("prompt_length", onnx.TensorProto.INT64, [], [0]))
    path.write_bytes(model.SerializeToString())
    check_graphs(artifact, artifact.variant("fp32"))


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [("sentence_embedding", 10, "is not float32"), ("embedding", 1, "has no output sentence_embedding")],
)
def test_the_output_is_checked(valid, name, kind, message):
    onnx = pytest.importorskip("onnx")
    path = valid / "onnx/model_optimized.onnx"
    artifact = Artifact.open(valid)
    model = onnx.load(str(path), load_external_data=False)
    model.graph.output[0].name = name
    model.graph.output[0].type.tensor_type.elem_type = kind
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactError, match=message):
        check_graphs(artifact, artifact.variant("fp32"))


def test_every_truncation_is_noticed(valid):
    """Cut anywhere, the file is damaged, or it lacks its operator sets and nothing else."""
    path = valid / "onnx/model_optimized.onnx"
    whole = path.read_bytes()
    artifact = Artifact.open(valid)
    passed, messages = [], []
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        try:
            check_graphs(artifact, artifact.variant("fp32"))
        except ArtifactError as exc:
            messages.append(exc.message)
        else:
            passed.append(len(whole) - size)
    assert all("truncated or damaged ONNX" in message for message in messages)
    assert len(passed) <= 1
    assert all(missing < 10 for missing in passed)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=60))
def test_random_bytes(data):
    try:
        for field in fields(data, 0, len(data)):
            assert 0 <= field.start <= field.end <= len(data)
    except DamagedError:
        pass


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",
        b"\x08\x80",
        b"\x0a\x05ab",
        b"\x0d\0\0",
        b"\x09\0\0\0",
        b"\x0b",
        b"\x0c",
        b"\x0e",
        b"\x00\x00",
        b"\x08" + b"\xff" * 11,
        b"\xff" * 5 + b"\x01\0",
    ],
)
def test_damaged_messages(data):
    with pytest.raises(DamagedError):
        list(fields(data, 0, len(data)))


def test_flipped_bytes_never_raise_anything_else(valid):
    path = valid / "onnx/model_optimized.onnx"
    whole = path.read_bytes()
    artifact = Artifact.open(valid)
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            check_graphs(artifact, artifact.variant("fp32"))
        except ArtifactError:
            continue
