"""Drift: how far rows of text end up from where they were, where one projection alone is int8.

Layers before that projection's are as they were, so only those after it run again; all rows that go on from there go
through a layer together.

What is compared is the same model with nothing in int8: how the operators of its graph differ from those of the float32
graph, such as in the form of GELU, is no projection's fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from stonnx._steps import OnPart
from stonnx.graph.quantized import QuantizedProjections
from stonnx.quantize.layered import LayeredModel
from stonnx.quantize.selection import Drift
from stonnx.quantize.sessions import Batch, Hidden

__all__ = ["Losses", "measure_drift"]

Losses = Callable[[Hidden, Hidden], NDArray[np.float32]]
"""How far each row is off, float32, shape (rows,): from what the last layer gives, and from what it should give."""


def measure_drift(
    model: LayeredModel,
    batches: Sequence[Batch],
    layers: Sequence[QuantizedProjections],
    losses: Losses,
    part: OnPart,
) -> Drift:
    """What each projection alone does to rows.

    Args:
        model: Runs layers.
        batches: All batches of the rows.
        layers: The projections of each layer as they are to be quantised.
        losses: Says how far rows are off.
        part: Hears of the layers that are done.

    Returns:
        By site, how far each row is off, float32, shape (rows,).
    """
    sites: list[str] = []
    streams: list[Hidden] = []  # what the model gives up to here, for each of the sites
    hidden = model.embed(batches)
    for number, projections in enumerate(layers):
        after, *streams = model.follow(number, batches, [hidden, *streams])
        for site, projection in projections.items():
            sites.append(site)
            streams.append(model.layer(number, batches, hidden, {site: projection}))
        hidden = after
        part(number + 1, len(layers))
    return {site: losses(stream, hidden) for site, stream in zip(sites, streams, strict=True)}
