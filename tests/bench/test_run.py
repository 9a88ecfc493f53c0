from __future__ import annotations

import contextlib
import json
import logging
from dataclasses import replace

import numpy as np
import pytest

from stonnx._queries import query_calls
from stonnx.artifact import Artifact, Scoring, TokenizerSpec
from stonnx.bench import run as run_module
from stonnx.bench.agreement import lowest_cosine
from stonnx.bench.pairs import bench_pairs
from stonnx.bench.report import BenchReport, Latency, ProtocolResult
from stonnx.bench.run import BenchOptions, run_bench
from stonnx.bench.sides import Side, Sides
from stonnx.bench.texts import bench_texts
from stonnx.errors import UsageError
from tests.manifests import embedding_manifest


def _report() -> BenchReport:
    return BenchReport(
        machine={"cpu": "x"},
        versions={"numpy": "2"},
        threads=2,
        streams=1,
        artifact=run_module.Path("folder"),
        variant="fp32",
        against=None,
        sides=("stonnx fp32", "stonnx portable"),
        cosine_min=1.0,
        protocols=(
            ProtocolResult(
                name="latency",
                unit="ms",
                texts=50,
                rounds=3,
                a=Latency(p50=1.0, p95=2.0),
                b=Latency(p50=3.0, p95=4.0),
                ratio=3.0,
                ratio_low=2.5,
                ratio_high=3.5,
            ),
        ),
    )


def test_report_is_plain_json():
    value = _report().to_json()
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    assert list(value) == [
        "machine",
        "versions",
        "threads",
        "streams",
        "artifact",
        "variant",
        "against",
        "sides",
        "cosine_min",
        "score_diff",
        "position_cut",
        "protocols",
    ]
    assert value["protocols"] == [
        {
            "name": "latency",
            "unit": "ms",
            "texts": 50,
            "rounds": 3,
            "a": {"p50": 1.0, "p95": 2.0},
            "b": {"p50": 3.0, "p95": 4.0},
            "ratio": 3.0,
            "ratio_low": 2.5,
            "ratio_high": 3.5,
        }
    ]


def _constant(name: str, vector: list[float]) -> Side:
    def same(texts):
        return np.array([vector] * len(texts), dtype=np.float32)

    return Side(name=name, run=same, results=same)


def test_lowest_cosine(caplog):
    sides = Sides(a=_constant("a", [2, 0]), b=_constant("b", [5, 0]), variant="v", threads=1, streams=1)
    with caplog.at_level(logging.WARNING):
        assert lowest_cosine(sides, ["x"]) == pytest.approx(1.0)
    assert not caplog.records
    sides = Sides(a=_constant("a", [2, 0]), b=_constant("b", [0, 5]), variant="v", threads=1, streams=1)
    with caplog.at_level(logging.WARNING):
        assert lowest_cosine(sides, ["x"]) == pytest.approx(0.0)
    assert "differ" in caplog.text


def test_another_model_on_the_other_side_is_an_error():
    with pytest.raises(UsageError, match="not the same model"):
        lowest_cosine(
            Sides(a=_constant("a", [2, 0]), b=_constant("b", [0, 5, 1]), variant="v", threads=1, streams=1), ["x"]
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threads": 0}, "threads is 0"),
        ({"options": BenchOptions(seconds=0)}, "seconds is 0"),
        ({"options": BenchOptions(seconds=float("nan"))}, "seconds is nan"),
        ({"texts": []}, "no text"),
    ],
)
def test_arguments_are_checked_before_anything_is_opened(arguments, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        run_bench(tmp_path / "absent", **arguments)


@pytest.fixture
def artifact(tmp_path):
    tokenizer = TokenizerSpec(file="tokenizer.json", max_tokens=8, pad_id=0)
    manifest = embedding_manifest(dimension=4, tokenizer=tokenizer)
    return Artifact(path=tmp_path, manifest=manifest)


def test_run_bench_measures_three_protocols_with_the_same_threads(run, artifact, monkeypatch):
    opened: list[dict[str, object]] = []

    @contextlib.contextmanager
    def open_sides(given, **arguments):
        opened.append({"artifact": given, **arguments})
        yield replace(run.sides(0.001, 0.002), threads=3)

    monkeypatch.setattr(run_module, "open_sides", open_sides)
    monkeypatch.setattr(run_module, "perf_counter", run.clock)
    texts = [f"text {number}" for number in range(100)]
    seen = set()
    report = run_bench(
        artifact,
        against="org/model",
        texts=texts + texts,
        threads=3,
        options=BenchOptions(variant="fp32"),
        on_progress=lambda name, done, total: seen.add(name),
    )
    assert opened == [{"artifact": artifact, "variant": "fp32", "against": "org/model", "threads": 3}]
    assert [protocol.name for protocol in report.protocols] == ["classic", "realistic", "latency"]
    assert seen == {"classic", "realistic", "latency"}
    assert [protocol.ratio for protocol in report.protocols] == pytest.approx([2.0] * 3)
    assert report.protocols[1].texts == 100  # repeated texts once
    assert (report.threads, report.against, report.cosine_min) == (3, "org/model", pytest.approx(1.0))
    assert "versions" not in report.machine
    assert report.versions["numpy"] == np.__version__
    assert run.now < 60


def test_shipped_texts_are_in_the_language_of_the_vocabulary(run, artifact, monkeypatch):
    @contextlib.contextmanager
    def open_sides(given, **arguments):
        yield replace(run.sides(0.001, 0.002), threads=3)

    monkeypatch.setattr(run_module, "open_sides", open_sides)
    monkeypatch.setattr(run_module, "perf_counter", run.clock)
    monkeypatch.setattr("stonnx.bench.material.text_language", lambda given: "zh")
    run_bench(artifact)
    encoded = {text for _, texts in run.calls for text in texts}
    assert set(bench_texts("zh")) <= encoded


def test_a_reranker_is_measured_on_pairs(run, artifact, monkeypatch):
    scoring = Scoring(labels=("yes",), activation="Sigmoid", pair_template=None)
    reranker = Artifact(path=artifact.path, manifest=replace(artifact.manifest, kind="reranker", scoring=scoring))

    @contextlib.contextmanager
    def open_sides(given, **arguments):
        yield replace(run.sides(0.001, 0.002), threads=3)

    monkeypatch.setattr(run_module, "open_sides", open_sides)
    monkeypatch.setattr(run_module, "perf_counter", run.clock)
    monkeypatch.setattr("stonnx.bench.material.text_language", lambda given: "en")
    report = run_bench(reranker)
    assert [(protocol.name, protocol.unit) for protocol in report.protocols] == [
        ("realistic", "pairs/s"),
        ("latency", "ms"),
    ]
    assert [protocol.ratio for protocol in report.protocols] == pytest.approx([2.0] * 2)
    assert report.protocols[0].a == pytest.approx(1000)
    assert report.protocols[1].a.p50 == pytest.approx(20)  # a query with twenty documents
    assert (report.cosine_min, report.score_diff) == (None, 0.0)
    with pytest.raises(UsageError, match="is a reranker"):
        run_bench(reranker, texts=["a text"])
    with pytest.raises(UsageError, match="no reranker"):
        run_bench(artifact, texts=[("a query", "a document")])


@pytest.mark.parametrize("pairs", [[("a", "b"), "ab"], [("a",)], [("a", 1)]])
def test_what_is_no_pair_is_refused(pairs, tmp_path):
    with pytest.raises(UsageError, match=r"(pairs|texts)\[[01]\]"):
        run_bench(tmp_path / "absent", texts=pairs)


def test_query_calls_have_twenty_documents_each():
    calls = query_calls(bench_pairs("en"), queries=10)
    assert {len(call) for call in calls} == {20}
    assert len({query for call in calls for query, _ in call}) == len(calls) == 10
    few = query_calls([("q", "d1"), ("q", "d2"), ("r", "d1")], queries=10)
    assert few == ((("q", "d1"), ("q", "d2")), (("r", "d1"), ("r", "d2")))
