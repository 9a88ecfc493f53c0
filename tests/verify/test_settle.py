"""What a first verification decides of the variants of a reranker."""

from __future__ import annotations

import pytest

from stonnx.artifact import Graph, ScoreFidelity, TokenizerSpec, Variant
from stonnx.verify import Report, ScoreTolerance, ScoreVariantReport, settle
from tests.manifests import embedding_manifest


def variant(name, precision="fp32", promised="exact"):
    graph = Graph(tower="", file=f"{name}.onnx", origin="authored", inputs=(), layout="padded", fused=None)
    return Variant(
        name=name,
        engine="onnxruntime",
        graphs=(graph,),
        files=(graph.file,),
        precision=precision,
        fidelity_class=promised,
    )


def found(name, promised, mean):
    fidelity = ScoreFidelity(pairs=450, queries=20, mean_abs_diff=mean, max_abs_diff=mean, top10_overlap=1.0)
    kept = "exact" if mean == 0 else "balanced" if mean < 0.01 else None
    return ScoreVariantReport(
        name=name,
        fidelity=fidelity,
        max_logit_diff=mean,
        max_score_diff=mean,
        max_batch_diff=0.0,
        worst_pair=("a", "b"),
        spearman=None,
        reference_spearman=None,
        failures=(),
        fidelity_class=promised,
        measured_class=kept,
        mean_error=0.0,
        overlap_error=0.0,
        class_is_sure=True,
    )


@pytest.mark.parametrize(
    ("mean", "stays", "note"),
    [
        (0.008, ["fp32", "int8"], "int8 is written as balanced, not high: on the probe pairs "),
        (0.3, ["fp32"], "int8 was left out: on the probe pairs it keeps no fidelity class "),
    ],
)
def test_a_variant_gets_the_class_that_its_scores_keep(mean, stays, note):
    tokenizer = TokenizerSpec(file="tokenizer.json", max_tokens=16, pad_id=0)
    variants = (variant("fp32"), variant("int8", "int8", "high"))
    manifest = embedding_manifest(dimension=1, tokenizer=tokenizer, kind="reranker", variants=variants)
    report = Report(
        reference={},
        compared_with="original",
        machine={},
        tolerance=ScoreTolerance(),
        variants=(found("fp32", "exact", 0.0), found("int8", "high", mean)),
        kind="reranker",
    )
    settled = settle(report, manifest)
    assert [kept.name for kept in settled.manifest.variants] == stays
    assert settled.unused == (() if "int8" in stays else ("int8.onnx",))
    (said,) = settled.report.notes
    assert said.startswith(note)
