"""Verification as a step of ``convert``: measure, hold every variant to its class, write what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from stonnx._extras import available, pip_line
from stonnx.artifact import Artifact, Manifest, Variant, file_entries, write_goldens, write_manifest
from stonnx.artifact.fidelity_class import CLASSES, class_failures
from stonnx.errors import VerificationError
from stonnx.reference import reference_available
from stonnx.verify import Report, VariantReport, given_class, record_verification, run_original
from stonnx.verify import verify as run_verification

__all__ = ["Verification", "verify_staging", "why_not"]

OnStep = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What the step left behind: the manifest as written, the report, and a sentence for each thing decided."""

    manifest: Manifest
    report: Report
    notes: tuple[str, ...]


def why_not(*, verify: bool) -> str | None:
    """Why there is no verification; None when there is one."""
    if not verify:
        return "Unverified: verification was left out."
    if not reference_available():
        return f"Unverified: the original model cannot be run here. Install it with: {pip_line('reference')}"
    if not available("onnxruntime"):
        return f"Unverified: ONNX Runtime is not installed. Install it with: {pip_line('cpu')}"
    return None


def verify_staging(source: Path, staging: Path, manifest: Manifest, *, on_step: OnStep) -> Verification:
    """Store the goldens, measure the variants, and write what was found.

    A float32 variant that is not the original ends the conversion. One in another arithmetic (int8, bfloat16) gets
    the class that it keeps on texts that its calibration never saw; one that keeps none is left out.

    Args:
        source: Folder of the original model.
        staging: The artifact in the making.
        manifest: Its manifest so far.
        on_step: Called with a short sentence before each step.

    Raises:
        VerificationError: A bound was not kept.
    """
    original = run_original(source)
    write_goldens(staging, original.goldens)
    manifest = replace(manifest, files=file_entries(staging))
    write_manifest(staging, manifest)
    report = run_verification(Artifact.open(staging), on_step=on_step)
    report, manifest, notes = _settle(replace(report, bare_folder=original.bare_folder), manifest, staging)
    if not report.passed:
        failures = "; ".join(f"{v.name}: {', '.join(v.failures)}" for v in report.variants if not v.passed)
        raise VerificationError(
            f"The converted model is not the original within the tolerance ({failures}). Nothing was written.",
            hint="Please report it with the model's name; verify=False keeps the artifact, marked unverified.",
            cli_hint="Please report it with the model's name; --no-verify keeps the artifact, marked unverified.",
        )
    report = replace(report, recorded=True)
    return Verification(
        manifest=record_verification(staging, manifest, original.goldens, report), report=report, notes=notes
    )


def _settle(report: Report, manifest: Manifest, staging: Path) -> tuple[Report, Manifest, tuple[str, ...]]:
    """Give each variant that is not float32 the class that it keeps, and leave out those that keep none."""
    reports: list[VariantReport] = []
    variants = {variant.name: variant for variant in manifest.variants}
    dropped: list[Variant] = []
    notes: list[str] = []
    for found in report.variants:
        if variants[found.name].precision == "fp32":
            reports.append(found)
        elif (given := given_class(found)) is None:
            dropped.append(variants.pop(found.name))
            why = "; ".join(found.failures or class_failures(found.fidelity, "balanced"))
            notes.append(f"{found.name} was left out: on the probe texts it keeps no fidelity class ({why}).")
        else:
            promised = found.fidelity_class
            kept = max(promised, given, key=CLASSES.index)
            if kept != promised:
                why = "; ".join(found.failures or _strict_failures(found))
                notes.append(f"{found.name} is written as {kept}, not {promised}: on the probe texts {why}.")
            reports.append(replace(found, fidelity_class=kept, measured_class=given, failures=()))
            variants[found.name] = replace(variants[found.name], fidelity_class=kept)
    _remove(staging, dropped, variants.values())
    settled = replace(
        manifest,
        variants=tuple(variants.values()),
        files=tuple(entry for entry in manifest.files if (staging / entry.path).exists()),
    )
    return replace(report, variants=tuple(reports)), settled, tuple(notes)


def _strict_failures(found: VariantReport) -> tuple[str, ...]:
    promised = found.fidelity_class
    return () if promised == "exact" else class_failures(found.fidelity, promised)


def _remove(staging: Path, variants: Iterable[Variant], others: Iterable[Variant]) -> None:
    """Remove the files of variants, but for those that others read as well."""
    needed = {name for variant in others for name in variant.files}
    for name in {name for variant in variants for name in variant.files} - needed:
        (staging / name).unlink()
