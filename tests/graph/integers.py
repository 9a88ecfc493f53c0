"""Quantised projections by plain rounding, and in NumPy what an int8 graph computes with them."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime

from stonnx.graph import WeightFile, author_graph
from stonnx.graph.blocks import Linear, Norm, Projection
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.folding import NOTHING_FOLDED, own_biases
from stonnx.graph.parameters import Parameters
from stonnx.graph.quantized import FixedRange, QuantizedMatrix, QuantizedProjection, ScalePerToken

LIMIT = 64  # two products of uint8 with at most 64 fit into an int16: exact on every CPU
EPS = 1e-6


def quantized_matrix(matrix, limit=LIMIT):
    scales = (np.abs(matrix).max(axis=0) / limit).astype(np.float32)
    return QuantizedMatrix(values=np.rint(matrix / scales).astype(np.int8), scales=scales)


def dequantized(plan, number=0):
    """What a projection multiplies its input with, float64, shape (in, out): multipliers included."""
    matrix, multipliers = plan.matrices[number], plan.input.multipliers
    rows = matrix.values * matrix.scales.astype(np.float64)
    product = rows[: plan.width].copy()
    np.add.at(product, plan.copies, rows[plan.width :])
    return product if multipliers is None else product * multipliers[:, None].astype(np.float64)


def integer_input(x, how):
    """The input as integers, the integer that counts as 0, and the scale; x float32, shape (..., in)."""
    x = x if how.multipliers is None else x * how.multipliers
    high, low = x.max(-1, keepdims=True), x.min(-1, keepdims=True)
    match how:
        case FixedRange():
            scale, zero = np.float32(how.scale), how.zero_point
        case ScalePerToken():
            below = low if how.lower_bound is None else how.lower_bound
            scale = np.maximum(high / (255 - how.zero_point), below / -max(how.zero_point, 1))
            zero = how.zero_point
    integers = np.clip(np.rint(x / scale) + zero, 0, 255).astype(np.int64)
    return integers, zero, scale


def integer_product(x, plan, number=0):
    """The product of one map, float64, from integers; x float32, shape (..., in)."""
    integers, zero, scale = integer_input(x, plan.input)
    matrix = plan.matrices[number]
    centred = integers - np.asarray(zero, dtype=np.int64)
    centred = np.concatenate([centred, centred[..., plan.copies]], axis=-1)
    return (centred @ matrix.values.astype(np.int64)) * np.asarray(scale, np.float64) * matrix.scales.astype(np.float64)


def float_range(x, multipliers=None):
    """The fixed range of inputs."""
    x = x if multipliers is None else x * multipliers
    scale = float(x.max() - x.min()) / 255
    return FixedRange(multipliers=multipliers, scale=scale, zero_point=round(float(-x.min()) / scale))


def quantize_model(model, kinds=("fixed", "scale", "fixed", "bound"), limit=LIMIT):
    """Projections of an authored tiny BERT: an input kind for each of a layer's four, None for float32."""
    get, plans = model.blueprint.parameters.get, {}
    for layer in range(model.spec.config["num_hidden_layers"]):
        for (site, names), kind in zip(bert_sites(layer).items(), kinds, strict=True):
            if kind is not None:
                multipliers = np.linspace(0.5, 1, get(names[0]).shape[1], dtype=np.float32)
                matrices = tuple(quantized_matrix(get(name).T / multipliers[:, None], limit) for name in names)
                plans[site] = QuantizedProjection(input=_KINDS[kind](multipliers), matrices=matrices)
    return plans


def bert_sites(layer):
    """The weights of each projection of a layer of BERT, by its site."""
    root, site = f"encoder.layer.{layer}.", f"layer.{layer}"
    return {
        f"{site}.attention": [f"{root}attention.self.{part}.weight" for part in ("query", "key", "value")],
        f"{site}.attention.output": [f"{root}attention.output.dense.weight"],
        f"{site}.feed_forward": [f"{root}intermediate.dense.weight"],
        f"{site}.feed_forward.output": [f"{root}output.dense.weight"],
    }


_KINDS = {
    "fixed": lambda multipliers: FixedRange(multipliers=multipliers, scale=8 / 255, zero_point=128),
    "scale": lambda multipliers: ScalePerToken(multipliers=multipliers, zero_point=120),
    "bound": lambda multipliers: ScalePerToken(multipliers=multipliers, zero_point=24, lower_bound=-0.1701),
}


def write_model(model, dialect):
    """Author a tiny model in one more dialect; the graph and its file."""
    path = model.folder / f"{dialect.name}.onnx"
    with WeightFile(model.folder / f"{dialect.name}.onnx_data") as weights:
        graph = author_graph(model.blueprint, dialect, weights, lambda _: model.weights)
    onnx.save(graph.model, path)
    return graph, path


def run_projection(folder, dialect, plan, x, *, bias=None, optimize=True):
    """One projection of the rows of ``x``, float32, shape (rows, tokens, in), by a graph of its own: its products.

    With ``bias`` the first product takes it in and is normalised, as in a model.
    """
    width, outs = x.shape[-1], [len(matrix.scales) for matrix in plan.matrices]
    linears = tuple(Linear(f"w{number}", f"b{number}") for number in range(len(outs)))
    tensors = {"b0": bias, "one": np.ones(outs[0], np.float32), "nil": np.zeros(outs[0], np.float32)}
    parameters = Parameters(_Tensors(tensors), {name: name for name in tensors}, ())
    with WeightFile(folder / "one.onnx_data") as weights:
        g = GraphBuilder("one", weights)
        ids = g.input("input_ids", ("rows", "tokens"))
        table = g.weight("table", lambda: np.ascontiguousarray(x.reshape(-1, width)))
        bound = plan.input.lower_bound if isinstance(plan.input, ScalePerToken) else None
        source = "norm" if bound is None else "activation"
        block = Projection(site="w0", linears=linears, source=source, lower_bound=bound)
        folded = NOTHING_FOLDED if bias is None else own_biases(linears)
        products = dialect.project(g, parameters, g.op("Gather", [table, ids]), block, folded)
        if bias is not None:
            norm = Norm(weight="one", bias="nil", eps=EPS)
            products = (dialect.normalize(g, parameters, products[0], norm),)
        for number, product in enumerate(products):
            g.output(product, f"y{number}", ("rows", "tokens", outs[number]))
        model = g.model()
    onnx.save(model, folder / "one.onnx")
    found = open_session(folder / "one.onnx", optimize=optimize).run(
        None, {"input_ids": np.arange(x.shape[0] * x.shape[1]).reshape(x.shape[:2])}
    )
    return found, [node.op_type for node in model.graph.node]


def open_session(path, *, optimize=True):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options)


class _Tensors:
    def __init__(self, tensors):
        self._tensors = tensors

    def get(self, name):
        return self._tensors[name]
