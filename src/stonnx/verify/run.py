"""Verification: every variant of an artifact against the original model's vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import Artifact, Goldens
from stonnx.artifact.machine import describe_machine
from stonnx.errors import UsageError
from stonnx.reference import ReferenceEncoder
from stonnx.runtime import Encoder, usable_cores
from stonnx.verify.metrics import Comparison, compare, cosines, spearman, unit_rows
from stonnx.verify.probes import probe_texts
from stonnx.verify.report import Report, Tolerance, VariantReport
from stonnx.verify.texts import LabelledPair

__all__ = ["make_goldens", "verify"]

_ALONE_EVERY = 8  # of the texts, this share is also encoded alone
_SHOWN_CHARACTERS = 60

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class _Target:
    """What the variants are compared with."""

    goldens: Goldens
    compared_with: str
    pairs: tuple[LabelledPair, ...]
    pair_cosines: NDArray[np.float64] | None


def make_goldens(reference: ReferenceEncoder, texts: Sequence[str] | None = None) -> Goldens:
    """The original model's vectors of the probe texts.

    Args:
        reference: The original model.
        texts: Other texts than the probe texts; None for those.
    """
    chosen = tuple(probe_texts() if texts is None else texts)
    # Small batches: with 32 rows, more than half of the tokens would be padding beside the long probe texts.
    vectors = reference.encode(chosen, batch_size=4)
    return Goldens(texts=chosen, vectors=vectors, reference=reference.versions)


def verify(
    artifact: Artifact | str | Path,
    *,
    against: str | Path | None = None,
    texts: Sequence[str] | None = None,
    pairs: Sequence[LabelledPair] | None = None,
    on_step: OnStep | None = None,
) -> Report:
    """Measure every variant on this machine.

    Without ``against`` the vectors that the original model gave at convert time (the goldens) are
    the reference, and torch is not needed. With it, sentence-transformers runs now.

    Args:
        artifact: The artifact, or its folder.
        against: Folder of the original model; None for the goldens.
        texts: Further texts to compare on, besides the probe texts; they need ``against``.
        pairs: Labelled pairs for Spearman's rank correlation.
        on_step: Called with a short sentence before each step.

    Raises:
        ArtifactError: The artifact is damaged.
        MissingExtraError: An engine, or the reference for ``against``, is not installed.
        UsageError: There are no goldens and no ``against``, or ``texts`` without ``against``.
        RunError: An engine failed.
    """
    step = on_step or _silent
    opened = artifact if isinstance(artifact, Artifact) else Artifact.open(artifact)
    step("checking the files")
    opened.check_files()
    target = _target(opened, against, tuple(texts or ()), tuple(pairs or ()), step)
    tolerance = Tolerance()
    reports = []
    for variant in opened.manifest.variants:
        step(f"running the variant {variant.name}")
        with Encoder.load(opened, variant=variant.name) as encoder:
            reports.append(_measure(encoder, target, tolerance))
    return Report(
        reference=dict(target.goldens.reference),
        compared_with=target.compared_with,
        machine=describe_machine(usable_cores()),
        tolerance=tolerance,
        variants=tuple(reports),
    )


def _silent(_: str) -> None:
    """Library code says nothing by itself."""


def _target(
    artifact: Artifact,
    against: str | Path | None,
    texts: tuple[str, ...],
    pairs: tuple[LabelledPair, ...],
    step: OnStep,
) -> _Target:
    if against is None:
        return _golden_target(artifact, texts, pairs)
    step("running the original model")
    reference = ReferenceEncoder.load(against)
    goldens = make_goldens(reference, (*probe_texts(), *texts))
    return _Target(goldens, "original", pairs, _pair_cosines(reference.encode, pairs))


def _golden_target(artifact: Artifact, texts: tuple[str, ...], pairs: tuple[LabelledPair, ...]) -> _Target:
    if texts:
        raise UsageError("Texts of your own need the original model to compare with.", hint="Add --against SOURCE.")
    goldens = artifact.goldens()
    if goldens is None:
        raise UsageError(
            f"{artifact.path} is unverified: it was converted without the original model's vectors.",
            hint=f"stonnx verify {artifact.path} --against {artifact.manifest.source.name}, or convert again with "
            '"stonnx[reference]" installed.',
        )
    return _Target(goldens, "goldens", pairs, None)


def _measure(encoder: Encoder, target: _Target, tolerance: Tolerance) -> VariantReport:
    goldens = target.goldens
    vectors = encoder.encode(goldens.texts)
    comparison = compare(vectors, goldens.vectors)
    batch_diff = _batch_diff(encoder, goldens.texts, vectors)
    mine = _pair_cosines(encoder.encode, target.pairs)
    gold = np.array([pair.score for pair in target.pairs], dtype=np.float64)
    report = VariantReport(
        name=encoder.variant.name,
        fidelity=comparison.fidelity,
        max_norm_diff=comparison.max_norm_diff,
        max_batch_diff=batch_diff,
        worst_text=goldens.texts[comparison.worst][:_SHOWN_CHARACTERS],
        spearman=None if mine is None else spearman(mine, gold),
        reference_spearman=None if target.pair_cosines is None else spearman(target.pair_cosines, gold),
        failures=(),
    )
    return replace(report, failures=_failures(comparison, batch_diff, tolerance))


def _batch_diff(encoder: Encoder, texts: Sequence[str], vectors: NDArray[np.float32]) -> float:
    """Largest difference between a text's vector alone and in the batch, on unit-length vectors."""
    chosen = list(range(0, len(texts), _ALONE_EVERY))
    alone = np.stack([encoder.encode(texts[index]) for index in chosen])
    return float(np.abs(unit_rows(alone) - unit_rows(vectors[chosen])).max())


def _pair_cosines(
    encode: Callable[[list[str]], NDArray[np.float32]], pairs: tuple[LabelledPair, ...]
) -> NDArray[np.float64] | None:
    if not pairs:
        return None
    return cosines(encode([pair.first for pair in pairs]), encode([pair.second for pair in pairs]))


def _failures(comparison: Comparison, batch_diff: float, tolerance: Tolerance) -> tuple[str, ...]:
    fidelity = comparison.fidelity
    failures = []
    if not fidelity.cosine_min >= tolerance.cosine_min:
        failures.append(f"lowest cosine {fidelity.cosine_min:.7f} is below {tolerance.cosine_min}")
    for label, value, bound in (
        ("largest difference", fidelity.max_abs_diff, tolerance.max_abs_diff),
        ("difference of vector lengths", comparison.max_norm_diff, tolerance.max_norm_diff),
        ("difference between alone and in a batch", batch_diff, tolerance.max_batch_diff),
    ):
        if not value <= bound:
            failures.append(f"{label} {value:.1e} is above {bound:.0e}")
    return tuple(failures)
