"""Drift is what one projection alone does to the whole model's results."""

from __future__ import annotations

import numpy as np
import pytest

from stonnx.graph import WeightFile
from stonnx.quantize.drift import measure_drift
from stonnx.quantize.layered import LayeredModel
from stonnx.quantize.sessions import Runner, make_batches
from tests.quantize.setups import losses

pytest.importorskip("onnxruntime")


@pytest.mark.parametrize(
    "options", [{"layers": 3}, {"layers": 3, "family": "albert"}, {"family": "mpnet", "max_tokens": 48}]
)
def test_drift_is_that_of_a_graph_in_which_one_projection_is_int8(make_setup, options):
    """Held against a graph with nothing in int8, which differs from the float32 one in GELU's form."""
    work, parts = make_setup(**options), []
    candidates, seen = work.candidates(), work.observe()
    sites = {number: own for found in seen for number, own in found.layers.items()}
    layers = [{site: candidates[site].closer for site in sites[number]} for number in sorted(sites)]
    batches, width = make_batches(work.held_out), work.workspace.blueprint.dimension
    with Runner(work.folder) as runner, WeightFile(work.folder / "trial.onnx_data") as weights:
        model = LayeredModel(work.workspace, runner, weights)

        def lost(*hidden):
            return losses(*(model.head(batches, x, output="sentence_embedding", width=width) for x in hidden))

        drift = measure_drift(model, batches, layers, lost, lambda *part: parts.append(part))
    assert parts == [(number + 1, len(layers)) for number in range(len(layers))]
    assert list(drift) == [site for layer in layers for site in layer] == list(candidates)
    nothing = work.vectors({})[0]
    for site, found in drift.items():
        alone = losses(work.vectors({site: candidates[site].closer})[0], nothing)
        np.testing.assert_allclose(found, alone, rtol=1e-4, atol=1e-7)
    assert max(found.max() for found in drift.values()) > 2e-5
