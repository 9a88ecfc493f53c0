"""Memory over many shapes: resident bytes after more and more texts of random lengths.

    python benchmarks/memory.py

Engines that keep a buffer per shape grow with every new (rows, tokens); the memory of an Encoder must not. Calls are
of random size, texts of random length, and what counts is how little is added between 1,000 and 10,000 texts.
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
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        artifact = args.artifact
        if artifact is None:
            from stonnx.compile import convert

            artifact = Path(folder) / "all-MiniLM-L6-v2-onnx"
            convert(_common.minilm(), artifact, verify=False)
        numbers = [str(number) for number in (args.seed, args.longest, *args.checkpoints)]
        found = _common.run_child([sys.executable, __file__, "--child", str(artifact), args.variant, *numbers])
    print(json.dumps(found, indent=2), file=sys.stderr)
    _common.write_result("memory", {"artifact": artifact.name, **found}, args)


def _child(artifact: str, variant: str, seed: str, longest: str, *checkpoints: str) -> None:
    from stonnx.runtime import Encoder

    rng = random.Random(int(seed))  # noqa: S311 - reproducible texts, no secret
    encoder = Encoder.load(artifact, variant=variant)
    after = {"0": _common.memory_bytes()}
    for previous, checkpoint in itertools.pairwise([0, *map(int, checkpoints)]):
        left = checkpoint - previous
        while left:
            count = min(left, rng.randint(1, 64))
            encoder.encode([" ".join(rng.choices(_WORDS, k=rng.randint(1, int(longest)))) for _ in range(count)])
            left -= count
        after[str(checkpoint)] = _common.memory_bytes()
    print(json.dumps({"variant": encoder.variant.name, "threads": encoder.threads, "after_texts": after}))


if __name__ == "__main__":
    main()
