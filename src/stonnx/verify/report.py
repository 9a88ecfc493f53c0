"""What verification found, for people (the command line) and machines (JSON)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from stonnx.artifact import Fidelity, ScoreFidelity
from stonnx.artifact.fidelity_class import BOUNDS, SCORE_BOUNDS
from stonnx.artifact.manifest import FidelityClass, Kind
from stonnx.reference import PositionCut
from stonnx.verify.bare_folder import BareFolder

__all__ = [
    "CLASS_BATCH_DIFF",
    "SCORE_BATCH_DIFF",
    "AnyVariantReport",
    "Report",
    "ScoreTolerance",
    "ScoreVariantReport",
    "SkippedVariant",
    "Tolerance",
    "VariantReport",
]

CLASS_BATCH_DIFF = 1e-4
"""Of variants that are not ``exact``: largest difference between a text's vector alone and in a batch, unit length."""

SCORE_BATCH_DIFF = 1e-3
"""Of a reranker's variants that are not ``exact``: largest difference between a pair's logits alone and in a batch."""


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """What a variant of the class ``exact`` must keep; the bounds of issue and README.

    Attributes:
        cosine_min: Lowest cosine of any text.
        max_abs_diff: Largest difference between components of unit-length vectors.
        max_norm_diff: Largest relative difference of vector lengths.
        max_batch_diff: Largest difference between a text's vector alone and in a batch, unit length.
    """

    cosine_min: float = 0.999999
    max_abs_diff: float = 2e-6
    max_norm_diff: float = 1e-5
    max_batch_diff: float = 1e-6


@dataclass(frozen=True, kw_only=True)
class ScoreTolerance:
    """What a reranker's variant of the class ``exact`` must keep.

    Attributes:
        max_abs_diff: Largest difference of a probability.
        max_logit_diff: Largest difference of a logit, relative to logits larger than 1.
        max_score_diff: The same of a score as the model gives it, its activation applied.
        max_batch_diff: The same between a pair's logits alone and in a batch.
    """

    max_abs_diff: float = 1e-5
    max_logit_diff: float = 5e-5
    max_score_diff: float = 5e-5
    max_batch_diff: float = 2e-5


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What the report of a variant says of every kind of model.

    Attributes:
        name: The variant.
        max_batch_diff: Largest difference between a result alone and in a batch: of a vector's components at unit
            length, of a logit (relative to logits larger than 1).
        spearman: Rank correlation with gold labels, -1 to 1; None without labelled pairs, NaN where all similarities
            or scores are equal, which have no order.
        reference_spearman: The same for the original model; None when it was not run.
        failures: One sentence per bound of the promised class that was not kept.
        fidelity_class: The class that the variant promises.
        measured_class: The closest class that it kept here; None for none.
        overlap_error: Standard error of the overlap of neighbours, or of rankings.
        class_is_sure: False where other texts might well give another class: a mean is within two standard errors of a
            bound.
    """

    name: str
    max_batch_diff: float
    spearman: float | None
    reference_spearman: float | None
    failures: tuple[str, ...]
    fidelity_class: FidelityClass = "exact"
    measured_class: FidelityClass | None = "exact"
    overlap_error: float = 0.0
    class_is_sure: bool = True

    @property
    def passed(self) -> bool:
        """Whether every bound was kept."""
        return not self.failures


@dataclass(frozen=True, kw_only=True)
class VariantReport(_Measured):
    """One variant of an embedding model against the reference.

    Attributes:
        fidelity: The figures.
        max_norm_diff: Largest relative difference of vector lengths.
        worst_text: The text with the lowest cosine, shortened.
        cosine_error: Standard error of the mean cosine.
    """

    fidelity: Fidelity
    max_norm_diff: float
    worst_text: str
    cosine_error: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ScoreVariantReport(_Measured):
    """One variant of a reranker against the reference.

    Attributes:
        fidelity: The figures.
        max_logit_diff: Largest difference of a logit, relative to logits larger than 1.
        max_score_diff: The same of a score as the model gives it, over the pairs that were also scored alone.
        worst_pair: Query and document of the pair with the largest difference, shortened.
        mean_error: Standard error of the mean difference.
    """

    fidelity: ScoreFidelity
    max_logit_diff: float
    max_score_diff: float
    worst_pair: tuple[str, str]
    mean_error: float = 0.0


AnyVariantReport = VariantReport | ScoreVariantReport


@dataclass(frozen=True, kw_only=True)
class SkippedVariant:
    """A variant that this machine cannot run, and why, as a clause such as ``"openvino is not installed"``."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """A verification.

    Attributes:
        reference: Versions of the libraries that made the reference vectors, and the dtype.
        compared_with: ``goldens`` (vectors stored at convert time) or ``original`` (run now).
        machine: Where the variants ran.
        tolerance: The bounds of the class ``exact``; those of the others are ``BOUNDS``, or of a reranker
            ``SCORE_BOUNDS``, of ``stonnx.artifact.fidelity_class``.
        variants: One entry per variant that ran.
        skipped: The variants that cannot run here.
        bare_folder: What sentence-transformers makes of the source without stonnx's help, where that is something else.
        position_cut: Where the original's texts were cut so that it runs at all: its files allow more tokens than it
            has positions for. None where they do not, and of goldens.
        notes: What was decided about variants while they were recorded, one sentence each.
        recorded: Whether the artifact was marked as verified because of this report.
        kind: What the model makes.
        remembered_from: When the original ran, UTC, ISO 8601, where its results were remembered from then; None where
            it ran for this report, and of goldens.
    """

    reference: dict[str, str]
    compared_with: str
    machine: dict[str, object]
    tolerance: Tolerance | ScoreTolerance
    variants: tuple[AnyVariantReport, ...]
    skipped: tuple[SkippedVariant, ...] = ()
    bare_folder: BareFolder | None = None
    position_cut: PositionCut | None = None
    notes: tuple[str, ...] = ()
    recorded: bool = False
    kind: Kind = "embedding"
    remembered_from: str | None = None

    @property
    def passed(self) -> bool:
        """Whether every variant that ran kept every bound."""
        return all(variant.passed for variant in self.variants)

    def to_json(self) -> dict[str, object]:
        """The report as JSON values, with ``passed`` spelled out, and the bounds of the classes; NaN is null."""
        value = asdict(self)
        value["class_bounds"] = _class_bounds(self.tolerance)
        value["passed"] = self.passed
        value["variants"] = [_variant_json(variant) for variant in self.variants]
        return value


def _class_bounds(tolerance: Tolerance | ScoreTolerance) -> dict[str, dict[str, float]]:
    """The bounds of the classes that belong to that tolerance, and how much a batch may matter in them."""
    if isinstance(tolerance, ScoreTolerance):
        return {name: {**of._asdict(), "max_batch_diff": SCORE_BATCH_DIFF} for name, of in SCORE_BOUNDS.items()}
    return {name: {**of._asdict(), "max_batch_diff": CLASS_BATCH_DIFF} for name, of in BOUNDS.items()}


def _variant_json(variant: AnyVariantReport) -> dict[str, object]:
    value: dict[str, object] = {**asdict(variant), "passed": variant.passed}
    for name in ("spearman", "reference_spearman"):  # JSON has no NaN
        found = getattr(variant, name)
        value[name] = None if found is None or math.isnan(found) else found
    return value
