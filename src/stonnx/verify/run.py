"""``verify``: every variant of an artifact against the original model's vectors or scores."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from stonnx._steps import OnStep, silent
from stonnx.artifact import AnyGoldens, Artifact, Variant
from stonnx.errors import StonnxError, UsageError
from stonnx.machine import describe_machine
from stonnx.runtime import usable_cores
from stonnx.runtime.loading import why_not_here
from stonnx.verify.pairs import LabelledPair
from stonnx.verify.record import record_verification
from stonnx.verify.report import AnyVariantReport, Report, SkippedVariant
from stonnx.verify.settle import settle
from stonnx.verify.targets import Target, golden_target, original_target

__all__ = ["OnVariant", "verify"]

OnVariant = Callable[[AnyVariantReport], None]
"""Called with what was measured of a variant, while others are still to come."""

_LOG = logging.getLogger("stonnx")


def verify(  # noqa: PLR0913 - each answers a question of its own, and may be left out
    artifact: Artifact | str | Path,
    *,
    against: str | Path | None = None,
    texts: Sequence[str] | None = None,
    pairs: Sequence[LabelledPair] | None = None,
    keep: bool = False,
    fresh: bool = False,
    on_step: OnStep | None = None,
    on_variant: OnVariant | None = None,
) -> Report:
    """Measure every variant that this machine can run, and hold it to the fidelity class that it promises.

    Without ``against`` what the original model gave at convert time (the goldens: vectors of texts, or scores of
    pairs) is the reference, and torch is not needed. With it, sentence-transformers runs, once for a model and a
    machine: what it gave for the probes is remembered (``stonnx.verify.remembered``).

    Args:
        artifact: The artifact, or its folder.
        against: Folder of the original model; None for the goldens.
        texts: Further texts to compare on, besides the probe texts; they need ``against``. Not for rerankers.
        pairs: Labelled pairs for Spearman's rank correlation.
        keep: Record a verification against the original in an artifact that is unverified, if it passes: the goldens,
            the figures, and that it is verified. As while converting, variants that are not float32 get the class that
            they keep, and those that keep none are taken out. Not with ``texts``, which belong to the user.
        fresh: Run the original even if its results are remembered.
        on_step: Called with a short sentence before each step.
        on_variant: Called with the report of each variant as soon as it is there.

    Raises:
        ArtifactError: The artifact is damaged.
        MissingExtraError: No engine, or not the reference for ``against``, is installed.
        UnsupportedModelError: No variant can run on this CPU.
        UsageError: There are no goldens and no ``against``, or ``texts`` without ``against`` or for a reranker.
        RunError: An engine failed.
    """
    step = on_step or silent
    opened = artifact if isinstance(artifact, Artifact) else Artifact.open(artifact)
    opened = opened if opened.seen else opened.remembering()
    step("checking the files")
    opened.check_files()
    target = _target(opened, against, tuple(texts or ()), tuple(pairs or ()), fresh=fresh, step=step)
    runnable, skipped = _sorted_out(opened.manifest.variants)
    reports = []
    for variant in runnable:
        step(f"running the variant {variant.name}")
        reports.append(target.measure(opened, variant))
        if on_variant is not None:
            on_variant(reports[-1])
    report = Report(
        reference=dict(target.goldens.reference),
        compared_with="goldens" if against is None else "original",
        machine=describe_machine(usable_cores()),
        tolerance=target.tolerance,
        variants=tuple(reports),
        skipped=skipped,
        bare_folder=target.bare_folder,
        position_cut=target.position_cut,
        kind=opened.manifest.kind,
        remembered_from=target.remembered_from,
    )
    if keep and against is not None and not texts and _is_open(opened, report):
        return _recorded(opened, target.goldens, report)
    return report


def _is_open(artifact: Artifact, report: Report) -> bool:
    """Whether an artifact is unverified, and the report has what it takes to change that."""
    manifest = artifact.manifest
    # Goldens in an unverified artifact: whoever made it knows why.
    return not manifest.verified and report.variants[0].name == manifest.variants[0].name and not artifact.goldens()


def _recorded(artifact: Artifact, goldens: AnyGoldens, report: Report) -> Report:
    """Settle the variants of an unverified artifact and record that; the report of what is there afterwards."""
    settled = settle(report, artifact.manifest)
    if not settled.report.passed:
        return report
    proven = replace(settled.report, recorded=True)
    try:
        record_verification(artifact.path, settled.manifest, goldens, proven)
        for name in settled.unused:
            artifact.file(name).unlink()
    except (OSError, StonnxError) as exc:
        _LOG.warning("The verification cannot be recorded in %s: %s", artifact.path, exc)
        return report
    return proven


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


def _target(
    artifact: Artifact,
    against: str | Path | None,
    texts: tuple[str, ...],
    pairs: tuple[LabelledPair, ...],
    *,
    fresh: bool,
    step: OnStep,
) -> Target:
    if against is not None:
        return original_target(artifact, against, texts=texts, pairs=pairs, fresh=fresh, on_step=step)
    if texts:
        raise UsageError(
            "Texts of your own need the original model to compare with.",
            hint="Name it as against='...'.",
            cli_hint="Add --against SOURCE.",
        )
    return golden_target(artifact, pairs=pairs)
