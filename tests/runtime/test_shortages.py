"""Too many threads are refused; memory and threads that the system does not give are told, and nobody hangs."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx
import pytest

from stonnx import Encoder
from stonnx.artifact import Artifact, file_entries, write_manifest
from stonnx.artifact.thread_limit import check_threads
from stonnx.errors import ArtifactError, RunError, UsageError
from stonnx.runtime.shortages import check_threads_start, shortage
from tests.runtime.conftest import write_graph

resource = pytest.importorskip("resource")
pytest.importorskip("onnxruntime")


def test_as_many_threads_as_make_sense():
    assert check_threads(16, cores=1) == 16
    assert check_threads(256, cores=64) == 256
    for threads, cores in ((17, 4), (257, 64), (0, 4)):
        with pytest.raises(UsageError, match=f"threads is {threads}"):
            check_threads(threads, cores=cores)


def test_thousands_of_threads_are_refused_before_anything_is_opened(tmp_path):
    from stonnx.bench import run_bench

    with pytest.raises(UsageError, match="threads is 4000; with the"):
        run_bench(tmp_path / "nowhere", threads=4000)


def test_load_refuses_them(make_artifact):
    with pytest.raises(UsageError, match=r"threads is 4000; with the \d+ cores .* at most \d+ are allowed"):
        Encoder.load(make_artifact(), threads=4000)


@pytest.mark.reference
@pytest.mark.slow
def test_the_reference_refuses_them(tmp_path):
    from stonnx.reference import ReferenceEncoder

    with pytest.raises(UsageError, match="threads is 4000"):
        ReferenceEncoder.load(tmp_path, threads=4000)


@pytest.mark.parametrize(
    ("cause", "about"),
    [
        (MemoryError(), "memory"),
        (RuntimeError("Exception during initialization: std::bad_alloc"), "memory"),
        (OSError(12, "Cannot allocate memory"), "memory"),
        (RuntimeError("can't start new thread"), "threads"),
        (RuntimeError("Resource temporarily unavailable"), "threads"),
        (RuntimeError("Protobuf parsing failed"), None),
    ],
)
def test_what_an_error_is_about(cause, about):
    error = ArtifactError("It cannot be loaded.")
    error.__cause__ = cause
    for found in (shortage(error), shortage(cause)):
        assert found is None if about is None else about in found.message


def test_threads_that_do_not_start(monkeypatch):
    check_threads_start(3)
    import threading

    start, started = threading.Thread.start, []

    def refuse(self):
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(self)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RunError, match="no more threads"):
        check_threads_start(2)
    assert not any(thread.is_alive() for thread in started)


LIMITED = """
import os, resource, signal, sys
import numpy, tokenizers
from stonnx import Encoder
from stonnx.runtime import loading
from stonnx.runtime.engines import ENGINES
from stonnx._extras import require
if {variant!r} == "openvino":
    from stonnx.runtime.engines._openvino_package import import_openvino
    import_openvino()
else:
    require("onnxruntime", extra="cpu", purpose="test")
from stonnx.errors import RunError, StonnxError
signal.alarm(60)  # instead of hanging for ever
{limit}
try:
    Encoder.load({path!r}, variant={variant!r}, threads={threads}).encode("hello")
except StonnxError as exc:
    assert type(exc) is RunError, repr(exc)
    print(exc.message)
"""


def under_a_limit(artifact, variant, limit, threads):
    program = LIMITED.format(path=str(artifact.path), variant=variant, limit=limit, threads=threads)
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # engines are silent
    return done.stdout


@pytest.fixture
def heavy_artifact(make_artifact):
    """An artifact whose weights take 64 MiB, with a variant for each engine."""
    artifact = make_artifact()
    fp32 = artifact.variant("fp32")
    graph = artifact.path / fp32.graph.file
    write_graph(graph, kind="free", vocab_size=2**21)
    weights = f"{fp32.graph.file}_data"
    onnx.save_model(onnx.load(graph), graph, save_as_external_data=True, location=Path(weights).name)
    fp32 = dataclasses.replace(fp32, files=(*fp32.files, weights))
    variants = (fp32, dataclasses.replace(fp32, name="openvino", engine="openvino"))
    write_manifest(
        artifact.path, dataclasses.replace(artifact.manifest, variants=variants, files=file_entries(artifact.path))
    )
    return Artifact.open(artifact.path)


@pytest.mark.slow  # a process of its own
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize(("engine", "variant"), [("onnxruntime", "fp32"), ("openvino", "openvino")])
def test_a_process_limit_is_an_error_and_no_hang(heavy_artifact, engine, variant):
    pytest.importorskip(engine)
    with tempfile.TemporaryDirectory() as name:  # the other user may not look into pytest's own
        folder = Path(name)
        folder.chmod(0o755)
        if any(parent.stat().st_mode & 0o005 != 0o005 for parent in folder.parents):
            pytest.skip("no folder here that another user may read")
        shutil.copytree(heavy_artifact.path, folder / "artifact")
        # A user id that nobody has, so that its processes are counted from one.
        limit = "os.setuid(61234); resource.setrlimit(resource.RLIMIT_NPROC, (5, 5))"
        said = under_a_limit(Artifact.open(folder / "artifact"), variant, limit, threads=8)
    assert said == "The system gives this process no more threads.\n"


@pytest.mark.slow  # a process of its own
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")
@pytest.mark.parametrize(("engine", "variant"), [("onnxruntime", "fp32"), ("openvino", "openvino")])
def test_a_memory_limit_is_told_as_that(heavy_artifact, engine, variant):
    pytest.importorskip(engine)
    limit = """
bytes = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + 40 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (bytes, bytes))
"""
    said = under_a_limit(heavy_artifact, variant, limit, threads=1)
    assert said == "There is not enough memory to load the model.\n"
