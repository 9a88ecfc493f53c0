"""What each step of the quantisation is worth: the same model in int8 with one step left out or changed.

    python benchmarks/quantisation.py MODEL_FOLDER --shared ../shared

Every form quantises all projections (none stays in float32) on the shipped calibration texts, and is compared
with the float32 graph on texts of a corpus and on the probe texts, which calibration saw none of. Results go to
``benchmarks/results/quantisation[-label]-<cpu>.json``; docs/decisions/0007-int8.md says what follows from them.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
from _common import parser, write_result
from numpy.typing import NDArray

from stonnx.checkpoint import Weights, read_model, resolve_source
from stonnx.graph import WeightFile, author_graph, make_blueprint
from stonnx.graph.dialects import OrtCpu, OrtCpuInt8
from stonnx.graph.quantized import QuantizedProjections
from stonnx.quantize import Workspace, calibration_edges, calibration_texts
from stonnx.quantize.calibration import Observation, observe
from stonnx.quantize.projections import Candidate, quantize_layer
from stonnx.quantize.rounding import RoundedMatrix, compensated
from stonnx.quantize.sessions import Runner, output_rows
from stonnx.quantize.statistics import no_compensation
from stonnx.runtime.token_rows import TokenRows
from stonnx.runtime.tokenize import TextTokenizer
from stonnx.verify import probe_texts
from stonnx.verify.metrics import compare

SKIPPED_TEXTS = 3000  # of the corpus: the peers' benchmark takes the first ones


class Workshop:
    """A model, its float32 graph, and what quantised forms of it are compared with."""

    def __init__(self, model: str, corpus: Path, texts: int, folder: Path, stack: ExitStack) -> None:
        source = resolve_source(model)
        spec = read_model(source)
        weights = stack.enter_context(Weights.open(source, spec.transformer_path))
        self.workspace = Workspace(
            blueprint=make_blueprint(source, spec, weights),
            folder=folder,
            weights=stack.enter_context(WeightFile(folder / "model.onnx_data")),
            float_graph=folder / "model.onnx",
            open_weights=lambda path: stack.enter_context(Weights.open(source, path)),
        )
        workspace = self.workspace
        onnx.save(
            author_graph(workspace.blueprint, OrtCpu(), workspace.weights, workspace.open_weights).model,
            workspace.float_graph,
        )
        workspace.weights.flush()
        self._runner = stack.enter_context(Runner(folder))
        self._tokenizer = TextTokenizer(source.path / "tokenizer.json", max_tokens=workspace.blueprint.max_tokens)
        lines = corpus.read_text(encoding="utf-8").splitlines()[SKIPPED_TEXTS : SKIPPED_TEXTS + texts]
        self._sets = {"corpus": [json.loads(line)["text"] for line in lines], "probes": list(probe_texts())}
        self._rows = {name: self._tokenizer.rows(found) for name, found in self._sets.items()}
        self._wanted = {name: self._embed(workspace.float_graph, rows) for name, rows in self._rows.items()}

    def candidates(self, *, odd: bool = True) -> tuple[Candidate, ...]:
        """All projections, quantised."""
        parameters = self.workspace.blueprint.parameters
        layers = (quantize_layer(seen.projections, seen.statistics, parameters) for seen in self._observe(odd=odd))
        return tuple(candidate for layer in layers for candidate in layer)

    @functools.cache  # noqa: B019 - one workshop lives as long as the script
    def _observe(self, *, odd: bool) -> tuple[Observation, ...]:
        rows = self._tokenizer.rows((*calibration_texts(), *(calibration_edges() if odd else ())))
        return tuple(observe(self.workspace, rows, self._runner))

    def measure(self, projections: QuantizedProjections) -> dict[str, dict[str, float]]:
        """Fidelity to the float32 graph, by set of texts."""
        path = self.workspace.folder / "form.onnx"
        data = path.with_name("form.onnx_data")
        with WeightFile(data) as weights:
            dialect = OrtCpuInt8(projections)
            onnx.save(author_graph(self.workspace.blueprint, dialect, weights, self.workspace.open_weights).model, path)
        found = {}
        for name, rows in self._rows.items():
            figures = compare(self._embed(path, rows), self._wanted[name]).fidelity
            kept = {key: getattr(figures, key) for key in ("cosine_mean", "cosine_min", "top10_overlap")}
            found[name] = {key: round(value, 6) for key, value in kept.items()}
        data.unlink()
        return found

    def _embed(self, path: Path, rows: TokenRows) -> NDArray[np.float32]:
        session, width = self._runner.open_file(path), self.workspace.blueprint.dimension
        return output_rows(self._runner, session, rows, output="sentence_embedding", width=width)


def cheapest(candidates: tuple[Candidate, ...]) -> QuantizedProjections:
    return {found.site: found.projection for found in candidates}


def closest(candidates: tuple[Candidate, ...]) -> QuantizedProjections:
    return {found.site: found.closer for found in candidates}


def forms(work: Workshop) -> Mapping[str, Callable[[], QuantizedProjections]]:
    """By name, what quantises the model that way."""

    def patched(
        name: str, value: object, choose: Callable[[tuple[Candidate, ...]], QuantizedProjections] = cheapest
    ) -> Callable[[], QuantizedProjections]:
        def quantise() -> QuantizedProjections:
            with mock.patch(f"stonnx.quantize.{name}", value):
                return choose(work.candidates())

        return quantise

    def plain(matrix: NDArray[np.float32], _: object) -> RoundedMatrix:
        return compensated(matrix, no_compensation(len(matrix)))

    return {
        "cheapest: no step of the ladder": lambda: cheapest(work.candidates()),
        "closest: all inputs more closely": lambda: closest(work.candidates()),
        "closest, outliers not split": patched("ranges._PER_COPY", 10**9, closest),
        "cheapest, weights of 7 bits": patched("rounding.LARGEST", 64),
        "cheapest, without odd texts": lambda: cheapest(work.candidates(odd=False)),
        "cheapest, weights rounded to nearest": patched("projections.compensated", plain),
        "cheapest, damping 0.01": patched("statistics._DAMPING", 0.01),
        "cheapest, without balance": patched("ranges.smoothing_multipliers", _ones),
    }


def _ones(largest: NDArray[np.float32], _weights: object, *, strength: float) -> NDArray[np.float32]:
    del strength
    return np.ones_like(largest)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("model", help="a model folder of the BERT or MPNet family")
    options.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with data/")
    options.add_argument("--corpus", default="en-cc.jsonl", help="file in data/corpora of --shared")
    options.add_argument("--texts", type=int, default=600, help="of the corpus")
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        corpus = args.shared / "data/corpora" / args.corpus
        work = Workshop(args.model, corpus, args.texts, Path(folder), stack)
        found = {}
        for name, quantise in forms(work).items():
            found[name] = work.measure(quantise())
            figures = " | ".join(
                f"{where} {row['cosine_mean']:.5f} {row['cosine_min']:.4f} {row['top10_overlap']:.3f}"
                for where, row in found[name].items()
            )
            print(f"{name:42s} {figures}", flush=True)
    write_result("quantisation", {"corpus": args.corpus, "texts": args.texts, "forms": found}, args)


if __name__ == "__main__":
    main()
