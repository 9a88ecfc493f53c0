"""Throughput, one-text latency and memory, beside sentence-transformers on torch in float32.

    python benchmarks/encode.py --shared ../shared

MiniLM (the real one) on English texts, and m3e-base's shape (random weights) on Chinese ones. For the times both
sides are in one process and take turns, a b b a, with the same number of threads; the memory of either side is
measured in a process of its own, which loads it and encodes the same texts. Needs the extras cpu, reference and demo.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import _common

if TYPE_CHECKING:
    from stonnx._timing import Round
    from stonnx.artifact import Artifact


def main() -> None:
    """Parse, measure, write."""
    if sys.argv[1:2] == ["--child"]:
        _child(*sys.argv[2:])
        return
    parser = _common.parser(__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with models/ and data/corpora/")
    parser.add_argument("--minilm-texts", type=int, default=2000, help="English texts; 0 leaves MiniLM out")
    parser.add_argument("--m3e-texts", type=int, default=500, help="Chinese texts; 0 leaves m3e-base's shape out")
    parser.add_argument("--m3e-model", default="m3e-base", help="folder below models/ that gives the shape")
    parser.add_argument("--latency-texts", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=None, help="of either side (default: the usable cores)")
    args = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if args.minilm_texts:
            texts = _common.read_corpus(args.shared / "data/corpora/en-cc.jsonl", args.minilm_texts)
            results.append(_measure("all-MiniLM-L6-v2", _common.minilm(), texts, work, args))
        if args.m3e_texts:
            from stonnx.testing import make_random_model

            source = make_random_model(args.shared / "models" / args.m3e_model, work / args.m3e_model)
            texts = _common.read_corpus(args.shared / "data/corpora/zh-cc-by-sa.jsonl", args.m3e_texts)
            results.append(_measure(f"{args.m3e_model} (random weights)", source, texts, work, args))
    _common.write_result("encode", results, args)


def _measure(name: str, source: Path, texts: Sequence[str], work: Path, args: argparse.Namespace) -> dict[str, object]:
    from stonnx.artifact import Artifact
    from stonnx.compile import convert
    from stonnx.runtime import usable_cores

    print(f"{name}: {len(texts)} texts, {args.rounds} rounds", file=sys.stderr)
    artifact = work / f"{source.name}-onnx"
    convert(source, artifact, verify=False, int8=False)
    threads = args.threads or usable_cores()
    # The children come first: this process must not compete with them for memory or cores.
    text_file = work / "texts.json"
    text_file.write_text(json.dumps(texts), encoding="utf-8")
    memory = {
        side: _common.run_child([sys.executable, __file__, "--child", side, str(path), str(text_file), str(threads)])
        for side, path in (("stonnx", artifact), ("sentence-transformers", source))
    }
    times = _times(Artifact.open(artifact), source, texts, threads, args)
    return {"model": name, "texts": len(texts), "threads": threads, **times, "memory": memory}


def _times(
    artifact: Artifact, source: Path, texts: Sequence[str], threads: int, args: argparse.Namespace
) -> dict[str, object]:
    from stonnx._timing import RoundLimits, run_rounds, short_texts
    from stonnx.bench.agreement import lowest_cosine
    from stonnx.bench.report import latency_result, pass_result
    from stonnx.bench.sides import open_sides

    short = short_texts(texts, args.latency_texts)
    rounds: dict[str, list[Round]] = {}
    with open_sides(artifact, variant="auto", against=source, threads=threads) as sides:
        cosine_min = lowest_cosine(sides, texts)  # the warm-up as well: both sides see every length once
        for name, calls in (("throughput", [texts]), ("latency", [[text] for text in short])):
            limits = RoundLimits(fewest=args.rounds, most=args.rounds, deadline=0.0)
            for side in (sides.a, sides.b):
                side.run(calls[0][:32])
            turns = (sides.a.run, sides.b.run)
            rounds[name] = list(run_rounds(turns, calls, limits=limits, clock=perf_counter))
            print(f"  {name} measured", file=sys.stderr)
    return {
        "sides": [sides.a.name, sides.b.name],
        "cosine_min": cosine_min,
        "throughput": pass_result("throughput", "texts/s", len(texts), rounds["throughput"]).to_json(),
        "latency": latency_result("latency", len(short), rounds["latency"]).to_json(),
    }


def _child(side: str, model: str, text_file: str, threads: str) -> None:
    """Load one side, encode, and print what memory that took."""
    texts = json.loads(Path(text_file).read_text(encoding="utf-8"))
    from stonnx.reference import ReferenceEncoder
    from stonnx.runtime import Encoder

    loader = Encoder if side == "stonnx" else ReferenceEncoder
    encoder = loader.load(model, threads=int(threads))
    loaded = _common.memory_bytes()
    encoder.encode(texts)
    print(json.dumps({"loaded_rss_bytes": loaded["rss_bytes"], **_common.memory_bytes()}))


if __name__ == "__main__":
    main()
