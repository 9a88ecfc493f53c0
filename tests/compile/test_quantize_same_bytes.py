"""``quantize_artifact`` gives what a conversion with int8 gives, byte for byte, whatever the model and its folder."""

from __future__ import annotations

import pytest

from stonnx.artifact import Artifact
from stonnx.compile import convert, quantize_artifact
from stonnx.graph.architectures import FAMILIES
from stonnx.graph.modules import Dense, LayerNorm, Normalize, Pooling
from stonnx.testing import TinyModel, make_tiny_model
from tests.originals import make_reranker

pytest.importorskip("onnxruntime")

INT8 = ("int8", "int8-fast", "openvino-int8", "openvino-int8-static")
MODELS = {
    "dense": {
        "head": (
            Pooling(modes=("mean", "cls")),
            LayerNorm(path="", dimension=64),
            Dense(path="", in_features=64, out_features=16, bias=True, activation="Tanh"),
            Normalize(),
        )
    },
    "prompts outside of the mean": {
        "head": (Pooling(modes=("mean",), include_prompt=False),),
        "prompts": {"query": "query: "},
        "default_prompt_name": "query",
    },
    "no modules.json": {"with_modules_json": False, "head": ()},
    "halves under a prefix": {"dtype": "bfloat16", "tensor_prefix": "bert."},
}


def content(folder):
    """Every file below a folder, with what it holds."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def check_the_same(source, tmp_path, **options):
    """Quantised later or at once: byte for byte the same artifact, and nothing beside it."""
    convert(source, tmp_path / "at-once", verify=False, int8=True)
    convert(source, tmp_path / "later", verify=False, int8=False)
    done = quantize_artifact(tmp_path / "later", **options)
    later = content(tmp_path / "later")
    assert later == content(tmp_path / "at-once")
    assert {path.name for path in tmp_path.iterdir()} == {source.name, "at-once", "later"}
    names = [variant.name for variant in Artifact.open(tmp_path / "later").manifest.variants]
    assert [name for name in names if name in done.added] == list(done.added)
    assert {"int8"} <= set(done.added) <= set(INT8)


@pytest.mark.parametrize(
    "family", ["mpnet", *(pytest.param(f, marks=pytest.mark.slow) for f in FAMILIES if f != "mpnet")]
)
def test_every_family_gives_what_its_conversion_gives(tmp_path, family):
    check_the_same(make_tiny_model(tmp_path / "source", TinyModel(family=family, max_tokens=48)), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("options", MODELS.values(), ids=MODELS)
def test_so_does_every_kind_of_folder(tmp_path, options):
    check_the_same(make_tiny_model(tmp_path / "source", TinyModel(**options)), tmp_path)


@pytest.mark.slow
@pytest.mark.reference  # transformers makes the tiny rerankers
@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])  # with token types as an input, and with one type alone
def test_so_do_rerankers(tmp_path, family):
    check_the_same(make_reranker(tmp_path / "source", family), tmp_path)


@pytest.mark.slow
@pytest.mark.reference
def test_a_verified_artifact_is_the_same_to_the_last_figure(tmp_path):
    source = make_tiny_model(tmp_path / "source", TinyModel(with_modules_json=False, head=(), max_tokens=48))
    for name, int8 in (("first", False), ("at-once", True), ("later", False)):  # a first run may be remembered
        convert(source, tmp_path / name, int8=int8)
    done = quantize_artifact(tmp_path / "later")
    assert done.report is not None
    assert done.report.passed
    assert content(tmp_path / "later") == content(tmp_path / "at-once")
    Artifact.open(tmp_path / "later").check_files()
