"""Every family from a folder to an artifact: all variants, verified against sentence-transformers."""

from __future__ import annotations

import pytest

from stonnx.compile import convert
from stonnx.graph.architectures import FAMILIES
from stonnx.runtime.loading import why_not_here
from stonnx.testing import TinyModel, make_tiny_model

pytestmark = [pytest.mark.reference, pytest.mark.slow]

VARIANTS = {
    "fp32",
    "portable",
    "openvino",
    "openvino-bf16",
    "int8",
    "openvino-int8",
    "openvino-int8-static",
}


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_all_variants(tmp_path, family):
    # No limit is written: RoBERTa's and MPNet's original is cut at its positions, of which its table has more rows.
    folder = make_tiny_model(tmp_path / "source", TinyModel(family=family, tokenizer="bpe"))
    done = convert(folder, tmp_path / "out", int8=True)
    assert done.report is not None
    assert done.report.passed
    assert (done.report.position_cut is not None) == (done.manifest.tower.tokenizer.max_tokens < 64)
    # Engines that choose their kernels by shape may round a text otherwise beside others: said, and left out.
    by_batch = {note.split()[0] for note in done.notes if "alone and in a batch" in note}
    assert all(name.startswith("openvino-") for name in by_batch)
    assert ({variant.name for variant in done.manifest.variants} - {"int8-fast"}) | by_batch == VARIANTS
    for variant in done.manifest.variants:
        assert (variant.fidelity is None) == (why_not_here(variant) is not None)
    assert {name.split(".")[0] for name in done.unused_tensors} <= {"pooler"}
