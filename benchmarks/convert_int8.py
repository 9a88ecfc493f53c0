"""What int8 costs at conversion: seconds, CPU time and memory of whole processes, two checkouts by turns.

    python benchmarks/convert_int8.py --before ../stonnx-before --models all-MiniLM-L6-v2 MODEL_FOLDER --rounds 3
    python benchmarks/convert_int8.py --models --large --shared ../shared --rounds 1

Each turn is a fresh process that converts with int8: *convert* without verification, *verify* with it. *again* verifies
a second time where the original's vectors are kept from the first. *torch* is what the original model alone needs for
the same probe texts: the start of Python, imports, loading and embedding. ``process`` is the wall time of the whole
process, ``cpu`` its CPU time, ``peak_bytes`` its memory at most (``VmHWM``), ``steps`` what ``convert`` says of itself.

``--before`` is a checkout of an older commit; without it, there is one side. ``--large`` adds a BERT of XLM-R-large's
shape (24 layers, 1024 and 4096 wide, 250,002 words; 2.2 GB of seeded random weights) with m3e-base's tokenizer.
The cache of the original's vectors is a folder of its own, and empty but for *again*.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import _common

_CONVERT = """
import json, resource, sys
from stonnx.compile import convert
done = convert(sys.argv[1], sys.argv[2], verify=sys.argv[3] == "verify", int8=True, force=True)
used = resource.getrusage(resource.RUSAGE_SELF)
lines = open("/proc/self/status").read().splitlines()
peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
variants = {v.name: v.fidelity_class for v in done.manifest.variants}
print(json.dumps({"steps": done.seconds, "cpu": used.ru_utime + used.ru_stime, "peak_bytes": peak,
                  "notes": [note for note in done.notes if "int8" in note], "classes": variants}))
"""

_TORCH = """
import json, sys
from stonnx.verify.original import run_original
run_original(sys.argv[1], kind="embedding")
print(json.dumps({}))
"""

_LARGE = {"num_hidden_layers": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16}
_LARGE_WORDS = 250_002
_TASKS = ("convert", "verify", "again", "torch")
_NUMBERS = ("process", "cpu", "peak_bytes")


def main() -> None:
    """Parse, measure, write."""
    parser = _common.parser(__doc__)
    parser.add_argument("--before", type=Path, help="a checkout of the commit to compare with")
    parser.add_argument("--models", nargs="*", default=["all-MiniLM-L6-v2"], help="that name, or model folders")
    parser.add_argument("--large", action="store_true", help="also XLM-R-large's shape; needs 5 GB of disk")
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="for --large: folder with models/")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", default=list(_TASKS), choices=_TASKS)
    args = parser.parse_args()
    sides = {"after": Path(__file__).resolve().parents[1]}
    if args.before is not None:
        sides = {"before": args.before.resolve(), **sides}
    found = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        models = [_common.minilm() if name == "all-MiniLM-L6-v2" else Path(name) for name in args.models]
        if args.large:
            models.append(_make_large(args.shared / "models/m3e-base", work))
        for name, model in zip([*map(_name, args.models), "XLM-R-large's shape"], models, strict=False):
            found.append({"model": name, "weights_bytes": _size(model), **_measure(name, model, sides, work, args)})
    result = {"rounds": args.rounds, "commits": {side: _commit(path) for side, path in sides.items()}, "models": found}
    _common.write_result("convert_int8", result, args)


def _measure(name: str, model: Path, sides: dict[str, Path], work: Path, args: argparse.Namespace) -> dict[str, object]:
    turns: dict[str, dict[str, list[dict[str, object]]]] = {side: {} for side in sides}
    for number in range(args.rounds):
        for side in list(sides)[:: -1 if number % 2 else 1]:
            cache = work / "cache"
            for task in args.tasks:
                if task != "again":
                    shutil.rmtree(cache, ignore_errors=True)
                found = _run(sides[side], task, model, work / "artifact", cache)
                turns[side].setdefault(task, []).append(found)
                print(f"{name} {number + 1}/{args.rounds} {side} {task}: {found['process']:.1f} s", file=sys.stderr)
    shutil.rmtree(work / "artifact", ignore_errors=True)
    medians = {
        side: {
            task: {key: statistics.median(turn[key] for turn in found) for key in found[0] if key in _NUMBERS}  # type: ignore[type-var]
            for task, found in by_task.items()
        }
        for side, by_task in turns.items()
    }
    return {"medians": medians, "turns": turns}


def _run(checkout: Path, task: str, model: Path, out: Path, cache: Path) -> dict[str, object]:
    """One process."""
    environment = os.environ | {
        "PYTHONPATH": str(checkout / "src"),
        "XDG_CACHE_HOME": str(cache),
        "HF_HUB_OFFLINE": "1",
        "TQDM_DISABLE": "1",
    }
    program, words = (
        (_TORCH, (model,)) if task == "torch" else (_CONVERT, (model, out, "no" if task == "convert" else "verify"))
    )
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], env=environment, capture_output=True, text=True, check=False
    )
    seconds = perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{checkout.name}, {task}: {done.stderr.strip()[-2000:]}")
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return {"process": round(seconds, 2), **found}


def _make_large(small_files: Path, work: Path) -> Path:
    """A BERT of XLM-R-large's shape with random weights."""
    from stonnx.testing import make_random_model

    files = work / "large-files"
    shutil.copytree(small_files, files)
    config = json.loads((files / "config.json").read_text(encoding="utf-8"))
    (files / "config.json").write_text(json.dumps(config | _LARGE | {"vocab_size": _LARGE_WORDS}), encoding="utf-8")
    pooling = next(files.glob("*_Pooling")) / "config.json"
    pooled = json.loads(pooling.read_text(encoding="utf-8"))
    pooling.write_text(json.dumps(pooled | {"word_embedding_dimension": _LARGE["hidden_size"]}), encoding="utf-8")
    return make_random_model(files, work / "large")


def _name(model: str) -> str:
    return Path(model).name


def _size(model: Path) -> int:
    return sum(path.stat().st_size for path in model.glob("*.safetensors"))


def _commit(checkout: Path) -> str:
    words = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
