"""How often chance in the texts changes a variant's fidelity class: many draws of texts, by both ways to decide.

    python benchmarks/class_noise.py ARTIFACT --shared ../shared

For every variant that is not exact: the overlap of neighbours over all draws, and in how many of them the class is
another one than that of all texts, by the figures alone, and with the allowance for chance that `stonnx verify` and
`stonnx tune` make (``stonnx.verify.certainty``). The variant fp32 stands in for the original.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import _common
import numpy as np

from stonnx import Encoder
from stonnx.artifact import Artifact, classify
from stonnx.runtime.loading import why_not_here
from stonnx.verify import probe_texts
from stonnx.verify.certainty import settled_class
from stonnx.verify.metrics import compare, unit_rows


def main() -> None:
    args = _parse()
    artifact = Artifact.open(args.artifact)
    lines = (args.shared / "data" / "corpora" / args.corpus).read_text(encoding="utf-8").splitlines()
    probes = list(probe_texts()) if args.probes else []
    texts = [*probes, *(json.loads(line)["text"] for line in lines[: args.texts])]
    reference = _embed(artifact, "fp32", texts)
    found = {}
    for variant in artifact.manifest.variants:
        if variant.fidelity_class != "exact" and why_not_here(variant) is None:
            vectors = _embed(artifact, variant.name, texts)
            found[variant.name] = _draws(vectors, reference, len(probes), variant.fidelity_class, args)
            print(variant.name, json.dumps(found[variant.name]))
    _common.write_result(f"class_noise-{artifact.path.name.lower()}", found, args)


def _parse() -> Any:
    parser = _common.parser(__doc__)
    parser.add_argument("artifact", type=Path, help="an artifact with int8 variants")
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with data/")
    parser.add_argument("--corpus", default="en-cc.jsonl", help="file below data/corpora")
    parser.add_argument("--texts", type=int, default=2000, help="of the corpus, to draw from")
    parser.add_argument("--draws", type=int, default=300, help="samples of texts")
    parser.add_argument("--sample", type=int, default=64, help="texts of a sample")
    parser.add_argument("--probes", action="store_true", help="put the probe texts into every sample, as tune does")
    return parser.parse_args()


def _embed(artifact: Artifact, variant: str, texts: list[str]) -> Any:
    with Encoder.load(artifact, variant=variant) as encoder:
        return encoder.encode(texts)


def _draws(vectors: Any, reference: Any, probes: int, promised: Any, args: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    fixed = np.arange(probes)
    overlaps: list[float] = []
    by_figures: Counter[str] = Counter()
    settled: Counter[str] = Counter()
    for _ in range(args.draws):
        chosen = np.concatenate([fixed, probes + rng.choice(len(vectors) - probes, args.sample, replace=False)])
        compared = compare(vectors[chosen], reference[chosen])
        overlaps.append(compared.fidelity.top10_overlap)
        by_figures[str(classify(compared.fidelity))] += 1
        settled[str(settled_class(compared, promised=promised))] += 1
    whole = compare(vectors, reference)
    return {
        "promised": promised,
        "all_texts": whole.fidelity.top10_overlap,
        "all_texts_error": whole.overlap_error,
        "all_texts_without_ties": _plain_overlap(unit_rows(vectors), unit_rows(reference)),
        "overlap": [min(overlaps), float(np.median(overlaps)), max(overlaps)],
        "class_by_figures": dict(by_figures),
        "class_with_allowance": dict(settled),
    }


def _plain_overlap(candidate: Any, reference: Any, k: int = 10) -> float:
    """The mean overlap of the two sets of the k nearest, with no credit for ties."""
    shares = []
    for row in range(len(candidate)):
        mine, theirs = candidate @ candidate[row], reference @ reference[row]
        mine[row] = theirs[row] = -np.inf
        shares.append(len(np.intersect1d(np.argpartition(-mine, k)[:k], np.argpartition(-theirs, k)[:k])) / k)
    return float(np.mean(shares))


if __name__ == "__main__":
    main()
