"""A layer's projections as int8: what each costs is told as it is, whether or not layers share weights."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from stonnx.graph.blocks import Linear, Projection
from stonnx.graph.quantized import FixedRange
from stonnx.quantize.projections import quantize_layer
from stonnx.quantize.ranges import mean_input_error
from stonnx.quantize.statistics import InputStatistics, join

WIDTH, TOKENS = 128, 400


def inputs(seed, *, activated=False):
    """Correlated, with two outliers."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((TOKENS, 12)) @ rng.standard_normal((12, WIDTH)) + rng.standard_normal((TOKENS, WIDTH))
    x[:, [5, 70]] *= 30
    return (np.maximum(x, 0) if activated else x).astype(np.float32)


def statistics_of(x):
    return InputStatistics(x.T @ x, x.min(axis=0), x.max(axis=0), len(x), x[::2])


def projection(site, *, maps=1, weights="w", source="norm", lower_bound=None):
    linears = tuple(Linear(f"{weights}.{index}", None) for index in range(maps))
    return Projection(site=site, linears=linears, source=source, lower_bound=lower_bound)


def quantized(blocks, found, widths=(40, 24, 24)):
    """Quantise with weights of their own for each of these names: those of the first map are the widest."""
    weights = {}
    for block in blocks:
        for linear, width in zip(block.linears, widths, strict=False):
            rng = np.random.default_rng(list(linear.weight.encode()))
            weights[linear.weight] = rng.standard_normal((width, WIDTH)).astype(np.float32)
    statistics = {block.site: statistics_of(x) for block, x in zip(blocks, found, strict=True)}
    parameters = SimpleNamespace(get=weights.__getitem__)
    return weights, quantize_layer({block.site: block for block in blocks}, statistics, parameters)


def noise_by_hand(x, matrices, plan, around):
    """From the inputs themselves: what the integers make of them, and a twelfth of the squared step of each."""
    multipliers = 1.0 if plan.input.multipliers is None else plan.input.multipliers.astype(np.float64)
    balanced = x * multipliers
    laid_out = np.concatenate([balanced, balanced[:, plan.copies]], axis=1)
    step = mean_input_error(statistics_of(x), plan.input) * len(x)
    signal, error = around, 0.0
    for matrix, integers in zip(matrices, plan.matrices, strict=True):
        wanted = x.astype(np.float64) @ matrix
        signal += np.square(wanted).sum()
        error += np.square(laid_out @ (integers.values * integers.scales.astype(np.float64)) - wanted).sum()
        error += step * np.square(matrix.T / multipliers).sum()
    return error / signal


@pytest.mark.parametrize("lower_bound", [None, 0.0])
@pytest.mark.parametrize("maps", [1, 3])
def test_noise_is_that_of_the_inputs_and_of_the_integers(maps, lower_bound):
    x = inputs(1, activated=lower_bound is not None)
    block = projection("a", maps=maps, lower_bound=lower_bound)
    weights, (found,) = quantized([block], [x])
    matrices = [weights[linear.weight].T for linear in block.linears]
    assert [m.values.shape for m in found.projection.matrices] == [m.shape for m in matrices]
    assert found.noise == pytest.approx(noise_by_hand(x, matrices, found.projection, 0.0), rel=1e-3)
    assert found.closer_noise == pytest.approx(noise_by_hand(x, matrices, found.closer, 0.0), rel=1e-3)
    assert found.closer_noise < found.noise
    assert (len(found.closer.copies) > 0) == (lower_bound is not None)
    for matrix in found.closer.matrices:  # which hold nothing but themselves
        assert matrix.values.flags.c_contiguous
        assert matrix.values.base is None or matrix.values.base.nbytes == matrix.values.nbytes


def test_the_residual_is_the_input_of_the_last_projection_that_begins_a_block():
    xs = [inputs(seed) for seed in range(4)]
    sources = ["norm", "attention", "norm", "attention"]
    blocks = [projection(f"site {i}", weights=f"w{i}", source=source) for i, source in enumerate(sources)]
    weights, found = quantized(blocks, xs)
    assert [candidate.site for candidate in found] == [block.site for block in blocks]
    arounds = [0.0, float(np.square(xs[0]).sum()), 0.0, float(np.square(xs[2]).sum())]
    for block, candidate, x, around in zip(blocks, found, xs, arounds, strict=True):
        matrix = weights[block.linears[0].weight].T
        assert candidate.noise == pytest.approx(noise_by_hand(x, [matrix], candidate.projection, around), rel=1e-3)


@pytest.mark.parametrize("lower_bound", [None, 0.0])
def test_sites_that_share_weights_have_noise_and_ranges_of_their_own(lower_bound):
    activated = lower_bound is not None
    xs = [inputs(1, activated=activated), 5 * inputs(2, activated=activated)]
    blocks = [projection(site, lower_bound=lower_bound) for site in ("first", "second")]
    weights, found = quantized(blocks, xs)
    first, second = found
    assert first.projection.matrices is second.projection.matrices
    assert first.closer.matrices is second.closer.matrices
    matrix = weights["w.0"].T
    for x, candidate in zip(xs, found, strict=True):
        assert candidate.noise == pytest.approx(noise_by_hand(x, [matrix], candidate.projection, 0.0), rel=1e-3)
        assert candidate.closer_noise == pytest.approx(noise_by_hand(x, [matrix], candidate.closer, 0.0), rel=1e-3)
    if isinstance(first.projection.input, FixedRange):
        assert second.projection.input.scale > 3 * first.projection.input.scale


def test_what_is_shared_is_rounded_for_the_inputs_of_all_sites():
    xs = [inputs(1), 5 * inputs(2)]
    _, (first, _) = quantized([projection("first"), projection("second")], xs)
    both = join([statistics_of(x) for x in xs])
    weights = {"w.0": np.random.default_rng(list(b"w.0")).standard_normal((40, WIDTH)).astype(np.float32)}
    (alone,) = quantize_layer({"a": projection("a")}, {"a": both}, SimpleNamespace(get=weights.__getitem__))
    np.testing.assert_array_equal(alone.projection.matrices[0].values, first.projection.matrices[0].values)


def test_a_projection_of_nothing_has_no_noise():
    x = np.zeros((20, WIDTH), dtype=np.float32)
    _, (found,) = quantized([projection("a")], [x])
    assert (found.noise, found.closer_noise) == (0.0, 0.0)
