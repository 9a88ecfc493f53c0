"""Dense, LayerNorm and Normalize: the modules behind pooling, on vectors (rows, width)."""

from __future__ import annotations

from collections.abc import Callable

from stonnx.checkpoint.spec import Dense, LayerNorm
from stonnx.errors import UnsupportedModelError
from stonnx.graph.blocks import matrix, vector
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.heads.activations import ACTIVATIONS, author_activation
from stonnx.graph.parameters import Parameters, TensorSource, match_tensors

__all__ = ["OpenWeights", "author_dense", "author_layer_norm", "author_normalize", "dense_width"]

OpenWeights = Callable[[str], TensorSource]
"""Opens the weights of a module's sub-folder."""

_LAYER_NORM_EPS = 1e-5  # torch.nn.LayerNorm's default, which sentence-transformers does not change
_NORMALIZE_EPS = 1e-12  # torch.nn.functional.normalize's default


def dense_width(module: Dense) -> int:
    """Width of a Dense module's output; GLU halves it."""
    return module.out_features // 2 if module.activation == "GLU" else module.out_features


def author_dense(g: GraphBuilder, x: str, module: Dense, open_weights: OpenWeights) -> str:
    """``activation(x Wᵀ + b)``, plus the input where ``use_residual`` is set.

    Raises:
        CheckpointError: Weights are missing or have another shape.
        UnsupportedModelError: The activation is not one that sentence-transformers can load.
    """
    p = _scoped(match_tensors(open_weights(module.path), _dense_shapes(module), prefixes=("",)), module.path)
    y = g.op("MatMul", [x, matrix(g, p, f"{module.path}/linear.weight")])
    if module.bias:
        y = g.op("Add", [y, vector(g, p, f"{module.path}/linear.bias")])
    y = _activate(g, p, y, module)
    if not module.use_residual:
        return y
    if module.in_features != module.out_features:
        x = g.op("MatMul", [x, matrix(g, p, f"{module.path}/residual.weight")])
    return g.op("Add", [y, x])


def author_layer_norm(g: GraphBuilder, x: str, module: LayerNorm, open_weights: OpenWeights) -> str:
    """LayerNormalization of the sentence vector.

    Raises:
        CheckpointError: Weights are missing or have another shape.
    """
    shapes = {"norm.weight": (module.dimension,), "norm.bias": (module.dimension,)}
    p = _scoped(match_tensors(open_weights(module.path), shapes, prefixes=("",)), module.path)
    inputs = [x, vector(g, p, f"{module.path}/norm.weight"), vector(g, p, f"{module.path}/norm.bias")]
    return g.op("LayerNormalization", inputs, attributes={"axis": -1, "epsilon": _LAYER_NORM_EPS})


def author_normalize(g: GraphBuilder, x: str) -> str:
    """``x / max(‖x‖₂, 1e-12)``."""
    norm = g.op("ReduceL2", [x], attributes={"axes": (1,), "keepdims": 1})
    return g.op("Div", [x, g.op("Max", [norm, g.scalar(_NORMALIZE_EPS)])])


def _activate(g: GraphBuilder, p: Parameters, y: str, module: Dense) -> str:
    if module.activation == "PReLU":
        return g.op("PRelu", [y, vector(g, p, f"{module.path}/activation_function.weight")])
    if module.activation == "GLU":
        half = module.out_features // 2
        value = g.op("Slice", [y, g.ints(0), g.ints(half), g.ints(1)])
        gate = g.op("Slice", [y, g.ints(half), g.ints(2 * half), g.ints(1)])
        return g.op("Mul", [value, g.op("Sigmoid", [gate])])
    if module.activation not in ACTIVATIONS:
        raise UnsupportedModelError(
            f"The Dense module in {module.path!r} uses torch.nn.{module.activation}, which stonnx does not author.",
            hint="Known: " + ", ".join(sorted([*ACTIVATIONS, "GLU", "PReLU"])) + ".",
        )
    return author_activation(g, y, module.activation)


def _dense_shapes(module: Dense) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"linear.weight": (module.out_features, module.in_features)}
    if module.bias:
        shapes["linear.bias"] = (module.out_features,)
    if module.activation == "PReLU":
        shapes["activation_function.weight"] = (1,)
    if module.use_residual and module.in_features != module.out_features:
        shapes["residual.weight"] = (module.out_features, module.in_features)
    return shapes


def _scoped(p: Parameters, path: str) -> Parameters:
    """The same tensors under ``path/name``, so that two modules never share a name in the graph."""
    return Parameters(p.source, {f"{path}/{name}": stored for name, stored in p.names.items()}, p.unused)
