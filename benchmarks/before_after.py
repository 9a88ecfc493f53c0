"""Two checkouts of stonnx by turns: what a change costs or gains. The checkout with this file is *after*.

    python benchmarks/before_after.py --before ../stonnx-before --model all-MiniLM-L6-v2 --rounds 7

``--before`` is a checkout of an older commit (``git worktree add ../stonnx-before COMMIT``). Each turn is a process of
its own that imports stonnx from one of them: before, after, after, before. It converts the model (without verification;
the first round with ``--int8`` too), then loads it and embeds one text, 50 texts one by one, and many at once, as
``fp32`` and as ``int8``. Ratios are after / before, medians of the rounds. The machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import _common

_CONVERT = """
import sys, time
from stonnx.compile import convert
start = time.perf_counter()
convert(sys.argv[1], sys.argv[2], verify=False, int8=sys.argv[3] == "int8", force=True)
print('{"convert": %f}' % (time.perf_counter() - start))
"""

_ENCODE = """
import json, sys, time
from time import perf_counter
texts = json.load(open(sys.argv[3]))
start = perf_counter()
from stonnx import Encoder
encoder = Encoder.load(sys.argv[1], variant=sys.argv[2])
encoder.encode(texts[0])
first = perf_counter() - start
encoder.encode(texts)
start = perf_counter()
encoder.encode(texts)
many = perf_counter() - start
times = []
for text in texts[:50]:
    start = perf_counter()
    encoder.encode(text)
    times.append(perf_counter() - start)
print(json.dumps({"start and first text": first, "many texts": many, "one text": sorted(times)[25]}))
"""


def main() -> None:
    """Parse, measure, write."""
    parser = _common.parser(__doc__)
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the commit to compare with")
    parser.add_argument("--model", default="all-MiniLM-L6-v2", help="that name, or a model folder")
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with data/corpora/")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--variants", nargs="+", default=["fp32", "int8"], help="without int8 nothing is quantised")
    args = parser.parse_args()
    model = _common.minilm() if args.model == "all-MiniLM-L6-v2" else Path(args.model)
    after = Path(__file__).resolve().parents[1]
    sides = {"before": args.before.resolve(), "after": after}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        texts = _common.read_corpus(args.shared / "data/corpora/en-cc.jsonl", args.texts)
        (work / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
        found = _measure(model, sides, work, args)
    commits = {side: _commit(path) for side, path in sides.items()}
    result = {"model": Path(args.model).name, "texts": len(texts), "rounds": args.rounds, "commits": commits, **found}
    _common.write_result("before_after", result, args)


def _measure(model: Path, sides: dict[str, Path], work: Path, args: argparse.Namespace) -> dict[str, object]:
    precision = "int8" if "int8" in args.variants else "fp32"
    for side, path in sides.items():  # what is encoded with; says at once that both can convert
        _run(path, _CONVERT, model, work / side, precision)
    seconds: dict[str, dict[str, list[float]]] = {}
    for turn in range(2 * args.rounds):
        side = ("before", "after", "after", "before")[turn % 4]
        rows = {"convert": _run(sides[side], _CONVERT, model, work / f"{side}-again", "fp32")["convert"]}
        for variant in args.variants:
            times = _run(sides[side], _ENCODE, work / side, variant, work / "texts.json")
            rows |= {f"{variant}: {name}": value for name, value in times.items()}
        for name, value in rows.items():
            seconds.setdefault(name, {}).setdefault(side, []).append(value)
        print(f"{turn + 1} of {2 * args.rounds}", file=sys.stderr)
    medians = {name: {side: statistics.median(values) for side, values in by.items()} for name, by in seconds.items()}
    ratios = {name: round(by["after"] / by["before"], 3) for name, by in medians.items()}
    return {"ratios": ratios, "medians_s": medians, "seconds": seconds}


def _run(checkout: Path, program: str, *words: object) -> dict[str, float]:
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    command = [sys.executable, "-c", program, *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{checkout}: {done.stderr.strip()}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _commit(checkout: Path) -> str:
    words = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
