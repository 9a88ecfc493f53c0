"""Hostile artifacts that cannot be committed as folders: links, depth, size, and odd ONNX."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from stonnx.artifact import Artifact, check_graphs, file_entries, manifest_from_json, write_manifest
from stonnx.errors import ArtifactError
from tests.artifact.valid_folder import write_graph
from tests.manifests import one_graph


def test_a_file_may_not_be_a_link_out_of_the_folder(valid, load, tmp_path):
    path = valid / "tokenizer.json"
    secret = tmp_path / "secret.json"
    secret.write_bytes(path.read_bytes())
    _replace_by_link(path, secret)
    with pytest.raises(ArtifactError, match="symbolic link out of its folder"):
        load(valid)


def test_a_sub_folder_may_not_be_a_link_out(valid, load, tmp_path):
    outside = tmp_path / "elsewhere"
    (valid / "onnx").rename(outside)
    _link(valid / "onnx", outside)
    with pytest.raises(ArtifactError, match="symbolic link out of its folder"):
        load(valid)


def test_the_manifest_itself_may_not_be_a_link_out(valid, tmp_path):
    outside = tmp_path / "outside.json"
    (valid / "stonnx.json").rename(outside)
    _link(valid / "stonnx.json", outside)
    with pytest.raises(ArtifactError, match="symbolic link out of its folder"):
        Artifact.open(valid)


def test_an_artifact_reached_through_a_link_is_fine(valid, load, tmp_path):
    _link(tmp_path / "latest", valid)
    load(tmp_path / "latest")


def test_a_link_loop_is_refused(valid, load):
    path = valid / "tokenizer.json"
    _replace_by_link(path, path)
    with pytest.raises(ArtifactError):
        load(valid)


def test_a_folder_or_a_pipe_is_no_file(valid, load):
    path = valid / "tokenizer.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(ArtifactError, match="is not a regular file"):
        load(valid)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_in_place_of_the_manifest_does_not_hang(valid):
    (valid / "stonnx.json").unlink()
    os.mkfifo(valid / "stonnx.json")
    with pytest.raises(ArtifactError, match="not a regular file"):
        Artifact.open(valid)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"a":' * 200_000,
        "[]",
        "null",
        "1" * 5_000,
        '{"schema_version": ' + "9" * 5_000 + "}",
        '{"schema_version": 1e999}',
        '{"schema_version": -Infinity}',
        '{"schema_version": true}',
        '{"a": 1, "a": 1}',
        "\ufeff{}",
        "",
    ],
    ids=lambda text: text[:24],
)
def test_hostile_json(valid, text):
    (valid / "stonnx.json").write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"stonnx\.json"):
        Artifact.open(valid)


def test_json_that_is_not_utf8(valid):
    (valid / "stonnx.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ArtifactError, match="cannot be read as JSON"):
        Artifact.open(valid)


def test_options_may_not_nest_without_end(valid, load):
    value = json.loads((valid / "stonnx.json").read_text(encoding="utf-8"))
    deep: object = 0
    for _ in range(60):
        deep = [deep]
    value["towers"][0]["head"][0]["options"] = {"deep": deep}
    (valid / "stonnx.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"towers\[0\]\.head\[0\]\.options\.deep.*nested more than 32"):
        load(valid)


def test_huge_dimension(valid, load):
    value = json.loads((valid / "stonnx.json").read_text(encoding="utf-8"))
    value["outputs"][0]["dimension"] = 10**30
    (valid / "stonnx.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"dimension: .*beyond 64 bits"):
        load(valid)


@pytest.mark.parametrize(
    "location",
    [
        "/etc/passwd",
        "../../secret",
        "..",
        "sub/../../../secret",
        "..\\secret",
        "C:secret",
        "*/_ORT_MEM_ADDR_/*",  # ONNX Runtime's mark for an address in memory
        "./model.onnx_data",
        "model.onnx_data\0.bin",
        "",
        "model.onnx",
    ],
)
def test_external_data_outside_the_variant(valid, load, location):
    write_graph(valid / "onnx/model_optimized.onnx", portable=False, location=location)
    _list_again(valid)
    with pytest.raises(ArtifactError, match="external data"):
        load(valid)


@pytest.mark.parametrize(
    "place",
    "initializer sparse constant subgraph list training function default sparse_attribute other_graph".split(),
)
def test_external_data_is_found_wherever_a_tensor_can_be(valid, load, place):
    onnx = pytest.importorskip("onnx")
    path = valid / "onnx/model_optimized.onnx"
    model = onnx.load(str(path), load_external_data=False)
    tensor = onnx.TensorProto(name="evil", data_type=1, dims=[2], data_location=1)
    tensor.external_data.add(key="location", value="../../secret")
    _hide(onnx, model, tensor, place)
    path.write_bytes(model.SerializeToString())
    _list_again(valid)
    with pytest.raises(ArtifactError, match=r"\.\./\.\./secret"):
        load(valid)


def _hide(onnx, model, tensor, place):
    node = model.graph.node.add(op_type="Constant", output=["x"])
    sparse = onnx.SparseTensorProto(values=tensor, dims=[2])
    inner = onnx.GraphProto(initializer=[tensor])
    attribute = {
        "constant": lambda: onnx.AttributeProto(name="value", t=tensor),
        "subgraph": lambda: onnx.AttributeProto(name="body", g=inner),
        "list": lambda: onnx.AttributeProto(name="values", tensors=[tensor]),
        "sparse_attribute": lambda: onnx.AttributeProto(name="value", sparse_tensor=sparse),
        "other_graph": lambda: onnx.AttributeProto(name="bodies", graphs=[onnx.GraphProto(), inner]),
    }
    if place == "initializer":
        model.graph.initializer.append(tensor)
    elif place == "sparse":
        model.graph.sparse_initializer.append(sparse)
    elif place == "training":
        model.training_info.add(algorithm=inner)
    elif place == "function":
        model.functions.add(name="f").node.add(op_type="If").attribute.add(name="then_branch", g=inner)
    elif place == "default":
        model.functions.add(name="f").attribute_proto.append(onnx.AttributeProto(name="a", t=tensor))
    else:
        node.attribute.append(attribute[place]())


def test_a_location_given_twice_is_refused(valid, load):
    onnx = pytest.importorskip("onnx")
    path = valid / "onnx/model_optimized.onnx"
    model = onnx.load(str(path), load_external_data=False)
    data = model.graph.initializer[0].external_data
    data.add(key="location", value="../../secret")
    path.write_bytes(model.SerializeToString())
    _list_again(valid)
    with pytest.raises(ArtifactError, match="external data: the key 'location' is given twice"):
        load(valid)


def test_a_second_graph_is_merged_and_therefore_looked_at(valid, load):
    onnx = pytest.importorskip("onnx")
    tensor = onnx.TensorProto(name="evil", data_type=1, dims=[2], data_location=1)
    tensor.external_data.add(key="location", value="/etc/passwd")
    more = onnx.ModelProto(graph=onnx.GraphProto(initializer=[tensor]))
    path = valid / "onnx/model_optimized.onnx"
    path.write_bytes(path.read_bytes() + more.SerializeToString())
    _list_again(valid)
    with pytest.raises(ArtifactError, match="/etc/passwd"):
        load(valid)


def test_deeply_nested_subgraphs_do_not_exhaust_the_stack(valid):
    onnx = pytest.importorskip("onnx")
    path = valid / "onnx/model_optimized.onnx"
    payload = b""
    for _ in range(3_000):
        for field in (6, 5, 1):  # attribute.g, node.attribute, graph.node
            payload = bytes([field << 3 | 2]) + _varint(len(payload)) + payload
    deep = onnx.ModelProto().SerializeToString() + bytes([7 << 3 | 2]) + _varint(len(payload)) + payload
    path.write_bytes(path.read_bytes() + deep)
    _list_again(valid)
    artifact = Artifact.open(valid)
    with pytest.raises(ArtifactError, match="holds a graph inside a node"):
        check_graphs(artifact, artifact.variant("fp32"))


def test_a_graph_in_another_format_is_refused(valid, manifest):
    (valid / "onnx/model.ort").write_bytes(b"\x00\x00\x00\x00ORTM")
    fp32 = replace(manifest.variants[0], graphs=one_graph("onnx/model.ort", "input_ids"), files=("onnx/model.ort",))
    with pytest.raises(ArtifactError, match=r"variants\[0\]\.graphs\[0\]\.file: expected a \.onnx file"):
        write_manifest(valid, replace(manifest, variants=(fp32,), files=file_entries(valid)))


def _list_again(folder):
    """Sizes and hashes that are right, as an attacker would write them."""
    manifest = manifest_from_json(json.loads((folder / "stonnx.json").read_text(encoding="utf-8")))
    write_manifest(folder, replace(manifest, files=file_entries(folder)))


def _varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def _replace_by_link(path, target):
    path.unlink()
    _link(path, target)


def _link(path, target):
    try:
        path.symlink_to(target, target_is_directory=target.is_dir())
    except OSError:
        pytest.skip("links cannot be made here")
