"""OpenVINO: the numbers of onnxruntime, whatever the shapes, and nothing done that was not asked for."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest

from stonnx import Encoder
from stonnx.artifact import Artifact
from stonnx.compile import convert
from stonnx.errors import ArtifactError, MissingExtraError, RunError, UnsupportedModelError
from stonnx.graph.modules import Normalize, Pooling
from stonnx.machine import cpu_features
from stonnx.runtime.engines import open_engine
from stonnx.runtime.engines._openvino_package import compile_settings
from stonnx.testing import TinyModel, make_tiny_model
from tests.manifests import one_graph

pytest.importorskip("openvino")
pytest.importorskip("onnxruntime")

MASKED = ("input_ids", "attention_mask", "token_type_ids")
INPUTS = {"bert": MASKED, "mpnet": MASKED[:2]}
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}


def on_openvino(artifact, variant="portable", **changes):
    return dataclasses.replace(artifact.variant(variant), name="openvino", engine="openvino", **changes)


def padded_feeds(lengths, seed=0, inputs=MASKED, **prompts):
    """Rows of these many random tokens, padded at the end."""
    lengths = np.array(lengths)[:, None]
    mask = (np.arange(lengths.max()) < lengths).astype(np.int64)
    ids = np.random.default_rng(seed).integers(5, 40, mask.shape) * mask
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return {name: feeds[name] for name in inputs} | prompts


def embed(engine, feeds):
    (vectors,) = engine.run(feeds, ["sentence_embedding"])
    return vectors


@pytest.fixture
def tiny(tmp_path):
    """A function: options of TinyModel in; its artifact, and the portable graph on OpenVINO and onnxruntime, out."""
    opened = []

    def make(**options):
        convert(make_tiny_model(tmp_path / "model", TinyModel(**options)), tmp_path / "out", verify=False, int8=False)
        artifact = Artifact.open(tmp_path / "out")
        variants = on_openvino(artifact), artifact.variant("portable")
        opened.extend(open_engine(variant, artifact, threads=1) for variant in variants)
        return artifact, *opened[-2:]

    yield make
    for engine in opened:
        engine.close()


@pytest.mark.parametrize("family", ["bert", "mpnet"])
@pytest.mark.parametrize("lengths", [[1], [7], [8, 8, 8], [12, 7, 1], [33, 33, 20, 9, 9, 2, 1], [48] * 5])
def test_the_numbers_are_those_of_onnxruntime(tiny, family, lengths):
    _, openvino, onnxruntime = tiny(family=family)
    batch = padded_feeds(lengths, inputs=INPUTS[family])
    found = embed(openvino, batch)
    assert (found.dtype, found.shape) == (np.float32, (len(lengths), 32))
    np.testing.assert_allclose(found, embed(onnxruntime, batch), atol=1e-6)


def test_batch_equals_single(tiny):
    _, openvino, _ = tiny()
    lengths = [20, 17, 17, 9, 8, 3, 1]
    batch = padded_feeds(lengths)
    together = embed(openvino, batch)
    for row, length in enumerate(lengths):
        alone = embed(openvino, {name: values[row : row + 1, :length] for name, values in batch.items()})
        np.testing.assert_allclose(alone[0], together[row], atol=1e-6)


@pytest.mark.parametrize("family", ["bert", "mpnet"])
def test_padding_stays_within_the_position_table(tiny, family):
    artifact, openvino, onnxruntime = tiny(family=family, positions=61)
    longest = artifact.manifest.tower.tokenizer.max_tokens
    assert longest % 8 != 0
    batch = padded_feeds([longest - 2, longest - 3], inputs=INPUTS[family])  # MPNet's positions begin at 2
    np.testing.assert_allclose(embed(openvino, batch), embed(onnxruntime, batch), atol=1e-6)


def test_the_prompt_is_left_out_where_the_graph_says_so(tiny):
    _, openvino, onnxruntime = tiny(head=(Pooling(modes=("mean",), include_prompt=False), Normalize()))
    batches = [padded_feeds([12, 9, 6], prompt_lengths=np.array(lengths)) for lengths in ([3], [0], [2, 0, 1])]
    found = [embed(openvino, batch) for batch in batches]
    for vectors, batch in zip(found, batches, strict=True):
        np.testing.assert_allclose(vectors, embed(onnxruntime, batch), atol=1e-6)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_an_encoder_runs_it(make_artifact):
    variants = make_artifact().manifest.variants
    artifact = make_artifact(variants=(*variants, on_openvino(make_artifact())))
    texts = ["hello world", "", "of and to in is a", "a" * 60, "x y", "world " * 9]
    with Encoder.load(artifact, threads=1) as encoder:
        expected = encoder.encode(texts)
    with Encoder.load(artifact, variant="openvino", threads=1) as encoder:
        assert encoder.engine.name == "openvino"
        assert encoder.engine.version[0].isdigit()
        np.testing.assert_allclose(encoder.encode(texts), expected, atol=1e-6)


def test_a_graph_without_a_mask_runs_as_well(make_artifact):
    artifact = make_artifact()
    engine = open_engine(on_openvino(artifact, "fp32"), artifact, threads=1)
    expected = open_engine(artifact.variant("fp32"), artifact, threads=1)
    batch = padded_feeds([5, 5, 5], inputs=("input_ids",))
    np.testing.assert_allclose(embed(engine, batch), embed(expected, batch), atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_several_threads_may_run_it(make_artifact, threads):
    artifact = make_artifact()
    engine = open_engine(on_openvino(artifact), artifact, threads=threads)
    batches = [padded_feeds([1 + seed % 12, 3, 1], seed) for seed in range(24)]
    expected = [embed(engine, batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for found, want in zip(pool.map(embed, [engine] * 72, batches * 3), expected * 3, strict=True):
            np.testing.assert_array_equal(found, want)


def test_a_closed_engine_says_so(make_artifact):
    artifact = make_artifact()
    engine = open_engine(on_openvino(artifact), artifact, threads=1)
    embed(engine, padded_feeds([2]))
    engine.close()
    engine.close()
    with pytest.raises(RunError, match="closed"):
        embed(engine, padded_feeds([2]))


def test_a_failed_run_is_named_and_does_not_spoil_the_next(tiny):
    _, openvino, _ = tiny(positions=32)
    before = embed(openvino, padded_feeds([4]))
    with pytest.raises(RunError, match=r"OpenVINO .* failed on a batch of 2 x 90 tokens: \[CPU\] \w") as caught:
        embed(openvino, padded_feeds([90, 90]))
    assert "Exception from" not in caught.value.message
    np.testing.assert_array_equal(embed(openvino, padded_feeds([4])), before)


def test_a_damaged_graph_is_named(make_artifact):
    artifact = make_artifact()
    path = artifact.file("onnx/masked.onnx")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ArtifactError, match=r"cannot load .*masked\.onnx"):
        open_engine(on_openvino(artifact), artifact, threads=1)


def test_a_graph_without_the_output_is_named(make_artifact):
    artifact = make_artifact()
    path = artifact.file("onnx/free.onnx")
    model = onnx.load(path)
    model.graph.node[-1].output[0] = model.graph.output[0].name = "something_else"
    onnx.save(model, path)
    with pytest.raises(ArtifactError, match="sentence_embedding"):
        open_engine(on_openvino(artifact, "fp32"), artifact, threads=1)


@pytest.mark.parametrize("inputs", [("input_ids",), ("input_ids", "attention_mask", "token_type_ids", "prompt_length")])
def test_inputs_must_be_those_of_the_graph(make_artifact, inputs):
    artifact = make_artifact()
    with pytest.raises(ArtifactError, match=r"prompt_length|attention_mask, token_type_ids"):
        open_engine(on_openvino(artifact, graphs=one_graph("onnx/masked.onnx", *inputs)), artifact, threads=1)


@pytest.mark.parametrize(
    "options",
    [
        {"CACHE_DIR": "cache"},
        {"INFERENCE_PRECISION_HINT": "f16"},
        {"INFERENCE_PRECISION_HINT": "f32\n"},
        {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "-1"},
        {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "１２８"},
    ],
)
def test_only_known_options_are_passed_on(make_artifact, options):
    artifact = make_artifact()
    with pytest.raises(ArtifactError, match="allowed are INFERENCE_PRECISION_HINT"):
        open_engine(on_openvino(artifact, options=options), artifact, threads=1)


def test_what_a_variant_leaves_out_is_set_all_the_same(make_artifact, monkeypatch):
    monkeypatch.setattr("stonnx.runtime.engines._openvino_package.usable_cores", lambda: 6)
    plain = on_openvino(make_artifact())
    settings = compile_settings(plain, threads=6)
    assert (settings["INFERENCE_PRECISION_HINT"], settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"]) == ("f32", "0")
    assert (settings["NUM_STREAMS"], settings["INFERENCE_NUM_THREADS"]) == (1, 6)
    chosen = dataclasses.replace(plain, options={"DYNAMIC_QUANTIZATION_GROUP_SIZE": "128"})
    settings = compile_settings(chosen, threads=2)
    assert (settings["INFERENCE_PRECISION_HINT"], settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"]) == ("f32", "128")
    assert (settings["NUM_STREAMS"], settings["INFERENCE_NUM_THREADS"]) == (3, 6)


def test_bfloat16_is_never_replaced_in_silence(make_artifact):
    artifact = make_artifact()
    variant = on_openvino(artifact, options={"INFERENCE_PRECISION_HINT": "bf16"})
    if cpu_features() & BFLOAT16:
        open_engine(variant, artifact, threads=1).close()
        return
    with pytest.raises(UnsupportedModelError, match="computes in bf16; OpenVINO on this CPU in f32"):
        open_engine(variant, artifact, threads=1)


def test_a_missing_package_names_the_pip_line(make_artifact, monkeypatch):
    monkeypatch.setattr("stonnx._extras.available", lambda module: module != "openvino")
    artifact = make_artifact()
    with pytest.raises(MissingExtraError, match="openvino is needed") as caught:
        open_engine(on_openvino(artifact), artifact, threads=1)
    assert caught.value.hint.startswith('pip install "stonnx[openvino]"')


def in_a_fresh_process(code, home):
    # Without CI: there OpenVINO keeps quiet by itself.
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "TF_BUILD", "JENKINS_URL")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=False,
        env={**environment, "HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_importing_it_tells_nobody(tmp_path):
    code = """
import multiprocessing, sys
started = []
multiprocessing.Process.start = started.append
from stonnx.runtime.engines._openvino_package import import_openvino
openvino = import_openvino()
import concurrent.futures.thread as pools
for thread in list(pools._threads_queues):
    thread.join(5)
assert not started, started
assert "openvino_telemetry" not in sys.modules
assert openvino.convert_model is not None
"""
    in_a_fresh_process(code, tmp_path)
    assert list(tmp_path.iterdir()) == []
