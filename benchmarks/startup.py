"""Time to start, in fresh processes: ``import stonnx``, and ``Encoder.load`` with one text.

    python benchmarks/startup.py
    python benchmarks/startup.py --artifact m3e-base-random-onnx --label m3e-base

``inside`` is measured by the process itself, ``process`` around it, with the start of Python; ``cpu`` is the CPU time
of all its threads. Files are in the page cache after the first run, which is left out. ``parts`` are the CPU seconds
of each step alone, one after the other: ``load`` computes the hashes while the engine opens, so it takes less.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import _common

_IMPORT = """
from time import perf_counter
start = perf_counter()
import stonnx
print('{"inside": %f}' % (perf_counter() - start))
"""

_FIRST_TEXT = """
import sys, time
from time import perf_counter
start = perf_counter()
from stonnx import Encoder
imported = perf_counter()
encoder = Encoder.load(sys.argv[1], variant=sys.argv[2])
loaded = perf_counter()
encoder.encode("A sentence to begin with.")
ready = perf_counter()
print('{"inside": %f, "import": %f, "load": %f, "first_text": %f, "cpu": %f}'
      % (ready - start, imported - start, loaded - imported, ready - loaded, time.process_time()))
"""

_PARTS = """
import json, sys, time
parts, last = {}, time.process_time()
def mark(name):
    global last
    parts[name], last = time.process_time() - last, time.process_time()
import numpy
mark("import numpy")
import stonnx.runtime.encoder, stonnx.runtime.loading
mark("import stonnx.runtime")
import onnxruntime, tokenizers
mark("import onnxruntime, tokenizers")
from stonnx.artifact import Artifact
from stonnx.artifact.onnx_check import check_graphs
artifact = Artifact.open(sys.argv[1])
variant = stonnx.runtime.loading.choose_variant(artifact, sys.argv[2])
check_graphs(artifact, variant)
mark("open and check the graph")
spec = artifact.manifest.tower.tokenizer
tokenizer = stonnx.runtime.tokenize.TextTokenizer(artifact.file(spec.file), max_tokens=spec.max_tokens)
mark("tokenizer")
artifact.check_files([*variant.files, spec.file])
mark("hashes")
from stonnx.runtime.engines import open_engine
engine = open_engine(variant, artifact, threads=stonnx.runtime.usable_cores())
mark("engine")
print(json.dumps(parts))
"""


def main() -> None:
    """Parse, measure, write."""
    parser = _common.parser(__doc__)
    parser.add_argument("--artifact", type=Path, help="a converted model (default: MiniLM, converted first)")
    parser.add_argument("--variant", default="auto")
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        artifact = args.artifact
        if artifact is None:
            from stonnx.compile import convert

            artifact = Path(folder) / "all-MiniLM-L6-v2-onnx"
            convert(_common.minilm(), artifact, verify=False, int8=False)
        results = {
            "empty_process": _median_seconds("print('{}')", [], args.repeats),
            "import_stonnx": _median_seconds(_IMPORT, [], args.repeats),
            "load_and_one_text": _median_seconds(_FIRST_TEXT, [str(artifact), args.variant], args.repeats),
            "parts": _median_seconds(_PARTS, [str(artifact), args.variant], args.repeats),
        }
    del results["parts"]["process"]  # wall time, and the steps would overlap in it
    results_named = {
        "artifact": artifact.name,
        "variant": args.variant,
        "repeats": args.repeats,
        "median_seconds": results,
    }
    print(json.dumps(results, indent=2), file=sys.stderr)
    _common.write_result("startup", results_named, args)


def _median_seconds(code: str, arguments: list[str], repeats: int) -> dict[str, float]:
    runs = []
    for _ in range(repeats + 1):
        start = perf_counter()
        found = _common.run_child([sys.executable, "-c", code, *arguments])
        runs.append(found | {"process": perf_counter() - start})
    return {key: statistics.median(run[key] for run in runs[1:]) for key in runs[0]}


if __name__ == "__main__":
    main()
