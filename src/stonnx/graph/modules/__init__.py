"""The modules after the transformer, one file each: read, checked, written into graphs and into the artifact.

A chain is read once and written into every graph::

    chain = read_chain(folder, spec, family="bert", width=384)
    features = chain.author(Draft(g, inputs, open_weights), hidden)
    for output in chain.outputs:
        g.output(features[output.name], output.name, ("rows", output.dimension))
"""

from __future__ import annotations

from stonnx.graph.modules.base import Draft, Features, HeadModule, ModuleTarget, OpenWeights
from stonnx.graph.modules.chain import Chain, chain_of, read_chain
from stonnx.graph.modules.classifier import Classifier
from stonnx.graph.modules.dense import Dense
from stonnx.graph.modules.layer_norm import LayerNorm
from stonnx.graph.modules.normalize import Normalize
from stonnx.graph.modules.pooling import Pooling, PoolingMode

__all__ = [
    "Chain",
    "Classifier",
    "Dense",
    "Draft",
    "Features",
    "HeadModule",
    "LayerNorm",
    "ModuleTarget",
    "Normalize",
    "OpenWeights",
    "Pooling",
    "PoolingMode",
    "chain_of",
    "read_chain",
]
