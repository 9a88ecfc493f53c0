"""int8 of a reranker from end to end: calibrated on pairs, chosen by scores, and what its notes say."""

from __future__ import annotations

import re

import numpy as np
import pytest

from stonnx import Reranker
from stonnx.compile import convert
from stonnx.quantize.pairs import held_out_pairs
from stonnx.verify.score_metrics import compare_scores
from tests.originals import make_reranker

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.reference  # transformers makes the model


@pytest.mark.parametrize("labels", [1, 3])
def test_int8_keeps_the_class_that_it_was_chosen_for(tmp_path, labels):
    source = make_reranker(tmp_path / "source", "bert", labels=labels)
    done = convert(source, tmp_path / "out", verify=False, int8=True)
    (note,) = [line for line in done.notes if line.startswith("int8: ")]
    found = re.search(r"int8: (\w+).*mean difference ([\d.]+), largest ([\d.]+), top-10 ([\d.]+)%", note)
    assert found, note
    pairs = held_out_pairs().natural
    logits = []
    for variant in ("fp32", "int8"):
        with Reranker.load(tmp_path / "out", variant=variant) as reranker:
            logits.append(np.asarray(reranker.predict(pairs, activation_fn="Identity")).reshape(-1, labels))
    activation = done.manifest.scoring.activation
    fidelity = compare_scores(logits[1], logits[0], [query for query, _ in pairs], activation=activation).fidelity
    # The graphs' own arithmetic is the same, and so are the figures; the largest may be of an odd pair.
    assert fidelity.mean_abs_diff == pytest.approx(float(found[2]), abs=2e-4)
    assert fidelity.max_abs_diff <= float(found[3]) + 1e-3
    assert done.manifest.variants[0].fidelity_class == "exact"
    by_name = {variant.name: variant for variant in done.manifest.variants}
    assert by_name["int8"].fidelity_class == found[1]
    assert "token_type_ids" in by_name["int8"].graph.inputs
