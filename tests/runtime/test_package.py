from __future__ import annotations

import subprocess
import sys

import pytest

import stonnx

HEAVY = ("numpy", "tokenizers", "onnxruntime", "onnx", "torch", "rich", "huggingface_hub", "safetensors", "jsonschema")
OF_OTHER_VERBS = ("stonnx._fields", "stonnx._workplace", "stonnx._writing", "stonnx.texts")  # small, and not needed


def loaded_by(program: str) -> set[str]:
    watched = HEAVY + OF_OTHER_VERBS
    report = f"import sys\n{program}\nsys.stdout.write(' '.join(name for name in {watched!r} if name in sys.modules))"
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", report], env=environment, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_stonnx_loads_nothing_heavy():
    assert loaded_by("import stonnx; stonnx.StonnxError; stonnx.__version__; dir(stonnx)") == set()


def test_encoding_loads_only_what_it_needs(make_artifact):
    pytest.importorskip("onnxruntime")
    path = str(make_artifact().path)
    loaded = loaded_by(f"from stonnx import Encoder; Encoder.load({path!r}, threads=1).encode('hello')")
    assert loaded == {"numpy", "tokenizers", "onnxruntime"}


def test_lazy_names():
    from stonnx.artifact import Artifact
    from stonnx.runtime import Encoder

    assert stonnx.Encoder is Encoder
    assert stonnx.Artifact is Artifact
    assert set(stonnx.__all__) <= set(dir(stonnx))
    with pytest.raises(AttributeError, match="'stonnx' has no attribute 'Decoder'"):
        _ = stonnx.Decoder
