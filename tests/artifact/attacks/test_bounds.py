"""Artifacts that would hang, hog or hide: endless graphs, huge files, and files that take quadratic time."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from stonnx.artifact import Artifact, check_graphs
from stonnx.artifact.onnx_facts import read_onnx_facts
from stonnx.errors import ArtifactError

_OPEN = "import sys, stonnx.artifact as a, stonnx.errors as e\ntry: a.Artifact.open(sys.argv[1])\n"
_OPEN += "except e.ArtifactError as x: print(x.message[:300])"


def _message(folder):
    """What opening says, in a process that is killed when it does not end."""
    done = subprocess.run([sys.executable, "-c", _OPEN, folder], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


@pytest.mark.slow
def test_a_manifest_of_60000_keys_is_refused_in_linear_time(valid):
    text = (valid / "stonnx.json").read_text(encoding="utf-8").rstrip().removesuffix("}")
    more = "".join(f', "key{n:05}": 0' for n in range(60_000))
    (valid / "stonnx.json").write_text(f'{text}{more}, "key59999": 0}}', encoding="utf-8")
    assert "the key 'key59999' is given twice" in _message(valid)
    (valid / "stonnx.json").write_text(f"{text}{more}}}", encoding="utf-8")
    assert "key00000: unknown key" in _message(valid)


@pytest.mark.slow
def test_a_long_key_is_not_repeated_for_everything_below_it(valid):
    value = json.loads((valid / "stonnx.json").read_text(encoding="utf-8"))
    value["towers"][0]["head"][0]["options"] = {"k" * 1_500_000: [0] * 500_000}
    (valid / "stonnx.json").write_text(json.dumps(value), encoding="utf-8")
    assert _message(valid) == ""


def test_a_message_is_short_however_long_the_key(valid):
    value = json.loads((valid / "stonnx.json").read_text(encoding="utf-8"))
    value["k" * 1_000_000] = 0
    (valid / "stonnx.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(ArtifactError, match="unknown key") as caught:
        Artifact.open(valid)
    assert len(str(caught.value)) < 10_000


def test_a_huge_manifest_is_not_read(valid):
    with (valid / "stonnx.json").open("r+b") as stream:
        stream.truncate(2**40)
    with pytest.raises(ArtifactError, match="is larger than 4,194,304 bytes"):
        Artifact.open(valid)


def test_a_huge_graph_is_not_walked(valid):
    path = valid / "onnx/model_optimized.onnx"
    with path.open("r+b") as stream:
        stream.truncate(2**40)
    with pytest.raises(ArtifactError, match="expected at most 4,194,304 for a graph"):
        read_onnx_facts(path)


@pytest.mark.parametrize("part", ["node", "initializer", "input", "metadata_props"])
def test_a_graph_of_very_many_parts_is_refused(valid, part):
    onnx = pytest.importorskip("onnx")
    path = valid / "onnx/model_optimized.onnx"
    number = onnx.GraphProto.DESCRIPTOR.fields_by_name[part].number
    payload = (
        bytes([number << 3 | 2, 0]) * 200_001 if number < 16 else bytes([number << 3 & 0x7F | 0x82, 1, 0]) * 200_001
    )
    size = len(payload)
    length = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])
    path.write_bytes(path.read_bytes() + bytes([7 << 3 | 2]) + length + payload)
    with pytest.raises(ArtifactError, match="it has more than 200,000 parts"):
        read_onnx_facts(path)


@pytest.fixture
def graph(valid):
    """The optimised graph, and a function that checks a changed one."""
    onnx = pytest.importorskip("onnx")
    path = valid / "onnx/model_optimized.onnx"
    artifact = Artifact.open(valid)

    def check(model):
        path.write_bytes(model.SerializeToString())
        check_graphs(artifact, artifact.variant("fp32"))

    return onnx, onnx.load(str(path), load_external_data=False), check


def test_an_endless_loop_is_refused(graph):
    onnx, model, check = graph
    true = onnx.helper.make_tensor("true", onnx.TensorProto.BOOL, [], [True])
    value = onnx.helper.make_tensor_value_info
    body = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["again"], ["more"])],
        "body",
        [value("n", onnx.TensorProto.INT64, []), value("again", onnx.TensorProto.BOOL, [])],
        [value("more", onnx.TensorProto.BOOL, [])],
    )
    model.graph.initializer.append(true)
    model.graph.node.insert(0, onnx.helper.make_node("Loop", ["", "true"], [], body=body))
    with pytest.raises(ArtifactError, match="holds a graph inside a node"):
        check(model)
    del model.graph.node[0].attribute[:]
    with pytest.raises(ArtifactError, match=r"does not author: Loop\."):
        check(model)


def test_functions_and_training_are_refused(graph):
    _, model, check = graph
    model.functions.add(name="f", domain="com.microsoft")
    with pytest.raises(ArtifactError, match="holds functions"):
        check(model)
    del model.functions[:]
    model.training_info.add()
    with pytest.raises(ArtifactError, match="holds graphs for training"):
        check(model)


@pytest.mark.parametrize(
    ("domain", "name"),
    [("", "If"), ("ai.onnx.ml", "Add"), ("com.evil", "Gather"), ("com.microsoft", "Gather"), ("", "RandomUniform")],
)
def test_other_operators_are_refused(graph, domain, name):
    onnx, model, check = graph
    model.graph.node.append(onnx.helper.make_node(name, [], ["x"], domain=domain))
    shown = f"{domain}.{name}" if domain else name
    with pytest.raises(ArtifactError, match=rf"does not author: {shown}\."):
        check(model)


def test_an_operator_named_twice_is_what_protobuf_makes_of_it(graph, valid):
    onnx, model, check = graph
    node = onnx.NodeProto(op_type="Add").SerializeToString() + onnx.NodeProto(op_type="Scan").SerializeToString()
    model.graph.node.append(onnx.NodeProto.FromString(node))
    with pytest.raises(ArtifactError, match=r"does not author: Scan\."):
        check(model)
    payload = bytes([1 << 3 | 2, len(node)]) + node
    path = valid / "onnx/model_optimized.onnx"
    del model.graph.node[-1]
    path.write_bytes(model.SerializeToString() + bytes([7 << 3 | 2, len(payload)]) + payload)
    assert ("", "Scan") in read_onnx_facts(path).operators
