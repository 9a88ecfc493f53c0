"""``stonnx verify``: the table, the verdict, the exit code."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from stonnx.cli import _console, main
from stonnx.cli._console import Output
from stonnx.cli._variant_rows import VariantRows
from stonnx.verify import LabelledPair, SkippedVariant
from tests.cli.conftest import make_report


@pytest.fixture
def fake_verify(monkeypatch):
    def verify(artifact, *, on_step, on_variant, **options):
        on_step("running")
        for found in verify.report.variants:
            on_variant(found)
        verify.calls.append((artifact, options))
        return verify.report

    verify.calls, verify.report = [], make_report()
    monkeypatch.setattr("stonnx.verify.verify", verify)
    return verify


def test_pass(fake_verify, capsys):
    assert main(["verify", "art"]) == 0
    out, err = capsys.readouterr()
    assert fake_verify.calls == [("art", {"against": None, "texts": None, "pairs": None, "keep": True, "fresh": False})]
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("pass") == 2
    assert "PASS" in out
    assert "Spearman" not in out
    assert "A Processor With A Long Name" in out
    assert "torch 2.13.0" in out
    assert "running" in err


def test_fail_is_code_five_and_names_the_worst_text(fake_verify, capsys):
    fake_verify.report = make_report(failures=("lowest cosine 0.98, at least 0.999999 is required",))
    assert main(["verify", "art"]) == 5
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("FAIL") == 2  # fp32 in the table, and the verdict
    assert "fp32: lowest cosine 0.98" in out
    assert "\\u001b[31m" in out
    assert "\x1b" not in out


def test_texts_and_pairs_are_read(fake_verify, capsys):
    fake_verify.report = make_report(spearman=0.81234)
    Path("t.txt").write_text("one\ntwo\n")
    Path("p.tsv").write_text("a\tb\t1\nc\td\t2.5\n")
    assert main(["verify", "art", "--against", "org/model", "--texts", "t.txt", "--pairs", "p.tsv"]) == 0
    pairs = (LabelledPair("a", "b", 1.0), LabelledPair("c", "d", 2.5))
    assert fake_verify.calls == [
        ("art", {"against": "org/model", "texts": ("one", "two"), "pairs": pairs, "keep": True, "fresh": False})
    ]
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "  fp32  " in out  # the names of the variants keep their room beside one column more
    assert "  portable  " in out
    assert out.count("0.8123") == 3  # both variants, and the original
    assert "Spearman" in out


def test_a_spearman_that_is_undefined(fake_verify, capsys):
    fake_verify.report = make_report(spearman=math.nan)
    assert main(["verify", "art"]) == 0
    out = capsys.readouterr().out
    assert "nan" not in out
    assert "Spearman is undefined (-) where" in out
    assert main(["verify", "art", "--json"]) == 0
    variants = json.loads(capsys.readouterr().out)["variants"]
    assert [(variant["spearman"], variant["reference_spearman"]) for variant in variants] == [(None, None)] * 2


@pytest.mark.parametrize("failures", [(), ("too far off",)])
def test_json(fake_verify, capsys, failures):
    fake_verify.report = make_report(failures=failures)
    assert main(["verify", "art", "--json"]) == (5 if failures else 0)
    value = json.loads(capsys.readouterr().out)
    assert value["passed"] is not bool(failures)
    assert {variant["name"] for variant in value["variants"]} == {"fp32", "portable"}


def test_classes_and_skipped_variants_are_told(fake_verify, capsys):
    report = make_report()
    high = replace(report.variants[1], fidelity_class="high", measured_class="lossless")
    skipped = SkippedVariant(name="int8", reason="it needs a CPU with avx512_vnni; this one has avx2")
    fake_verify.report = replace(report, variants=(report.variants[0], high), skipped=(skipped,))
    assert main(["verify", "art"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    text = " ".join(out.split())
    assert "fp32 exact, portable high" in text
    assert out.count("lossless") == 1
    assert "int8: skipped, it needs a CPU with avx512_vnni; this one has avx2" in text
    assert "every variant that can run here keeps its class" in text


def test_a_variant_of_no_class(fake_verify, capsys):
    report = make_report(failures=("mean cosine 0.90000 is below 0.999",))
    bad = replace(report.variants[0], fidelity_class="high", measured_class=None)
    fake_verify.report = replace(report, variants=(bad, report.variants[1]))
    assert main(["verify", "art"]) == 5
    out = capsys.readouterr().out
    assert "none" in out
    assert "FAIL" in out


def test_the_figures_of_each_variant_are_told_as_they_come(fake_verify, capsys):
    assert main(["verify", "art"]) == 0
    told = capsys.readouterr().err.splitlines()
    rows = told[told.index("  running") + 1 :]
    assert [row.split()[0] for row in rows] == ["variant", *(found.name for found in fake_verify.report.variants)]
    assert rows[1].split() == ["fp32", "1.0000000", "0.9999999", "100.0%", "exact"]
    assert len({len(row) - len(row.lstrip()) for row in rows}) == 1


def test_on_a_terminal_the_figures_take_the_place_of_the_step(monkeypatch, capsys):
    monkeypatch.setattr(_console, "is_terminal", lambda _: True)
    with Output().steps() as steps:
        steps("running the variant fp32")
        VariantRows(steps)(make_report().variants[0])
    told = capsys.readouterr().err
    assert told.count("cos. mean") == 1
    (row,) = re.findall(r"  fp32 +1\.0000000 +0\.9999999 +100\.0% +exact +[0-9.]+ s", told)
    assert len(row) <= 80
    assert not re.search(r"running the variant fp32 +[0-9.]+ s", told)


def test_quiet_tells_nothing(fake_verify, capsys):
    assert main(["--quiet", "verify", "art"]) == 0
    assert capsys.readouterr().err == ""


def test_an_original_that_was_remembered_is_told(fake_verify, capsys):
    fake_verify.report = replace(make_report(), remembered_from="2026-11-25T01:02:03+00:00")
    assert main(["verify", "art", "--against", "org/model"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "ran here at 2026-11-25T01:02:03+00:00, and was remembered" in out
    assert main(["verify", "art", "--against", "org/model", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["remembered_from"] == "2026-11-25T01:02:03+00:00"


def test_fresh_runs_the_original(fake_verify, capsys):
    assert main(["verify", "art", "--against", "org/model", "--fresh"]) == 0
    assert fake_verify.calls[-1][1]["fresh"] is True


def test_variants_that_were_compared_on_fewer_texts_are_named(fake_verify, capsys):
    report = make_report()
    first, second = report.variants
    few = replace(second, fidelity=replace(second.fidelity, texts=33))
    fake_verify.report = replace(report, variants=(first, few))
    assert main(["verify", "art"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"of those texts {second.name} 33: enough for float32" in out
