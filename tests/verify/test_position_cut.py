"""Models whose files allow more tokens than they have positions for, on which sentence-transformers itself fails."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from stonnx.artifact import Artifact, write_manifest
from stonnx.bench import BenchOptions, run_bench
from stonnx.cli._console import Output
from stonnx.cli._tables import print_bench, print_verification
from stonnx.compile import convert
from stonnx.errors import RunError
from stonnx.reference import PositionCut, ReferenceEncoder, ReferenceReranker
from stonnx.testing import TinyModel, make_tiny_model
from stonnx.verify import verify
from tests.originals import make_reranker

pytestmark = pytest.mark.reference

LONG = "the hello world " * 60
CUT = PositionCut(files_tokens=64, positions=63)  # padding has id 0, and RoBERTa counts from the position after it


@pytest.mark.parametrize(
    ("family", "limit", "cut"),
    [
        ("roberta", None, CUT),
        ("xlm-roberta", 80, PositionCut(files_tokens=80, positions=63)),
        ("mpnet", None, PositionCut(files_tokens=64, positions=62)),  # its id of padding is always 1
        ("bert", 80, PositionCut(files_tokens=80, positions=64)),  # max_seq_length is taken at its word
        ("bert", None, None),
        ("roberta", 63, None),
        ("distilbert", 20, None),
    ],
)
def test_convert_verifies_up_to_the_last_position(tmp_path, family, limit, cut):
    folder = make_tiny_model(tmp_path / "source", TinyModel(family=family, tokenizer="bpe", max_tokens=limit))
    done = convert(folder, tmp_path / "out", int8=False)
    assert done.report.passed
    assert done.report.position_cut == cut
    assert done.manifest.tower.tokenizer.max_tokens == (cut.positions if cut else limit or 64)
    assert ("cut at" in Artifact.open(done.path).goldens().reference) == (cut is not None)
    again = verify(done.path, against=folder, texts=[LONG])
    assert again.passed
    assert again.position_cut == cut
    assert verify(done.path).position_cut is None


def test_the_original_fails_one_token_later(tmp_path):
    folder = make_tiny_model(tmp_path / "source", TinyModel(family="roberta", tokenizer="bpe"))
    encoder = ReferenceEncoder.load(folder)
    assert encoder.max_tokens == 63
    encoder.encode([LONG])
    encoder._model.max_seq_length = 64
    with pytest.raises(RunError, match=r"^sentence-transformers failed: index"):
        encoder.encode([LONG])


@pytest.fixture
def reranker(tmp_path):
    folder = make_reranker(tmp_path / "reranker", "roberta", pad_token_id=0)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_max_length": 1000}))
    return folder


def test_rerankers(reranker, tmp_path, capsys):
    assert ReferenceReranker.load(reranker).position_cut == CUT
    done = convert(reranker, tmp_path / "out", int8=False)
    assert done.report.passed
    assert done.report.position_cut == CUT
    assert done.report.to_json()["position_cut"] == {"files_tokens": 64, "positions": 63}
    print_verification(Output(), done.report)
    assert "positions for 63" in capsys.readouterr().out
    assert verify(done.path, against=reranker).position_cut == CUT


def test_bench_beside_the_original(reranker, tmp_path, capsys):
    done = convert(reranker, tmp_path / "out", verify=False, int8=False)
    pairs = [("hello", LONG), ("the world", LONG), ("text", "hello world")]
    report = run_bench(
        done.path, against=reranker, texts=pairs, threads=1, options=BenchOptions(seconds=0.3, quick=True)
    )
    assert report.position_cut == CUT
    assert report.to_json()["position_cut"] == {"files_tokens": 64, "positions": 63}
    assert report.score_diff < 1e-5
    print_bench(Output(), report)
    assert "positions for 63" in capsys.readouterr().out


@pytest.mark.parametrize("limit", [40, 62])
def test_another_limit_in_the_manifest_is_found(tmp_path, limit):
    folder = make_tiny_model(tmp_path / "source", TinyModel(family="roberta", tokenizer="bpe"))
    done = convert(folder, tmp_path / "out", verify=False, int8=False)
    tower = done.manifest.tower
    shorter = replace(tower, tokenizer=replace(tower.tokenizer, max_tokens=limit))
    write_manifest(done.path, replace(done.manifest, towers=(shorter,)))
    report = verify(done.path, against=folder)
    assert report.position_cut == CUT
    assert not report.passed
