"""Memory over many shapes: resident bytes after more and more texts of random lengths.

    python benchmarks/memory.py
    python benchmarks/memory.py --tiny --longest 100 --checkpoints 5000 100000 --label tiny
    python benchmarks/memory.py --longest 12 --checkpoints 5000 100000 --label short

Engines that keep a buffer per shape grow with every new (rows, tokens); the memory of an Encoder must not. Calls are
of random size, texts of random length, and what counts is ``growth``: the memory at the end, divided by the memory at
the checkpoint named beside it. A call's vectors are dropped at once, so none are counted.

A big model takes hours for 100,000 long texts; the tiny one takes minutes, and what it holds per shape is the same.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import tempfile
from pathlib import Path

import _common

_WORDS = (
    "the a of model word river stone light sentence vector north seven green quiet machine paper 今天 开心 周末".split()
)


def main() -> None:
    """Parse, measure, write."""
    if sys.argv[1:2] == ["--child"]:
        _child(*sys.argv[2:])
        return
    parser = _common.parser(__doc__)
    parser.add_argument("--artifact", type=Path, help="a converted model (default: MiniLM, converted first)")
    parser.add_argument("--checkpoints", nargs="+", type=int, default=[100, 1000, 10000], help="texts, rising")
    parser.add_argument("--longest", type=int, default=100, help="words of the longest text")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variant", default="auto")
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--tiny", action="store_true", help="a model of 2 layers and 256 positions instead of MiniLM")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        artifact = args.artifact or _convert(Path(folder), tiny=args.tiny)
        numbers = [str(number) for number in (args.streams, args.seed, args.longest, *args.checkpoints)]
        found = _common.run_child([sys.executable, __file__, "--child", str(artifact), args.variant, *numbers])
    print(json.dumps(found, indent=2), file=sys.stderr)
    _common.write_result("memory", {"artifact": artifact.name, "longest_words": args.longest, **found}, args)


def _convert(folder: Path, *, tiny: bool) -> Path:
    from stonnx.compile import convert
    from stonnx.testing import TinyModel, make_tiny_model

    if tiny:
        model = make_tiny_model(folder / "source", TinyModel(hidden=64, positions=256, max_tokens=256))
        return convert(model, folder / "tiny-onnx", verify=False, int8=False).path
    return convert(_common.minilm(), folder / "all-MiniLM-L6-v2-onnx", verify=False, int8=False).path


def _child(artifact: str, variant: str, streams: str, seed: str, longest: str, *checkpoints: str) -> None:
    from stonnx.runtime import Encoder

    rng = random.Random(int(seed))  # noqa: S311 - reproducible texts, no secret
    encoder = Encoder.load(artifact, variant=variant, streams=int(streams))
    after = {"0": _common.memory_bytes()}
    for previous, checkpoint in itertools.pairwise([0, *map(int, checkpoints)]):
        left = checkpoint - previous
        while left:
            count = min(left, rng.randint(1, 64))
            encoder.encode([" ".join(rng.choices(_WORDS, k=rng.randint(1, int(longest)))) for _ in range(count)])
            left -= count
        after[str(checkpoint)] = _common.memory_bytes()
    # Growth counts from 5,000 texts on where the run is that long: what comes before is warm-up.
    first = next((c for c in checkpoints[:-1] if int(c) >= 5000), checkpoints[0])
    growth = {f"{checkpoints[-1]}_to_{first}": after[checkpoints[-1]]["rss_bytes"] / after[first]["rss_bytes"]}
    run = {"variant": encoder.variant.name, "threads": encoder.threads, "streams": encoder.streams}
    print(json.dumps({**run, "after_texts": after, "growth": growth}))


if __name__ == "__main__":
    main()
