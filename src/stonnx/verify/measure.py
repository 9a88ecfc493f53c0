"""One variant against reference vectors: the figures, the class they keep, and what the variant promised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import Goldens
from stonnx.artifact.manifest import FidelityClass
from stonnx.runtime import Encoder
from stonnx.verify.certainty import broken_bounds, is_sure, settled_class
from stonnx.verify.metrics import Comparison, compare, cosines, spearman, unit_rows
from stonnx.verify.pairs import LabelledPair
from stonnx.verify.report import CLASS_BATCH_DIFF, Tolerance, VariantReport
from stonnx.verify.sample import alone_sample

__all__ = ["measure_variant", "pair_cosines"]

_ALONE_EVERY = 8  # of the texts, this share is also encoded alone; beyond float32 all short ones
_SHOWN_CHARACTERS = 60

_EXACT = Tolerance()


def measure_variant(
    encoder: Encoder,
    goldens: Goldens,
    *,
    pairs: Sequence[LabelledPair] = (),
    reference_cosines: NDArray[np.float64] | None = None,
) -> VariantReport:
    """Compare what an encoder gives with reference vectors, and hold it to the class that its variant promises.

    Args:
        encoder: Runs the variant.
        goldens: Texts and the reference's vectors.
        pairs: Labelled pairs for Spearman's rank correlation.
        reference_cosines: The reference's cosines of the pairs, float64, shape (pairs,); None if it was not run.

    Raises:
        RunError: The engine failed.
    """
    vectors = encoder.encode(goldens.texts)
    comparison = compare(vectors, goldens.vectors)
    batch_diff = _batch_diff(encoder, goldens.texts, vectors)
    mine = pair_cosines(encoder.encode, pairs)
    gold = np.array([pair.score for pair in pairs], dtype=np.float64)
    promised = encoder.variant.fidelity_class
    measured = _measured_class(comparison, batch_diff, promised)
    report = VariantReport(
        name=encoder.variant.name,
        fidelity=comparison.fidelity,
        max_norm_diff=comparison.max_norm_diff,
        max_batch_diff=batch_diff,
        worst_text=goldens.texts[comparison.worst][:_SHOWN_CHARACTERS],
        spearman=None if mine is None else spearman(mine, gold),
        reference_spearman=None if reference_cosines is None else spearman(reference_cosines, gold),
        failures=(),
        fidelity_class=promised,
        measured_class=measured,
        cosine_error=comparison.cosine_error,
        overlap_error=comparison.overlap_error,
        class_is_sure=not batch_diff <= CLASS_BATCH_DIFF or is_sure(comparison, measured),
    )
    return replace(report, failures=_failures(comparison, batch_diff, promised))


def pair_cosines(
    encode: Callable[[list[str]], NDArray[np.float32]], pairs: Sequence[LabelledPair]
) -> NDArray[np.float64] | None:
    """Cosine of the two texts of each pair, float64, shape (pairs,); None without pairs."""
    if not pairs:
        return None
    return cosines(encode([pair.first for pair in pairs]), encode([pair.second for pair in pairs]))


def _batch_diff(encoder: Encoder, texts: Sequence[str], vectors: NDArray[np.float32]) -> float:
    """Largest difference between a text's vector alone and in the batch, on unit-length vectors."""
    some = alone_sample(texts, every=_ALONE_EVERY)
    found = _alone_diff(encoder, texts, vectors, some)
    if encoder.variant.precision == "fp32" or not found <= CLASS_BATCH_DIFF:
        return found
    more = sorted({*alone_sample(texts, every=_ALONE_EVERY, all_short=True)} - {*some})
    return float(np.maximum(found, _alone_diff(encoder, texts, vectors, more))) if more else found  # keeps a NaN


def _alone_diff(encoder: Encoder, texts: Sequence[str], vectors: NDArray[np.float32], chosen: Sequence[int]) -> float:
    """The same of the texts with these numbers, at least one."""
    with ThreadPoolExecutor(encoder.streams, thread_name_prefix="stonnx-alone") as pool:  # each in a run of its own
        alone = np.stack(list(pool.map(encoder.encode, [texts[index] for index in chosen])))
    return float(np.abs(unit_rows(alone) - unit_rows(vectors[chosen])).max())


def _measured_class(comparison: Comparison, batch_diff: float, promised: FidelityClass) -> FidelityClass | None:
    """The closest class that is kept; None for none."""
    if not _failures(comparison, batch_diff, "exact"):
        return "exact"
    return settled_class(comparison, promised=promised) if batch_diff <= CLASS_BATCH_DIFF else None


def _failures(comparison: Comparison, batch_diff: float, promised: FidelityClass) -> tuple[str, ...]:
    fidelity = comparison.fidelity
    failures: list[str] = []
    upper = [("difference between alone and in a batch", batch_diff, CLASS_BATCH_DIFF)]
    if promised == "exact":
        if not fidelity.cosine_min >= _EXACT.cosine_min:
            failures.append(f"lowest cosine {fidelity.cosine_min:.7f} is below {_EXACT.cosine_min}")
        upper = [
            ("largest difference", fidelity.max_abs_diff, _EXACT.max_abs_diff),
            ("difference of vector lengths", comparison.max_norm_diff, _EXACT.max_norm_diff),
            ("difference between alone and in a batch", batch_diff, _EXACT.max_batch_diff),
        ]
    else:
        failures.extend(broken_bounds(comparison, promised, promised=promised))
    # Not ">": a figure that is not a number is a failure.
    failures.extend(f"{label} {value:.1e} is above {bound:.0e}" for label, value, bound in upper if not value <= bound)
    return tuple(failures)
