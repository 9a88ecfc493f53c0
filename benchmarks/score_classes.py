"""What the classes of scores say of a reranker's variants, as they are and as if its scores were steeper.

    python benchmarks/make_reranker.py reranker ../shared/data/sts/stsb-en.train.jsonl
    stonnx convert reranker reranker-onnx
    python benchmarks/score_classes.py reranker-onnx

A model that tells documents apart by hundreds of examples a query has logits of -10 to 10, where one that was trained
on graded similarity has -2 to 2. A classifier whose weights are four times as large is such a model in every other
respect, and so are logits that are multiplied by four: nothing has to be trained or converted again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _common import parser, write_result

from stonnx import Artifact, Reranker
from stonnx.artifact import PairGoldens, classify
from stonnx.verify.score_metrics import compare_scores

FORMS = {"as it is": (1, 0), "2 x": (2, 0), "4 x": (4, 0), "4 x + 4": (4, 4), "4 x - 4": (4, -4)}
"""By name, what logits are multiplied by, and what is added: a bias moves where the model is undecided."""


def main() -> None:
    """Parse, measure, write."""
    options = parser(__doc__)
    options.add_argument("artifact", help="a reranker that carries goldens")
    args = options.parse_args()
    artifact = Artifact.open(args.artifact)
    goldens = artifact.goldens()
    if not isinstance(goldens, PairGoldens):
        raise SystemExit(f"{args.artifact} carries no goldens of pairs.")
    rows: list[dict[str, Any]] = []
    for variant in artifact.manifest.variants:
        if variant.fidelity_class == "exact":
            continue
        with Reranker.load(artifact, variant=variant.name) as reranker:
            logits = np.asarray(reranker.predict(goldens.pairs, activation_fn="Identity"))
            rows += _rows(variant.name, logits.reshape(goldens.logits.shape), goldens, reranker.activation)
    write_result("score_classes", rows, args)


def _rows(name: str, logits: Any, goldens: PairGoldens, activation: str) -> list[dict[str, Any]]:
    queries = [query for query, _ in goldens.pairs]
    rows = []
    for form, (times, plus) in FORMS.items():
        compared = compare_scores(logits * times + plus, goldens.logits * times + plus, queries, activation=activation)
        found = compared.fidelity
        rows.append(
            {
                "variant": name,
                "form": form,
                "mean_abs_diff": round(found.mean_abs_diff, 5),
                "mean_error": round(compared.mean_error, 5),
                "max_abs_diff": round(found.max_abs_diff, 4),
                "top10_overlap": round(found.top10_overlap, 4),
                "overlap_error": round(compared.overlap_error, 4),
                "class": classify(found),
            }
        )
        print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
