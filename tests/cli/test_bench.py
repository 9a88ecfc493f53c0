"""``stonnx bench``: what is passed on, the table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stonnx.bench import BenchOptions, BenchReport, Latency, ProtocolResult
from stonnx.cli import main
from stonnx.cli.bench import QUICK_SECONDS


def make_bench_report():
    common = {"rounds": 5, "ratio": 1.912, "ratio_low": 1.8, "ratio_high": 2.04}
    latency = {"a": Latency(p50=3.21, p95=4.0), "b": Latency(p50=40.1, p95=1068.2)}
    return BenchReport(
        machine={"cpu": "A Processor With A Long Name @ 2.10GHz", "usable_cores": 2, "os": "Linux 6.1"},
        versions={"torch": "2.13.0"},
        threads=2,
        streams=1,
        artifact=Path("art"),
        variant="fp32",
        against="org/model",
        sides=("stonnx fp32", "sentence-transformers 6.2.0"),
        cosine_min=0.9999999,
        protocols=(
            ProtocolResult(name="classic", unit="s/text", texts=1000, a=0.00304, b=0.0477, **common),
            ProtocolResult(name="realistic", unit="texts/s", texts=300, a=1234.5, b=463.0, **common),
            ProtocolResult(name="latency", unit="ms", texts=50, **latency, **(common | {"ratio": 12.49})),
        ),
    )


@pytest.fixture
def fake_bench(monkeypatch):
    def run_bench(artifact, *, on_progress, **options):
        on_progress("classic", 0, 10)
        on_progress("classic", 10, 10)
        run_bench.calls.append((artifact, options))
        return run_bench.report

    run_bench.calls, run_bench.report = [], make_bench_report()
    monkeypatch.setattr("stonnx.bench.run_bench", run_bench)
    return run_bench


def test_a_person_sees_both_sides_in_eighty_columns(fake_bench, capsys):
    assert main(["bench", "art", "--against", "org/model"]) == 0
    out, err = capsys.readouterr()
    assert max(map(len, out.splitlines())) <= 80
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line.strip()}
    assert lines["protocol"] == ["protocol", "unit", "fp32", "original", "faster", "spread"]
    assert lines["classic"] == ["classic", "s/text", "0.00304", "0.0477", "1.91", "x", "1.80", "-", "2.04"]
    assert lines["realistic"][2:4] == ["1,234", "463"]
    words = " ".join(out.split())
    assert "latency p50 ms 3.21 40.1 12.5 x 1.80 - 2.04" in words
    assert "latency p95 ms 4.00 1,068" in words
    assert "sentence-transformers 6.2.0" in out
    assert err == "Measuring art beside org/model\n  classic\n"


def test_beside_its_own_portable_graph_the_columns_say_so(fake_bench, capsys):
    fake_bench.report = replace(fake_bench.report, against=None, sides=("stonnx fp32", "stonnx portable"))
    assert main(["bench", "art"]) == 0
    assert "protocol unit fp32 portable faster" in " ".join(capsys.readouterr().out.split())


def test_defaults(fake_bench, capsys):
    assert main(["bench", "art"]) == 0
    expected = {"against": None, "texts": None, "threads": None, "options": BenchOptions()}
    assert fake_bench.calls == [("art", expected)]
    assert "its portable graph" in capsys.readouterr().err


def test_options_are_passed_on(fake_bench, capsys):
    Path("t.txt").write_text("one\ntwo\n")
    options = ["--texts", "t.txt", "--threads", "3", "--variant", "portable", "--quick", "--quiet"]
    assert main(["bench", "art", *options]) == 0
    options = BenchOptions(variant="portable", quick=True, seconds=QUICK_SECONDS)
    expected = {"against": None, "texts": ("one", "two"), "threads": 3, "options": options}
    assert fake_bench.calls == [("art", expected)]
    assert capsys.readouterr().err == ""


def test_json_is_the_report(fake_bench, capsys):
    assert main(["bench", "art", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == fake_bench.report.to_json()
