"""Other processes: a forked child gets the same vectors and ends, and an encoder can be sent to a pool."""

from __future__ import annotations

import dataclasses
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from stonnx import Encoder
from stonnx.errors import ArtifactError, RunError, UsageError
from stonnx.runtime.engines import open_engine

pytest.importorskip("onnxruntime")

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


@pytest.fixture
def both_engines(make_artifact):
    """An artifact with a variant for OpenVINO as well."""
    portable = make_artifact().variant("portable")
    openvino = dataclasses.replace(portable, name="openvino", engine="openvino")
    return make_artifact(variants=(*make_artifact().manifest.variants, openvino))


def run_program(program, timeout=120):
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": ""}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_fork
@pytest.mark.slow  # a process that opens an engine twice
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("engine", "variant"), [("onnxruntime", "fp32"), ("openvino", "openvino")])
@pytest.mark.parametrize("use", [True, False])
def test_a_forked_child_gets_the_same_vectors_and_ends(both_engines, engine, variant, threads, use):
    pytest.importorskip(engine)
    program = f"""
import os, signal, sys
import numpy as np
from stonnx import Encoder
encoder = Encoder.load({str(both_engines.path)!r}, variant={variant!r}, threads={threads})
texts = ["hello", "of and to", "in"] * 50
expected = encoder.encode(texts)
child = os.fork()
signal.alarm(60)  # instead of hanging for ever
if child == 0:
    same = not {use} or np.array_equal(encoder.encode(texts), expected)
    sys.exit(0 if same else 3)  # with everything that Python takes down at its end
assert np.array_equal(encoder.encode(texts), expected)
assert os.waitpid(child, 0)[1] == 0
"""
    run_program(program)


@needs_fork
def test_a_file_that_changed_before_the_fork_is_noticed(make_artifact):
    artifact = make_artifact()
    encoder = Encoder.load(artifact, threads=2)
    encoder.engine.lost_in_fork = True
    path = artifact.path / "onnx/free.onnx"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="was changed"):
        encoder.encode("hello")


@pytest.mark.parametrize(("options", "shares"), [({}, True), ({"streams": 1}, False)])
def test_what_is_opened_again_after_a_fork_shares_its_threads_as_before(make_artifact, options, shares):
    with Encoder.load(make_artifact(), threads=2, **options) as encoder:
        lost = encoder.engine
        lost.after_fork()  # what a child does
        encoder.encode("hello")
        assert encoder.engine is not lost
        assert encoder.engine.shares_threads is shares


@pytest.mark.parametrize(("engine", "threads"), [("onnxruntime", 2), ("openvino", 1)])
def test_an_engine_that_is_lost_says_so(both_engines, engine, threads):
    pytest.importorskip(engine)
    variant = both_engines.variant({"onnxruntime": "portable", "openvino": "openvino"}[engine])
    opened = open_engine(variant, both_engines, threads=threads)
    ids = np.array([[1, 2]])
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    opened.run(feeds, ["sentence_embedding"])
    opened.after_fork()  # what a child does
    assert opened.lost_in_fork
    with pytest.raises(RunError, match="forked"):
        opened.run(feeds, ["sentence_embedding"])
    opened.close()


def test_an_onnxruntime_engine_without_threads_lives_on(make_artifact):
    artifact = make_artifact()
    opened = open_engine(artifact.variant("fp32"), artifact, threads=1)
    opened.after_fork()
    assert not opened.lost_in_fork
    opened._running.add(1)  # another thread was in the middle of a run
    opened.after_fork()
    assert opened.lost_in_fork


def test_pickled_by_path_and_settings(make_artifact, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_artifact()
    with Encoder.load("artifact", variant="portable", threads=2, streams=2, batch_tokens=33) as encoder:
        monkeypatch.chdir("/")
        again = pickle.loads(pickle.dumps(encoder))  # noqa: S301 - our own bytes
        expected = encoder.encode(["hello", "of and to"])
    assert (again.variant.name, again.threads, again.streams, again.batch_tokens) == ("portable", 2, 2, 33)
    assert (again.encode(["hello", "of and to"]) == expected).all()
    again.close()
    with pytest.raises(UsageError, match="closed, so it cannot be pickled"):
        pickle.dumps(again)


@pytest.mark.slow  # starts processes
@pytest.mark.parametrize("method", ["spawn", pytest.param("fork", marks=needs_fork)])
def test_a_pool_of_processes(make_artifact, tmp_path, method):
    script = tmp_path / "pooled.py"
    script.write_text(
        f"""
import multiprocessing
from stonnx import Encoder

if __name__ == "__main__":
    encoder = Encoder.load({str(make_artifact().path)!r}, threads=2)
    lists = [["hello", "of and to"], ["in is"]]
    expected = [encoder.encode(texts) for texts in lists]
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        for want, got in zip(expected, pool.map(encoder.encode, lists), strict=True):
            assert (want == got).all()
    print("same")
""",
        encoding="utf-8",
    )
    assert run_program(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')") == "same\n"
