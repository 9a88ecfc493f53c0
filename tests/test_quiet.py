"""Nothing is sent and nothing is left in the home folder, by no dependency, whatever the command."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stonnx.compile import convert
from stonnx.testing import TinyModel, make_tiny_model

# Outside a test, these keep dependencies quiet by themselves.
QUIETING = ("CI", "TF_BUILD", "JENKINS_URL", "HF_HUB_OFFLINE", "DO_NOT_TRACK", "DISABLE_TELEMETRY")


@functools.cache
def strace() -> str | None:
    """The tracer, where it is installed and may be used (some containers forbid it)."""
    path = shutil.which("strace")
    works = path is not None and subprocess.run([path, "-o", os.devnull, "true"], check=False).returncode == 0
    return path if works else None


def fresh_environment(home: Path, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in QUIETING and "TELEMETRY" not in key}
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "HF_HOME": str(home / "hf")}
    return {**kept, **places, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **more}


def run_quietly(arguments: list[str], tmp_path: Path, **more: str) -> str:
    """Run Python as a user would; no file may appear at home, and, where strace is at hand, nothing may be called."""
    home, trace = tmp_path / "home", tmp_path / "trace"
    home.mkdir(exist_ok=True)
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    tracer = [] if (path := strace()) is None else [path, "-f", "-e", calls, "-o", str(trace)]
    done = subprocess.run(
        [*tracer, sys.executable, *arguments],
        env=fresh_environment(home, **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    left = [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()]
    assert [name for name in left if not name.startswith("cache/stonnx/")] == []
    if tracer:
        lines = trace.read_text(encoding="utf-8", errors="replace").splitlines()
        assert [line for line in lines if re.search(r"AF_INET|\.(com|net|org|io|co)\b", line)] == []
    return done.stdout


@pytest.fixture
def artifact(tmp_path):
    """A tiny artifact, and the model that it was made of."""
    model = make_tiny_model(tmp_path / "model", TinyModel(hidden=64))
    convert(model, tmp_path / "artifact", verify=False, int8=False)
    return tmp_path / "artifact"


@pytest.mark.slow  # a process under strace
@pytest.mark.parametrize(("engine", "variant"), [("onnxruntime", "fp32"), ("openvino", "openvino")])
def test_encode(artifact, tmp_path, engine, variant):
    pytest.importorskip(engine)
    printed = run_quietly(["-m", "stonnx", "encode", str(artifact), "hello world", "--variant", variant], tmp_path)
    assert "embedding" in printed


@pytest.mark.slow
@pytest.mark.reference
def test_convert_with_verification(tmp_path):
    pytest.importorskip("onnxruntime")
    model = make_tiny_model(tmp_path / "model", TinyModel(hidden=64))
    run_quietly(["-m", "stonnx", "convert", str(model), str(tmp_path / "out")], tmp_path)
    assert (tmp_path / "out" / "report.json").is_file()


@pytest.mark.slow
@pytest.mark.reference
def test_both_sides_of_a_bench(artifact, tmp_path):
    pytest.importorskip("onnxruntime")
    program = f"""
from stonnx.artifact import Artifact
from stonnx.bench.sides import open_sides
artifact = Artifact.open({str(artifact)!r})
with open_sides(artifact, variant="auto", against={str(tmp_path / "model")!r}, threads=1) as sides:
    print([side.run(["hello", "of and to"]).shape for side in (sides.a, sides.b)])
"""
    assert run_quietly(["-c", program], tmp_path) == "[(2, 64), (2, 64)]\n"


def test_what_the_user_set_is_left(tmp_path):
    program = """
import os
from stonnx._quiet import turn_off_telemetry
turn_off_telemetry()
print(os.environ["ORT_DISABLE_TELEMETRY"], os.environ["HF_HUB_DISABLE_TELEMETRY"])
"""
    assert run_quietly(["-c", program], tmp_path).split() == ["1", "1"]
    theirs = {"ORT_DISABLE_TELEMETRY": "0", "HF_HUB_DISABLE_TELEMETRY": ""}
    assert run_quietly(["-c", program], tmp_path, **theirs) == "0 \n"


def test_importing_stonnx_changes_no_environment(tmp_path):
    program = "import os; before = dict(os.environ); import stonnx, stonnx.runtime; assert os.environ == before"
    run_quietly(["-c", program], tmp_path)
