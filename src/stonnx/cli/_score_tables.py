"""What the tables of rerankers show where those of embeddings show cosines: differences on the probability scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stonnx.cli._text import plural

if TYPE_CHECKING:
    from stonnx.artifact import ScoreFidelity
    from stonnx.artifact.manifest import Scoring

__all__ = ["SCORE_COLUMNS", "labels_text", "pairs_text", "score_cells"]

SCORE_COLUMNS = ("variant", "pairs", "mean |Δ|", "max |Δ|", "rankings", "top-10")
_MOST_LABELS = 6  # of the names that are shown


def score_cells(fidelity: ScoreFidelity) -> list[str]:
    """The five numbers of a reranker's variant, as text: pairs, mean and largest difference, rankings, overlap."""
    return [
        f"{fidelity.pairs:,}",
        f"{fidelity.mean_abs_diff:.1e}",
        f"{fidelity.max_abs_diff:.1e}",
        f"{fidelity.queries:,}",
        f"{fidelity.top10_overlap:.2%}",
    ]


def labels_text(scoring: Scoring) -> str:
    """How many labels there are, and their names: ``3: contradiction, entailment, neutral``."""
    names = ", ".join(scoring.labels[:_MOST_LABELS])
    more = len(scoring.labels) - _MOST_LABELS
    return f"{len(scoring.labels)}: {names}" + (f" and {more} more" if more > 0 else "")


def pairs_text(fidelity: ScoreFidelity) -> str:
    """What was compared: ``450 pairs, 20 rankings``."""
    return f"{plural(fidelity.pairs, 'pair')}, {plural(fidelity.queries, 'ranking')}"
