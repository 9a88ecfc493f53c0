"""What verification found, for people (the command line) and machines (JSON)."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from stonnx.artifact import Fidelity

__all__ = ["Report", "Tolerance", "VariantReport"]


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """What an fp32 variant must keep; the bounds of issue and README.

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
class VariantReport:
    """One variant against the reference.

    Attributes:
        name: The variant.
        fidelity: The figures.
        max_norm_diff: Largest relative difference of vector lengths.
        max_batch_diff: Largest difference between a text's vector alone and in a batch.
        worst_text: The text with the lowest cosine, shortened.
        spearman: Rank correlation with gold labels, -1 to 1; None without labelled pairs.
        reference_spearman: The same for the original model; None when it was not run.
        failures: One sentence per bound that was not kept.
    """

    name: str
    fidelity: Fidelity
    max_norm_diff: float
    max_batch_diff: float
    worst_text: str
    spearman: float | None
    reference_spearman: float | None
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every bound was kept."""
        return not self.failures


@dataclass(frozen=True, kw_only=True)
class Report:
    """A verification.

    Attributes:
        reference: Versions of the libraries that made the reference vectors, and the dtype.
        compared_with: ``goldens`` (vectors stored at convert time) or ``original`` (run now).
        machine: Where the variants ran.
        tolerance: The bounds.
        variants: One entry per variant.
    """

    reference: dict[str, str]
    compared_with: str
    machine: dict[str, object]
    tolerance: Tolerance
    variants: tuple[VariantReport, ...]

    @property
    def passed(self) -> bool:
        """Whether every variant kept every bound."""
        return all(variant.passed for variant in self.variants)

    def to_json(self) -> dict[str, object]:
        """The report as JSON values, with ``passed`` spelled out."""
        value = asdict(self)
        value["passed"] = self.passed
        value["variants"] = [{**asdict(variant), "passed": variant.passed} for variant in self.variants]
        return value
