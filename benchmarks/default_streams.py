"""Does the default fit the call? Loaded without a word about streams, against one run at a time and one-thread streams.

    python benchmarks/default_streams.py art/all-MiniLM-L6-v2 --shared ../shared --variants int8 fp32

The same texts are encoded by turns with all three, from one text to hundreds, short, long and mixed. Ratios are times
of the two settings over the default's: above 1 the default is faster. Beside it the memory of a process that encodes
many texts and one, with the default and with one run at a time, and of as many callers at once as there are cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import _common

from stonnx import Encoder
from stonnx.runtime import usable_cores

_CHILD = """
import json, sys
sys.path.insert(0, {benchmarks!r})
import _common
from stonnx import Encoder
encoder = Encoder.load({artifact!r}, variant={variant!r}, streams={streams!r})
texts = {texts!r}
for _ in range(2):
    encoder.encode(texts)
    encoder.encode(texts[0])
print(json.dumps(_common.memory_bytes()))
"""
_SECONDS = 1.0  # for each way of each call: so many rounds as fit, within the limits


def main() -> None:
    """Parse, measure, write."""
    options = _common.parser(__doc__)
    options.add_argument("artifact", type=Path)
    options.add_argument("--shared", type=Path, required=True, help="folder with data/corpora")
    options.add_argument("--variants", nargs="+", default=["int8", "fp32"])
    options.add_argument("--counts", nargs="+", type=int, default=[1, 2, 3, 4, 8, 16, 64, 600], help="texts of a call")
    options.add_argument("--lengths", nargs="+", choices=("short", "long", "mixed"), default=["short", "long", "mixed"])
    options.add_argument("--most-long", type=int, default=64, help="calls of more long texts are left out")
    options.add_argument("--no-memory", action="store_true")
    args = options.parse_args()
    corpus = _common.read_corpus(args.shared / "data/corpora/en-cc.jsonl", 5000)
    samples = _samples(corpus)
    results = {variant: _measure(args, variant, samples) for variant in args.variants}
    _common.write_result("default_streams", {"artifact": args.artifact.name, "variants": results}, args)


def _samples(corpus: Sequence[str]) -> dict[str, Sequence[str]]:
    """Texts by length: of a dozen words or fewer, of a paragraph, and as they come."""
    words = " ".join(corpus).split()
    paragraphs = [" ".join(words[start : start + 110]) for start in range(0, min(len(words), 80_000), 110)]
    short = [" ".join(words[7 * number : 7 * number + 4 + number % 9]) for number in range(1000)]
    return {"short": short, "long": paragraphs, "mixed": corpus}


def _measure(args: argparse.Namespace, variant: str, samples: dict[str, Sequence[str]]) -> dict[str, object]:
    cores = usable_cores()
    encoders = {
        "default": Encoder.load(args.artifact, variant=variant),
        "one": Encoder.load(args.artifact, variant=variant, streams=1),
        "streams": Encoder.load(args.artifact, variant=variant, streams=cores),
    }
    calls = []
    for name in args.lengths:
        for count in args.counts:
            if name == "long" and count > args.most_long:
                continue
            calls.append({"length": name, **_call(encoders, samples[name][:count])})
            print(variant, calls[-1], file=sys.stderr)
    together = [_together(encoders, samples[name][0], cores) for name in args.lengths]
    for encoder in encoders.values():
        encoder.close()
    found: dict[str, object] = {"calls": calls, "callers_at_once": together}
    return found if args.no_memory else found | {"memory": _memory(args, variant, samples["mixed"][:200])}


def _call(encoders: dict[str, Encoder], texts: Sequence[str]) -> dict[str, object]:
    runs = {name: partial(encoder.encode, texts) for name, encoder in encoders.items()}
    return {"texts": len(texts), **_ratios(_common.by_turns(runs, _rounds(encoders, texts), pause=0.003))}


def _together(encoders: dict[str, Encoder], text: str, cores: int) -> dict[str, object]:
    """Twenty times the same text, each a call of its own, from as many threads as there are cores."""
    with ThreadPoolExecutor(cores) as pool:
        runs = {name: partial(_all, pool, encoder, [text] * 20) for name, encoder in encoders.items()}
        found = _ratios(_common.by_turns(runs, 7, pause=0.003))
    print("at once", found, file=sys.stderr)
    return found


def _all(pool: ThreadPoolExecutor, encoder: Encoder, texts: Sequence[str]) -> None:
    list(pool.map(encoder.encode, texts))


def _rounds(encoders: dict[str, Encoder], texts: Sequence[str]) -> int:
    seconds = _common.by_turns({"one": partial(encoders["one"].encode, texts)}, 1)["one"]
    return max(3, min(41, round(_SECONDS / seconds)))


def _ratios(medians: dict[str, float]) -> dict[str, object]:
    default = medians["default"]
    return {
        **{f"{name}_ms": round(seconds * 1e3, 2) for name, seconds in medians.items()},
        "over_one": round(medians["one"] / default, 3),
        "over_streams": round(medians["streams"] / default, 3),
        "over_better": round(min(medians["one"], medians["streams"]) / default, 3),
    }


def _memory(args: argparse.Namespace, variant: str, texts: Sequence[str]) -> dict[str, object]:
    sizes = {}
    for name, streams in (("default", None), ("one", 1)):
        child = _CHILD.format(
            benchmarks=str(Path(__file__).parent),
            artifact=str(args.artifact.absolute()),
            variant=variant,
            streams=streams,
            texts=list(texts),
        )
        sizes[name] = _common.run_child([sys.executable, "-c", child])
    ratio = sizes["default"]["peak_rss_bytes"] / sizes["one"]["peak_rss_bytes"]
    print("memory", sizes, round(ratio, 3), file=sys.stderr)
    return {**sizes, "ratio": round(ratio, 3)}


if __name__ == "__main__":
    main()
