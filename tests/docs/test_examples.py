"""Every example that a docstring gives with ``>>>`` runs, and says what it prints."""

from __future__ import annotations

import ast
import doctest
from itertools import pairwise
from pathlib import Path

import pytest

import stonnx
from stonnx.compile import convert
from stonnx.testing import make_tiny_model
from tests.rerankers import write_reranker

pytest.importorskip("onnxruntime")

SOURCE = Path(stonnx.__file__).parent
_MARKS = {"bench": [pytest.mark.reference, pytest.mark.slow], "verify": [pytest.mark.reference]}


def _documented(file):
    """Names and docstrings of a module and of all that it defines."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield getattr(node, "name", ""), ast.get_docstring(node) or ""


def _examples():
    """What can run, named by file and definition: ``runtime/encoder.py Encoder``."""
    for file in sorted(SOURCE.rglob("*.py")):
        place = file.relative_to(SOURCE)
        for name, text in _documented(file):
            if ">>>" in text:
                marks = _MARKS.get(place.parts[0], []) if place.name == "__init__.py" else []
                yield pytest.param(file, text, id=f"{place.as_posix()} {name}".strip(), marks=marks)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a tiny model, its artifact, the artifact of a reranker, and a file of texts."""
    folder = tmp_path_factory.mktemp("examples")
    make_tiny_model(folder / "my-model")
    convert(folder / "my-model", folder / "my-model-onnx", verify=False, int8=False)
    write_reranker(folder / "my-reranker-onnx")
    (folder / "my-texts.txt").write_text("one text\nanother, longer text\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(("file", "text"), list(_examples()))
def test_an_example_says_what_it_prints(file, text, models, tmp_path, monkeypatch):
    for path in models.iterdir():
        if file.parent.name != "compile" or path.name != "my-model-onnx":  # which the example makes
            (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    # The example of a class uses what the module's brings.
    before = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    example = doctest.DocTestParser().get_doctest(
        before if before == text else f"{before}\n\n{text}", {}, file, None, 0
    )
    assert len(example.examples) >= 2
    report = []
    doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert not report, "".join(report)


def test_the_classes_of_the_front_door_have_examples():
    found = {parameter.id for parameter in _examples()}
    assert {"runtime/encoder.py Encoder", "runtime/reranker.py Reranker", "runtime/__init__.py"} <= found


def test_code_in_a_docstring_runs_or_is_announced():
    """Indented lines are code to whoever reads them: ``>>>`` makes them run, ``::`` says that they do not."""
    bare = [
        f"{file.relative_to(SOURCE)} {name}: {line.strip()}"
        for file in sorted(SOURCE.rglob("*.py"))
        for name, text in _documented(file)
        for line in _unannounced(text)
    ]
    assert bare == []


def _unannounced(text):
    """First lines of indented blocks after a paragraph that ends in no colon, and of others after ``::``."""
    for before, block in pairwise(text.split("\n\n")):
        is_code = block.startswith("    ")
        announced = before.endswith(":") if is_code else before.endswith("::")
        if is_code is not announced and not before.startswith("    "):
            yield block.split("\n")[0]
