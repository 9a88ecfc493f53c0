"""Verification as a step of ``convert``: measure, hold every variant to its class, write what was found."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from stonnx._extras import available
from stonnx._steps import OnStep
from stonnx.artifact import Artifact, Manifest, file_entries, write_goldens, write_manifest
from stonnx.artifact.seen_files import SeenFiles
from stonnx.errors import VerificationError
from stonnx.reference import reference_available
from stonnx.verify import OnVariant, Report, record_verification, run_original, settle
from stonnx.verify import verify as run_verification

__all__ = ["Unverified", "Verification", "verify_staging", "why_not"]


@dataclass(frozen=True, kw_only=True)
class Unverified:
    """Why nobody compared the artifact with the original model.

    Attributes:
        reason: A sentence.
        extra: The extra of stonnx to install, such as ``reference``, so that it can be compared; None where nothing
            is missing.
    """

    reason: str
    extra: str | None = None


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What verifying gave: the manifest as it was written, and the report."""

    manifest: Manifest
    report: Report


def why_not(*, verify: bool) -> Unverified | None:
    """Why there is no verification; None when there is one."""
    if not verify:
        return Unverified(reason="Verification was left out.")
    if not reference_available():
        return Unverified(reason="The original model cannot be run here.", extra="reference")
    if not available("onnxruntime"):
        return Unverified(reason="ONNX Runtime is not installed.", extra="cpu")
    return None


def verify_staging(
    source: Path, staging: Path, manifest: Manifest, *, on_step: OnStep, on_variant: OnVariant | None = None
) -> Verification:
    """Store the goldens, measure the variants, and write what was found.

    A float32 variant that is not the original ends the conversion. One in another arithmetic (int8, bfloat16) gets
    the class that it keeps on texts that its calibration never saw; one that keeps none is left out.

    Args:
        source: Folder of the original model.
        staging: The folder that becomes the artifact.
        manifest: Its manifest so far.
        on_step: Called with a short sentence before each step.
        on_variant: Called with the report of each variant as soon as it is there.

    Raises:
        VerificationError: A bound was not kept.
    """
    seen = SeenFiles()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="stonnx-hash") as pool:
        hashed = pool.submit(file_entries, staging, seen=seen)  # beside the imports of torch, which need one core
        original = run_original(source, kind=manifest.kind, on_step=on_step)
        hashed.result()
    write_goldens(staging, original.goldens)
    manifest = replace(manifest, files=file_entries(staging, seen=seen))
    write_manifest(staging, manifest)
    report = run_verification(Artifact.open(staging).remembering(seen), on_step=on_step, on_variant=on_variant)
    told = replace(
        report,
        bare_folder=original.bare_folder,
        position_cut=original.position_cut,
        remembered_from=original.remembered_from,
        recorded=True,
    )
    settled = settle(told, manifest)
    report = settled.report
    if not report.passed:
        failures = "; ".join(f"{v.name}: {', '.join(v.failures)}" for v in report.variants if not v.passed)
        raise VerificationError(
            f"The converted model is not the original within the tolerance ({failures}). Nothing was written.",
            hint="Please report it with the model's name; verify=False keeps the artifact, marked unverified.",
            cli_hint="Please report it with the model's name; --no-verify keeps the artifact, marked unverified.",
        )
    for name in settled.unused:
        (staging / name).unlink()
    return Verification(
        manifest=record_verification(staging, settled.manifest, original.goldens, report), report=report
    )
