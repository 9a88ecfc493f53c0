"""Why the optimised graph and its session are as they are: the choices, timed against each other.

    python benchmarks/graph_choices.py MODEL_FOLDER

Authors the model in the shipped dialect and in variations of it, and times them interleaved on
batches of equal length, as the encoder runs them, starting with another one in each round. Ratios
above 1 are faster than what is shipped. Results go to ``benchmarks/results/graph_choices-<cpu>.json``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from _common import by_turns, parser, write_result
from numpy.typing import NDArray

from stonnx.artifact import operators
from stonnx.checkpoint import Weights, read_model, resolve_source
from stonnx.graph import WeightFile, author_graph, make_blueprint
from stonnx.graph.blocks import Activation, AttentionBlock, GraphInputs, Norm
from stonnx.graph.builder import CONTRIB, GraphBuilder
from stonnx.graph.dialects import OrtCpu
from stonnx.graph.parameters import Parameters
from stonnx.graph.parts import linear, multiply, vector
from stonnx.runtime import usable_cores

SHAPES = ((1, 16), (8, 24), (32, 24), (16, 64), (8, 128), (2, 256))


class AttentionWithBiases(OrtCpu):
    """All three biases as an input of the attention: adding and transposing run on all threads."""

    def attend(self, g: GraphBuilder, p: Parameters, x: str, inputs: GraphInputs, block: AttentionBlock) -> str:
        parts = multiply(g, p, x, block.maps.linears)
        return output(g, p, block, [*parts, biases(g, p, block)])


class AttentionWithMask(OrtCpu):
    """A mask of ones, and all biases: what every graph pays that takes padded batches."""

    def attend(self, g: GraphBuilder, p: Parameters, x: str, inputs: GraphInputs, block: AttentionBlock) -> str:
        parts = multiply(g, p, x, block.maps.linears)
        one = g.constant("int32/1", np.array(1, dtype=np.int32))
        mask = g.op("Expand", [one, g.op("Shape", [inputs.input_ids])])
        return output(g, p, block, [*parts, biases(g, p, block), mask])


class OneProduct(OrtCpu):
    """Query, key and value from one wide product, then split into three copies."""

    def attend(self, g: GraphBuilder, p: Parameters, x: str, inputs: GraphInputs, block: AttentionBlock) -> str:
        linears = block.maps.linears
        wide = g.weight(
            f"{linears[0].weight}+key+value.T",
            lambda: np.ascontiguousarray(np.concatenate([p.get(part.weight) for part in linears]).T),
        )
        product = g.op("MatMul", [x, wide])
        width = block.heads * block.head_size
        parts = [
            g.op("Slice", [product, g.ints(start), g.ints(start + width), g.ints(2)]) for start in (0, width, 2 * width)
        ]
        return output(g, p, block, [*parts, biases(g, p, block)])


class GeluWithoutBias(OrtCpu):
    """An addition and a Gelu instead of BiasGelu."""

    def activate(self, g: GraphBuilder, p: Parameters, x: str, bias: str | None, activation: Activation) -> str:
        return g.op("Gelu", [g.op("Add", [x, vector(g, p, given(bias))])], domain=CONTRIB)


class TanhGelu(OrtCpu):
    """FastGelu, which is not exact: what the int8 graphs take."""

    def activate(self, g: GraphBuilder, p: Parameters, x: str, bias: str | None, activation: Activation) -> str:
        return super().activate(g, p, x, bias, "gelu_tanh")


class SkipLayerNorm(OrtCpu):
    """SkipLayerNormalization, which adds the residual in the same pass."""

    def add_norm(self, g: GraphBuilder, p: Parameters, x: str, residual: str, norm: Norm) -> str:
        inputs = [x, residual, vector(g, p, norm.weight), vector(g, p, given(norm.bias))]
        return g.op("SkipLayerNormalization", inputs, domain=CONTRIB, attributes={"epsilon": norm.eps})


def biases(g: GraphBuilder, p: Parameters, block: AttentionBlock) -> str:
    linears = block.maps.linears
    return g.weight(
        f"{linears[0].bias}+key+value", lambda: np.concatenate([p.get(given(part.bias)) for part in linears])
    )


def output(g: GraphBuilder, p: Parameters, block: AttentionBlock, inputs: list[str]) -> str:
    """The attention of these inputs, and its output map."""
    context = g.op("MultiHeadAttention", inputs, domain=CONTRIB, attributes={"num_heads": block.heads})
    return linear(g, p, context, block.output.linears[0])


def given(name: str | None) -> str:
    """The name of a bias, which all of BERT's maps have."""
    if name is None:
        raise ValueError("this benchmark is for models whose maps have biases")
    return name


GRAPHS = {
    "shipped": OrtCpu,
    "attention with its biases": AttentionWithBiases,
    "attention with its biases and a mask of ones": AttentionWithMask,
    "one product for query, key and value": OneProduct,
    "Add + Gelu": GeluWithoutBias,
    "FastGelu": TanhGelu,
    "SkipLayerNormalization": SkipLayerNorm,
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("model", help="a model folder of the BERT family")
    options.add_argument("--rounds", type=int, default=9, help="timed rounds")
    args = options.parse_args()
    allowed = operators.OPERATORS  # of artifacts; these graphs go into none
    operators.OPERATORS = {**allowed, CONTRIB: allowed[CONTRIB] | {"Gelu", "SkipLayerNormalization"}}
    with tempfile.TemporaryDirectory() as folder:
        paths = author(args.model, Path(folder))
        rows = [measure(paths, rows, tokens, args.rounds) for rows, tokens in SHAPES]
    for row in rows:
        print(f"{row['rows']} x {row['tokens']} tokens, shipped {row['shipped_ms']:.1f} ms: {row['ratios']}")
    write_result("graph_choices", {"threads": usable_cores(), "shapes": rows}, args)


def author(model: str, folder: Path) -> dict[str, Path]:
    """Write one graph per choice, over one weight file."""
    source = resolve_source(model)
    spec = read_model(source)
    weights = Weights.open(source, spec.transformer_path)
    blueprint = make_blueprint(source, spec, weights)
    paths = {}
    with WeightFile(folder / "model.onnx_data") as file:
        for name, dialect in GRAPHS.items():
            graph = author_graph(blueprint, dialect(), file, lambda path: Weights.open(source, path))
            paths[name] = folder / f"{name.replace(' ', '_')}.onnx"
            onnx.save(graph.model, paths[name])
    return paths


def measure(paths: dict[str, Path], rows: int, tokens: int, rounds: int) -> dict[str, object]:
    """Time every choice on four batches of one shape, interleaved; medians."""
    rng = np.random.default_rng(0)
    batches = [rng.integers(1000, 20000, (rows, tokens)) for _ in range(4)]
    cores = usable_cores()
    runs = {name: _in_turn(_session(path, cores), batches) for name, path in paths.items()}
    runs["one-thread streams"] = _streams(_session(paths["shipped"], 1), batches, cores)
    medians = by_turns(runs, rounds, pause=0.01)
    shipped = medians.pop("shipped")
    ratios = {name: round(shipped / value, 2) for name, value in medians.items()}
    return {"rows": rows, "tokens": tokens, "shipped_ms": shipped * 1e3 / len(batches), "ratios": ratios}


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.spin_duration_us", "1000")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _in_turn(session: onnxruntime.InferenceSession, batches: list[NDArray[np.int64]]) -> Callable[[], object]:
    return lambda: [session.run(None, {"input_ids": batch}) for batch in batches]


def _streams(
    session: onnxruntime.InferenceSession, batches: list[NDArray[np.int64]], streams: int
) -> Callable[[], object]:
    pool = ThreadPoolExecutor(streams)
    return lambda: list(pool.map(lambda batch: session.run(None, {"input_ids": batch}), batches))


if __name__ == "__main__":
    main()
