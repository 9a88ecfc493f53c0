"""The examples at the doors of the rooms run, and say what they print."""

from __future__ import annotations

import doctest
import importlib

import pytest

from stonnx.compile import convert
from stonnx.testing import make_tiny_model

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a tiny model, its artifact, and a file of texts."""
    folder = tmp_path_factory.mktemp("examples")
    make_tiny_model(folder / "my-model")
    convert(folder / "my-model", folder / "my-model-onnx", verify=False)
    (folder / "my-texts.txt").write_text("one text\nanother, longer text\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "stonnx.compile",
        "stonnx.runtime",
        "stonnx.texts",
        "stonnx.tune",
        pytest.param("stonnx.bench", marks=[pytest.mark.reference, pytest.mark.slow]),
        pytest.param("stonnx.verify", marks=pytest.mark.reference),
    ],
)
def test_the_example_of_a_module(name, models, tmp_path, monkeypatch):
    for path in models.iterdir():
        if name != "stonnx.compile" or path.name != "my-model-onnx":  # which the example makes
            (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    example = doctest.DocTestParser().get_doctest(importlib.import_module(name).__doc__, {}, name, None, 0)
    assert len(example.examples) >= 2
    report = []
    doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert not report, "".join(report)
