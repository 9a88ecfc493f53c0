"""What the operators around and in a layer cost in ONNX Runtime, each alone: why the graphs are written as they are.

    python benchmarks/operators.py

Every group holds forms of the same thing, timed by turns, on one thread where nothing else is said; results are in
nanoseconds per number that comes out (of products: giga multiply-adds per second; of products with their scales:
microseconds). They go to ``benchmarks/results/operators-<cpu>.json``, and docs/decisions/0002-optimised-graph.md and
0007-int8.md say what follows from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from _common import by_turns, parser, write_result
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from stonnx.runtime import usable_cores

CONTRIB = "com.microsoft"
COPIES = 6  # of the form in one graph, so that the call itself does not count
TOKENS, WIDTHS = 1024, (384, 768)
HEADS = 12
ATTENTIONS = ((64, 16), (32, 32), (8, 128), (2, 256))
PRODUCTS = ((384, 384), (384, 1536), (1536, 384), (768, 768), (768, 3072), (3072, 768))
ROWS = (32, 1024)
SCALED = ((384, 384), (384, 1536), (1536, 384))

Arrays = Mapping[str, NDArray[np.generic]]
Form = Callable[[str], list[NodeProto]]
"""Nodes that end in the tensor ``y<suffix>``; the argument is the suffix."""


def node(kind: str, inputs: str, output: str, *, domain: str = "", **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs.split(), [output], domain=domain, **attributes)


SURROUNDINGS: dict[str, dict[str, Form]] = {
    "bias, residual and layer norm": {
        "SkipLayerNormalization": lambda i: [
            node("SkipLayerNormalization", "x s weight bias vector", f"y{i}", domain=CONTRIB, epsilon=1e-12)
        ],
        "Add, Add, LayerNormalization": lambda i: [
            node("Add", "x vector", f"a{i}"),
            node("Add", f"a{i} s", f"b{i}"),
            node("LayerNormalization", f"b{i} weight bias", f"y{i}", axis=-1, epsilon=1e-12),
        ],
    },
    "layer norm": {
        "LayerNormalization": lambda i: [node("LayerNormalization", "x weight bias", f"y{i}", axis=-1, epsilon=1e-12)],
    },
    "bias and GELU": {
        "BiasGelu": lambda i: [node("BiasGelu", "x vector", f"y{i}", domain=CONTRIB)],
        "FastGelu": lambda i: [node("FastGelu", "x vector", f"y{i}", domain=CONTRIB)],
        "Add, Gelu": lambda i: [node("Add", "x vector", f"a{i}"), node("Gelu", f"a{i}", f"y{i}", domain=CONTRIB)],
    },
    "GELU after a product that has added the bias": {
        "FastGelu": lambda i: [node("FastGelu", "x", f"y{i}", domain=CONTRIB)],
        "Gelu": lambda i: [node("Gelu", "x", f"y{i}", domain=CONTRIB)],
    },
    "around the integers": {
        "Mul by a vector": lambda i: [node("Mul", "x vector", f"y{i}")],
        "QuantizeLinear, fixed": lambda i: [node("QuantizeLinear", "x scale zero", f"y{i}")],
        "QuantizeLinear, per token": lambda i: [node("QuantizeLinear", "x scales zeros", f"y{i}", axis=0)],
        "Div, QuantizeLinear, fixed": lambda i: [
            node("Div", "x column", f"a{i}"),
            node("QuantizeLinear", f"a{i} scale zero", f"y{i}"),
        ],
        "ReduceMax per token": lambda i: [node("ReduceMax", "x", f"y{i}", axes=[1], keepdims=0)],
    },
}


def open_session(
    nodes: Sequence[NodeProto], constants: Arrays, inputs: Arrays, output: str, *, threads: int = 1
) -> Callable[[], object]:
    """A graph of these nodes; what runs it."""
    kinds = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.uint8): TensorProto.UINT8}
    declared = [helper.make_tensor_value_info(k, kinds[v.dtype], v.shape) for k, v in inputs.items()]
    # Only the first number of the last result is fetched: copying it out is none of the operator's business.
    tail = [node("Size", output, "size")]
    outputs = [helper.make_tensor_value_info("size", TensorProto.INT64, ())]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph([*nodes, *tail], "one", declared, outputs, initializers)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(CONTRIB, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, dict(inputs))


def surroundings(width: int, rounds: int) -> dict[str, dict[str, float]]:
    """Nanoseconds per component of an input of shape (tokens, width)."""
    rng = np.random.default_rng(0)
    inputs = {name: rng.standard_normal((TOKENS, width), dtype=np.float32) for name in ("x", "s")}
    constants = {name: rng.standard_normal(width, dtype=np.float32) for name in ("weight", "bias", "vector")}
    integers = {"scale": np.float32(0.03), "zero": np.uint8(128)}
    tokens = {"scales": np.full(TOKENS, 0.03, np.float32), "zeros": np.full(TOKENS, 128, np.uint8)}
    tokens["column"] = np.ones((TOKENS, 1), np.float32)
    found = {}
    for group, forms in SURROUNDINGS.items():
        runs = {}
        for name, form in forms.items():
            nodes = [made for copy in range(COPIES) for made in form(str(copy))]
            constant = {key: np.asarray(value) for key, value in (constants | integers | tokens).items()}
            runs[name] = open_session(nodes, constant, inputs, f"y{COPIES - 1}")
        scale = 1e9 / (COPIES * TOKENS * width)
        found[group] = {name: round(value * scale, 3) for name, value in by_turns(runs, rounds).items()}
    return found


def attention(width: int, rows: int, tokens: int, rounds: int) -> dict[str, float]:
    """Nanoseconds per component of the context."""
    rng = np.random.default_rng(0)
    inputs = {name: rng.standard_normal((rows, tokens, width), dtype=np.float32) for name in "qkv"}
    constants = {"biases": np.zeros(3 * width, np.float32), "vector": np.zeros(width, np.float32)}
    fused: dict[str, Any] = {"domain": CONTRIB, "num_heads": HEADS}
    forms = {
        "with biases": [node("MultiHeadAttention", "q k v biases", "y", **fused)],
        "without biases": [node("MultiHeadAttention", "q k v", "y", **fused)],
        "the queries' bias added before": [
            node("Add", "q vector", "b"),
            node("MultiHeadAttention", "b k v", "y", **fused),
        ],
    }
    runs = {name: open_session(nodes, constants, inputs, "y") for name, nodes in forms.items()}
    scale = 1e9 / (rows * tokens * width)
    return {name: round(value * scale, 3) for name, value in by_turns(runs, rounds).items()}


def products(rows: int, into: int, out: int, rounds: int) -> dict[str, float]:
    """Giga multiply-adds per second of one product, by the types of its operands."""
    rng = np.random.default_rng(0)
    values = rng.integers(-64, 65, (into, out)).astype(np.int8)
    x = rng.standard_normal((rows, into), dtype=np.float32)
    q = rng.integers(0, 256, (rows, into)).astype(np.uint8)
    scales = {"sa": np.float32(0.01), "sb": np.full(out, 0.01, np.float32), "za": np.uint8(128), "zb": np.uint8(128)}
    constants = {key: np.asarray(value) for key, value in scales.items()}
    unsigned = (values.astype(np.int16) + 128).astype(np.uint8)
    signed = [node("MatMulIntegerToFloat", "x w sa sb za", "y", domain=CONTRIB)]
    both = [node("MatMulIntegerToFloat", "x w sa sb za zb", "y", domain=CONTRIB)]
    runs = {
        "float32": open_session([node("MatMul", "x w", "y")], {"w": values.astype(np.float32)}, {"x": x}, "y"),
        "uint8 x int8": open_session(signed, constants | {"w": values}, {"x": q}, "y"),
        "uint8 x uint8": open_session(both, constants | {"w": unsigned}, {"x": q}, "y"),
    }
    return {name: round(rows * into * out / value / 1e9, 1) for name, value in by_turns(runs, rounds).items()}


def scaled_products(into: int, out: int, threads: int, rounds: int) -> dict[str, float]:
    """Microseconds of one product with its scale, by who applies it to how much."""
    rng = np.random.default_rng(0)
    inputs = {"x": rng.integers(0, 256, (TOKENS, into)).astype(np.uint8)}
    constants: dict[str, NDArray[Any]] = {
        "w": rng.integers(-64, 65, (into, out)).astype(np.int8),
        "one": np.ones((), np.float32),
        "columns": np.full(out, 0.01, np.float32),
        "tokens": np.full((TOKENS, 1), 0.01, np.float32),
        "zero": np.full((), 128, np.uint8),
    }
    forms = {
        "one scale, in the kernel": [node("MatMulIntegerToFloat", "x w one columns zero", "y", domain=CONTRIB)],
        "per token, in the operator": [node("MatMulIntegerToFloat", "x w tokens columns zero", "y", domain=CONTRIB)],
        "per token, by Mul": [
            node("MatMulIntegerToFloat", "x w one columns zero", "a", domain=CONTRIB),
            node("Mul", "a tokens", "y"),
        ],
    }
    runs = {name: open_session(nodes, constants, inputs, "y", threads=threads) for name, nodes in forms.items()}
    return {name: round(value * 1e6) for name, value in by_turns(runs, rounds, pause=0.01).items()}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=15, help="timed rounds")
    args = options.parse_args()
    results: dict[str, object] = {"onnxruntime": onnxruntime.__version__, "threads": 1, "tokens": TOKENS}
    results["ns_per_component"] = {str(width): surroundings(width, args.rounds) for width in WIDTHS}
    results["attention_ns_per_component"] = {
        f"{rows} x {tokens} x {width}": attention(width, rows, tokens, args.rounds)
        for width in WIDTHS
        for rows, tokens in ATTENTIONS
    }
    results["products_gmac_per_s"] = {
        f"{rows} x {into} x {out}": products(rows, into, out, args.rounds) for into, out in PRODUCTS for rows in ROWS
    }
    results["scaled_products_us"] = {
        f"{TOKENS} x {into} x {out}, threads: {threads}": scaled_products(into, out, threads, args.rounds)
        for into, out in SCALED
        for threads in dict.fromkeys((1, usable_cores()))
    }
    for title, table in results.items():
        if isinstance(table, dict):
            print(title)
            for name, row in table.items():
                print(f"  {name}: {row}")
    write_result("operators", results, args)


if __name__ == "__main__":
    main()
