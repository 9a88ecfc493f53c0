"""What ``info``, ``verify``, ``bench`` and ``tune`` show of a reranker: scores where embeddings have cosines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stonnx.artifact import Output, ScoreFidelity, Scoring, file_entries, write_manifest
from stonnx.cli import main
from stonnx.runtime.streams import RunSettings
from stonnx.tune import Row, TuneReport
from stonnx.verify import ScoreTolerance, ScoreVariantReport
from tests.cli.conftest import make_report
from tests.cli.test_bench import make_bench_report

FIDELITY = ScoreFidelity(pairs=450, queries=20, mean_abs_diff=0.00123, max_abs_diff=0.0456, top10_overlap=0.9853)
LABELS = ("contradiction", "entailment", "neutral")


def make_score_report(*, spearman=None, failures=()):
    variant = ScoreVariantReport(
        name="openvino-int8-static",
        fidelity=FIDELITY,
        max_logit_diff=0.123,
        max_score_diff=0.01,
        max_batch_diff=1e-7,
        worst_pair=("a query", "a \x1b[31m document \ud800 " * 10),
        spearman=spearman,
        reference_spearman=spearman,
        failures=failures,
        fidelity_class="high",
        measured_class="high",
        overlap_error=0.0082,
        class_is_sure=False,
    )
    return replace(make_report(), tolerance=ScoreTolerance(), variants=(variant,), kind="reranker")


@pytest.fixture
def fake_verify(monkeypatch):
    def verify(artifact, *, on_step, **options):
        return verify.report

    verify.report = make_score_report()
    monkeypatch.setattr("stonnx.verify.verify", verify)
    return verify


@pytest.fixture
def reranker(artifact, manifest):
    """The folder of ``artifact``, whose model scores pairs."""
    outputs = tuple(Output(name=name, kind=name, dimension=3) for name in ("scores", "logits"))
    close = replace(FIDELITY, mean_abs_diff=1e-7, max_abs_diff=8.1e-7, top10_overlap=1.0)
    write_manifest(
        Path(artifact),
        replace(
            manifest,
            kind="reranker",
            outputs=outputs,
            scoring=Scoring(labels=LABELS, activation="Identity", pair_template=None),
            similarity=None,
            variants=tuple(replace(variant, fidelity=close) for variant in manifest.variants),
            files=file_entries(Path(artifact)),
        ),
    )
    return artifact


def test_verify_shows_scores_in_eighty_columns(fake_verify, capsys):
    assert main(["verify", "art"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    assert "variant mean |Δ| max |Δ| logits top-10 class result" in words
    assert "openvino-int8-static 1.2e-03 4.6e-02 1.2e-01 98.5% ±1.6% high? pass" in words
    assert "450 pairs, 20 rankings" in words


def test_verify_shows_spearman_and_the_worst_pair(fake_verify, capsys):
    fake_verify.report = make_score_report(spearman=0.81234, failures=("mean difference 0.02 is above 0.005",))
    assert main(["verify", "art"]) == 5
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    assert "0.8123" in words
    assert "Spearman on these pairs is 0.8123" in words
    assert 'the worst pair is "a query" with "a \\u001b[31m document' in words
    assert "\x1b" not in out


def test_verify_as_json(fake_verify, capsys):
    assert main(["verify", "art", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["kind"] == "reranker"
    assert value["variants"][0]["fidelity"]["mean_abs_diff"] == 0.00123
    assert value["class_bounds"]["balanced"]["max_abs_diff"] == 0.2


def test_info_shows_labels_and_activation(reranker, capsys):
    assert main(["info", reranker]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    assert "kind reranker" in words
    assert "labels 3: contradiction, entailment, neutral" in words
    assert "activation Identity" in words
    assert "longest pair 256 tokens" in words
    assert "similarity" not in words
    assert "dimension" not in words
    assert "variant pairs mean |Δ| max |Δ| rankings top-10" in words
    assert "fp32 450 1.0e-07 8.1e-07 20 100.00%" in words


def test_bench_counts_pairs(monkeypatch, capsys):
    made = make_bench_report()
    protocols = tuple(replace(protocol, unit="pairs/s") for protocol in made.protocols[1:2])
    report = replace(made, cosine_min=None, score_diff=0.0123, protocols=protocols)
    calls = []
    monkeypatch.setattr("stonnx.bench.run_bench", lambda artifact, **options: calls.append(options) or report)
    Path("p.tsv").write_text("a query\ta document\nanother\ta document\t0.5\n")
    assert main(["bench", "art", "--pairs", "p.tsv"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert calls[0]["texts"] == (("a query", "a document"), ("another", "a document"))
    words = " ".join(out.split())
    assert "realistic 300 pairs x 5 rounds" in words
    assert "same scores? largest difference of a probability between the two 0.012300" in words


def test_texts_and_pairs_at_once_are_refused(capsys):
    Path("p.tsv").write_text("a query\ta document\n")
    Path("t.txt").write_text("a text\n")
    assert main(["bench", "art", "--pairs", "p.tsv", "--texts", "t.txt"]) == 2
    assert "--texts and --pairs" in capsys.readouterr().err


def test_tune_shows_scores(monkeypatch, reranker, capsys):
    row = Row(
        variant="openvino-int8-static",
        engine="openvino 2026.4.1",
        settings=RunSettings(threads=2, streams=2, batch_tokens=2048),
        texts_per_second=1234.5,
        ratio=4.56,
        latency_ms=123.4,
        fidelity=FIDELITY,
        found="high",
        size_bytes=59_500_000,
        load_s=1.7,
        memory_bytes=None,
        overlap_error=0.0082,
        class_is_sure=False,
    )

    def tune(opened, items, *, options, on_step):
        tune.items = items
        return TuneReport(
            artifact=opened.path,
            rows=(row,),
            picked=0,
            on_frontier=frozenset({0}),
            skipped=(),
            options=options,
            compared_with="the original model's scores (450 probe pairs)",
            texts=96,
            seconds=10.0,
            least_seconds=5.0,
            machine={"cpu": "A Processor"},
            kind="reranker",
        )

    monkeypatch.setattr("stonnx.tune.tune", tune)
    Path("p.jsonl").write_text('{"s1": "a query", "s2": "a document"}\n')
    assert main(["tune", reranker, "--pairs", "p.jsonl", "--dry-run"]) == 0
    assert tune.items == (("a query", "a document"),)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    assert "pairs/s faster one query class" in words
    assert "mean |Δ| max |Δ| top-10 files load memory" in words
    assert "1.2e-03 4.6e-02 98.5% ±1.6%" in words
    assert main(["tune", reranker, "--texts", str(Path("p.jsonl")), "--dry-run"]) == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.tsv", "only one\n", "1 column, expected 2 (query, document) or 3"),
        ("p.tsv", "a\tb\t1\tc\n", "4 columns"),
        ("p.csv", "", "has no pairs"),
        ("p.jsonl", '{"s1": "a"}\n', "line 1: s2 is missing; expected a text."),
    ],
)
def test_what_is_no_file_of_pairs(name, content, message, capsys):
    Path(name).write_text(content)
    assert main(["bench", "art", "--pairs", name]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
