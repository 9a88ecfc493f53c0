"""Time and memory of a conversion, beside sentence-transformers 5.7 with optimum-onnx.

    python benchmarks/convert.py --shared ../shared --peer-python PEER/bin/python

Every conversion runs in a fresh process, stonnx without verification and the peer by turns. ``seconds`` is the
conversion alone, ``process_seconds`` with the start of Python and every import, as a user waits for it. Memory is
the peak of the process (``VmHWM``) and, as ``extra_bytes``, that peak less what the process held after its imports.

The peer is pinned to older libraries (its transformers is 4.57), so it needs an environment of its own, for which
nothing but this is needed; PEER is a folder of your choice:

    python -m venv PEER
    PEER/bin/pip install torch==2.13.0
    PEER/bin/pip install "sentence-transformers[onnx]==5.7.*"

That brings optimum 2.1 and optimum-onnx 0.1. Install torch first, as its CPU build, where your index has one: the
second line alone may fetch gigabytes for a GPU. The peer's route is the documented one:
``SentenceTransformer(path, backend="onnx", model_kwargs={"export": True})``, then ``save_pretrained``.
"""

from __future__ import annotations

import importlib.metadata
import json
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import _common

_PEER_VERSIONS = ("sentence-transformers", "optimum", "optimum-onnx", "transformers", "torch", "onnx", "onnxruntime")


def main() -> None:
    """Parse, measure, write."""
    if sys.argv[1:2] == ["--child"]:
        {"stonnx": _convert_stonnx, "peer": _convert_peer}[sys.argv[2]](*sys.argv[3:])
        return
    parser = _common.parser(__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with models/")
    parser.add_argument("--peer-python", help="a Python that has sentence-transformers 5.7 with its extra onnx")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--shapes", nargs="*", default=["m3e-base"], help="folders below models/, random weights")
    parser.add_argument("--no-minilm", action="store_true", help="leave the real MiniLM out")
    args = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if not args.no_minilm:
            results.append(_measure("all-MiniLM-L6-v2", _common.minilm(), work, args.peer_python, args.repeats))
        for shape in args.shapes:
            from stonnx.testing import make_random_model

            source = make_random_model(args.shared / "models" / shape, work / shape)
            results.append(_measure(f"{shape} (random weights)", source, work, args.peer_python, args.repeats))
    _common.write_result("convert", results, args)


def _measure(name: str, source: Path, work: Path, peer_python: str | None, repeats: int) -> dict[str, object]:
    routes = {"stonnx": sys.executable}
    if peer_python:
        routes["peer"] = peer_python
    weights = (source / "model.safetensors").stat().st_size
    runs: dict[str, list[dict[str, float]]] = {route: [] for route in routes}
    versions: dict[str, dict[str, str]] = {}
    for number in range(repeats):
        for route, python in routes.items():
            with tempfile.TemporaryDirectory(dir=work) as out:
                start = perf_counter()
                found = _common.run_child([python, __file__, "--child", route, str(source), str(Path(out) / "model")])
                found["process_seconds"] = perf_counter() - start
            versions[route] = found.pop("versions")
            runs[route].append(found)
            print(f"{name}: {route} {number + 1}/{repeats}: {found['seconds']:.1f} s", file=sys.stderr)
    return {
        "model": name,
        "weights_bytes": weights,
        "repeats": repeats,
        **{route: _summary(found, weights) | {"versions": versions[route]} for route, found in runs.items()},
    }


def _summary(runs: list[dict[str, float]], weights: int) -> dict[str, object]:
    """Medians of every number, and the memory as a multiple of the weights."""
    summary: dict[str, object] = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    for key in ("peak_rss_bytes", "extra_bytes"):
        summary[f"{key.removesuffix('_bytes')}_over_weights"] = statistics.median(run[key] for run in runs) / weights
    return summary


def _convert_stonnx(source: str, out: str) -> None:
    import onnx  # noqa: F401 - part of the baseline, like the peer's imports
    import tokenizers  # noqa: F401

    from stonnx.compile import convert
    from stonnx.machine import installed_versions

    before = _common.memory_bytes()["rss_bytes"]
    start = perf_counter()
    convert(source, out, verify=False, int8=False)
    _report(perf_counter() - start, before, installed_versions())


def _convert_peer(source: str, out: str) -> None:
    import onnxruntime  # noqa: F401
    from optimum.onnxruntime import ORTModelForFeatureExtraction  # noqa: F401
    from sentence_transformers import SentenceTransformer

    before = _common.memory_bytes()["rss_bytes"]
    start = perf_counter()
    model = SentenceTransformer(source, backend="onnx", device="cpu", model_kwargs={"export": True})
    model.save_pretrained(out)
    _report(perf_counter() - start, before, {name: importlib.metadata.version(name) for name in _PEER_VERSIONS})


def _report(seconds: float, before: int, versions: dict[str, str]) -> None:
    peak = _common.memory_bytes()["peak_rss_bytes"]
    value = {
        "seconds": seconds,
        "peak_rss_bytes": peak,
        "baseline_rss_bytes": before,
        "extra_bytes": peak - before,
        "versions": versions,
    }
    print(json.dumps(value))


if __name__ == "__main__":
    main()
