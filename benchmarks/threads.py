"""How many engine runs at a time, with how many threads and tokens each: every choice, timed against the default.

    python benchmarks/threads.py --shared ../shared

Every pair of streams and batch budget encodes the same texts by turns, all-MiniLM-L6-v2 on English and m3e-base's shape
(random weights) on Chinese. Ratios above 1 are faster than one stream with the default budget. Beside it: one
text's time per number of streams, what share of the time tokenisation takes (all that overlapping it with
inference could gain), and the CPU time that an idle encoder burns in the second after a run.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import _common

from stonnx import Encoder
from stonnx.compile import convert
from stonnx.runtime import usable_cores
from stonnx.runtime.batching import DEFAULT_BATCH_TOKENS
from stonnx.runtime.tokenize import TextTokenizer
from stonnx.testing import make_random_model

_ONE = {"en": "A sentence of a dozen words or so, to be embedded alone.", "zh": "单独计算的一句话，十几个字左右。"}


def main() -> None:
    """Parse, measure, write."""
    options = _common.parser(__doc__)
    options.add_argument("--shared", type=Path, required=True, help="folder with data/corpora and models")
    options.add_argument("--models", nargs="+", choices=("minilm", "m3e-base"), default=["minilm", "m3e-base"])
    options.add_argument("--minilm-texts", type=int, default=300)
    options.add_argument("--m3e-texts", type=int, default=40)
    options.add_argument("--budgets", nargs="+", type=int, default=[512, 1024, 2048, 4096, 8192], help="batch_tokens")
    options.add_argument("--rounds", type=int, default=5)
    args = options.parse_args()
    results = {}
    for model in args.models:
        with tempfile.TemporaryDirectory() as folder:
            results[model] = _measure(model, Path(folder), args)
    _common.write_result("threads", results, args)


def _measure(model: str, folder: Path, args: argparse.Namespace) -> dict[str, object]:
    english = model == "minilm"
    source = _common.minilm() if english else make_random_model(args.shared / "models/m3e-base", folder / "source", 0)
    artifact = folder / "artifact"
    convert(source, artifact, verify=False, int8=False)
    corpus = args.shared / f"data/corpora/{'en-cc' if english else 'zh-cc-by-sa'}.jsonl"
    texts = _common.read_corpus(corpus, args.minilm_texts if english else args.m3e_texts)
    cores = usable_cores()
    encoders = {n: Encoder.load(artifact, variant="fp32", threads=cores, streams=n) for n in _stream_counts(cores)}
    one = _ONE["en" if english else "zh"]
    throughput = _throughput(encoders, texts, args)
    return {
        "texts": len(texts),
        "threads": cores,
        "throughput": throughput,
        "one_text": _one_text(encoders, one, args.rounds),
        "tokenising": _tokenising(encoders[1], texts, args.rounds),
        "idle_cpu_seconds": {str(n): _idle_burn(encoder, texts) for n, encoder in encoders.items()},
    }


def _stream_counts(cores: int) -> list[int]:
    """1, 2, 4 and so on, and the number of cores: those that divide it."""
    return sorted({count for count in [*(2**power for power in range(10)), cores] if cores % count == 0})


def _throughput(
    encoders: dict[int, Encoder], texts: Sequence[str], args: argparse.Namespace
) -> list[dict[str, object]]:
    sides = [(streams, budget) for streams in encoders for budget in {*args.budgets, DEFAULT_BATCH_TOKENS}]
    seconds: dict[tuple[int, int], list[float]] = {side: [] for side in sides}
    for encoder in encoders.values():
        encoder.encode(texts[: max(1, len(texts) // 4)])
    rng = random.Random(0)  # noqa: S311 - an order, no secret
    for _ in range(args.rounds):
        for streams, budget in rng.sample(sides, len(sides)):
            time.sleep(0.01)  # idle threads of the encoder before stop spinning
            started = time.perf_counter()
            encoders[streams].encode(texts, batch_tokens=budget)
            seconds[streams, budget].append(time.perf_counter() - started)
    default = seconds[1, DEFAULT_BATCH_TOKENS]
    rows = []
    for streams, budget in sorted(sides):
        found = seconds[streams, budget]
        ratios = [a / b for a, b in zip(default, found, strict=True)]
        row = {
            "streams": streams,
            "batch_tokens": budget,
            "ratio": round(statistics.median(ratios), 3),
            "lowest": round(min(ratios), 3),
            "highest": round(max(ratios), 3),
            "texts_per_second": len(texts) / statistics.median(found),
        }
        print(row, file=sys.stderr)
        rows.append(row)
    return rows


def _one_text(encoders: dict[int, Encoder], text: str, rounds: int) -> dict[str, float]:
    """Median milliseconds of one text, per number of streams, by turns."""
    runs = {f"{streams}_streams_p50_ms": partial(encoder.encode, text) for streams, encoder in encoders.items()}
    return {name: seconds * 1e3 for name, seconds in _common.by_turns(runs, 20 * rounds, pause=0.005).items()}


def _tokenising(encoder: Encoder, texts: Sequence[str], rounds: int) -> dict[str, float]:
    """Seconds to tokenise the texts, in the library's pool and on one thread, and to encode them; medians by turns."""
    spec = encoder.artifact.manifest.tower.tokenizer
    tokenizer = TextTokenizer(encoder.artifact.file(spec.file), max_tokens=spec.max_tokens)
    work: dict[str, Callable[[], object]] = {
        "pool_seconds": lambda: tokenizer.rows(texts),
        "one_thread_seconds": lambda: tokenizer.rows(texts, parallel=False),
        "encode_seconds": lambda: encoder.encode(texts),
    }
    medians = _common.by_turns(work, rounds)
    return medians | {"share": medians["pool_seconds"] / medians["encode_seconds"]}


def _idle_burn(encoder: Encoder, texts: Sequence[str]) -> float:
    """CPU seconds of the process in the second after a run."""
    encoder.encode(texts[:20])
    started = time.process_time()
    time.sleep(1)
    return time.process_time() - started


if __name__ == "__main__":
    main()
