"""Verification: every variant of an artifact against the original model's vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import Artifact, Goldens, Variant
from stonnx.artifact.machine import describe_machine
from stonnx.errors import UsageError
from stonnx.reference import ReferenceEncoder
from stonnx.runtime import Encoder, usable_cores
from stonnx.runtime.loading import why_not_here
from stonnx.verify.measure import measure_variant, pair_cosines
from stonnx.verify.pairs import LabelledPair
from stonnx.verify.probes import probe_texts
from stonnx.verify.report import Report, SkippedVariant, Tolerance, VariantReport

__all__ = ["make_goldens", "verify"]

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
    """Measure every variant that this machine can run, and hold it to the fidelity class that it promises.

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
        MissingExtraError: No engine, or not the reference for ``against``, is installed.
        UnsupportedModelError: No variant can run on this CPU.
        UsageError: There are no goldens and no ``against``, or ``texts`` without ``against``.
        RunError: An engine failed.
    """
    step = on_step or _silent
    opened = artifact if isinstance(artifact, Artifact) else Artifact.open(artifact)
    step("checking the files")
    opened.check_files()
    target = _target(opened, against, tuple(texts or ()), tuple(pairs or ()), step)
    runnable, skipped = _sorted_out(opened.manifest.variants)
    reports = []
    for variant in runnable:
        step(f"running the variant {variant.name}")
        reports.append(_measured(opened, variant, target))
    return Report(
        reference=dict(target.goldens.reference),
        compared_with=target.compared_with,
        machine=describe_machine(usable_cores()),
        tolerance=Tolerance(),
        variants=tuple(reports),
        skipped=skipped,
    )


def _sorted_out(variants: tuple[Variant, ...]) -> tuple[tuple[Variant, ...], tuple[SkippedVariant, ...]]:
    """The variants that can run here, and why the others cannot.

    Where none can, the reference variant is among the first: opening it raises the error that says what to install.
    """
    reasons = [(variant, why_not_here(variant)) for variant in variants]
    runnable = tuple(variant for variant, reason in reasons if reason is None)
    if not runnable:
        return variants[:1], ()
    skipped = (SkippedVariant(name=variant.name, reason=reason) for variant, reason in reasons if reason is not None)
    return runnable, tuple(skipped)


def _measured(artifact: Artifact, variant: Variant, target: _Target) -> VariantReport:
    with Encoder.load(artifact, variant=variant.name) as encoder:
        return measure_variant(encoder, target.goldens, pairs=target.pairs, reference_cosines=target.pair_cosines)


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
    return _Target(goldens, "original", pairs, pair_cosines(reference.encode, pairs))


def _golden_target(artifact: Artifact, texts: tuple[str, ...], pairs: tuple[LabelledPair, ...]) -> _Target:
    if texts:
        raise UsageError(
            "Texts of your own need the original model to compare with.",
            hint="Name it as against='...'.",
            cli_hint="Add --against SOURCE.",
        )
    goldens = artifact.goldens()
    if goldens is None:
        raise UsageError(
            f"{artifact.path} is unverified: it was converted without the original model's vectors.",
            hint=f"stonnx verify {artifact.path} --against {artifact.manifest.source.name}, or convert again with "
            '"stonnx[reference]" installed.',
        )
    return _Target(goldens, "goldens", pairs, None)
