"""The module chain of ``modules.json`` behind the transformer, in its order."""

from __future__ import annotations

from collections.abc import Sequence

from stonnx.checkpoint.spec import Dense, HeadModule, LayerNorm, Pooling
from stonnx.errors import CheckpointError, UnsupportedModelError
from stonnx.graph.blocks import GraphInputs
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.heads.dense import OpenWeights, author_dense, author_layer_norm, author_normalize, dense_width
from stonnx.graph.heads.pooling import author_pooling

__all__ = ["author_head", "head_width"]


def head_width(width: int, head: Sequence[HeadModule]) -> int:
    """Length of the embedding that the chain makes of token vectors of length ``width``.

    Raises:
        CheckpointError: A module expects another width than the one before it gives.
        UnsupportedModelError: The chain does not start with a Pooling module, or has a second one.
    """
    if not head or not isinstance(head[0], Pooling):
        raise UnsupportedModelError(
            "The transformer is not followed by a Pooling module.",
            hint="stonnx authors chains of the form Transformer, Pooling, then Dense, LayerNorm and Normalize.",
        )
    width *= len(head[0].modes)
    for module in head[1:]:
        if isinstance(module, Pooling):
            raise UnsupportedModelError("The chain has two Pooling modules; stonnx authors one.")
        expected = _expected_width(module)
        if expected is not None and expected != width:
            raise CheckpointError(
                f"The {type(module).__name__} module expects vectors of length {expected}, and the module before it "
                f"gives {width}."
            )
        if isinstance(module, Dense):
            width = dense_width(module)
    return width


def author_head(
    g: GraphBuilder, hidden: str, inputs: GraphInputs, head: Sequence[HeadModule], open_weights: OpenWeights
) -> str:
    """Write the chain.

    Args:
        g: The graph.
        hidden: Token vectors, float32, shape (rows, tokens, width).
        inputs: The graph's inputs.
        head: The modules, checked by ``head_width``.
        open_weights: Opens the weights of a module's sub-folder.

    Returns:
        The sentence embedding, float32, shape (rows, dimension).
    """
    x = hidden
    for module in head:
        if isinstance(module, Pooling):
            x = author_pooling(g, x, inputs, module)
        elif isinstance(module, Dense):
            x = author_dense(g, x, module, open_weights)
        elif isinstance(module, LayerNorm):
            x = author_layer_norm(g, x, module, open_weights)
        else:
            x = author_normalize(g, x)
    return x


def _expected_width(module: HeadModule) -> int | None:
    if isinstance(module, Dense):
        return module.in_features
    if isinstance(module, LayerNorm):
        return module.dimension
    return None
