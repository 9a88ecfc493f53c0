"""New int8 variants of an artifact, measured against the goldens that it carries; the others are not changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stonnx._io import read_json, write_json
from stonnx._steps import OnStep
from stonnx.artifact import Artifact, Manifest, file_entry, write_manifest
from stonnx.compile.catalogue import INT8_ROWS
from stonnx.compile.int8 import none_added
from stonnx.compile.verification import Verification
from stonnx.errors import ArtifactError, VerificationError
from stonnx.verify import OnVariant, Report, settle, verify

__all__ = ["prove_int8"]

_REPORT = "report.json"
_OF_THE_SOURCE = ("bare_folder", "position_cut", "remembered_from")
"""What a report says of the original model: a comparison with the goldens cannot say it anew."""


def prove_int8(
    staging: Path,
    manifest: Manifest,
    added: frozenset[str],
    *,
    on_step: OnStep,
    on_variant: OnVariant | None = None,
) -> Verification:
    """Measure every variant, give the added ones the class that they keep, and write what was found.

    One that keeps no class is left out. The others keep what they promise, and where they cannot run here, the figures
    that they had.

    Args:
        staging: The folder that becomes the artifact, its goldens in it.
        manifest: Its manifest, which is written there as well.
        added: Names of the variants that nobody has measured yet.
        on_step: Called with a short sentence before each step.
        on_variant: Called with the report of each variant as soon as it is there.

    Raises:
        VerificationError: A variant that was there before does not keep its class here, or none of the added does.
    """
    report = verify(Artifact.open(staging), on_step=on_step, on_variant=on_variant)
    before = [found for found in report.variants if found.name not in added]
    failures = "; ".join(f"{found.name}: {', '.join(found.failures)}" for found in before if not found.passed)
    if failures:
        raise VerificationError(
            f"A variant of the artifact does not keep its class on this machine ({failures}). Nothing was changed.",
            hint="'stonnx verify' says more.",
        )
    new = tuple(found for found in report.variants if found.name in added)
    settled = settle(replace(report, variants=new), manifest)
    if not {variant.name for variant in settled.manifest.variants} & added:
        raise none_added(settled.report.notes)
    report = replace(settled.report, variants=(*before, *settled.report.variants), recorded=True)
    for name in settled.unused:
        (staging / name).unlink()
    write_json(staging / _REPORT, _with_the_source(report, staging))
    figures = {found.name: found.fidelity for found in report.variants}
    proven = replace(
        settled.manifest,
        variants=tuple(replace(v, fidelity=figures.get(v.name, v.fidelity)) for v in settled.manifest.variants),
        files=tuple(file_entry(staging, _REPORT) if e.path == _REPORT else e for e in settled.manifest.files),
    )
    write_manifest(staging, proven)
    return Verification(manifest=proven, report=report)


def _with_the_source(report: Report, staging: Path) -> dict[str, Any]:
    """The report to write: what the older one says of the original, and of variants that stay, goes on to hold."""
    value = report.to_json()
    old: Mapping[str, Any] = read_json(staging / _REPORT, error=ArtifactError)
    notes = old.get("notes")
    int8 = {row.name for row in INT8_ROWS}  # also those that are no more: a note begins with the variant's name
    kept = [note for note in notes if str(note).split(" ")[0] not in int8] if isinstance(notes, list) else []
    return {**value, **{key: old[key] for key in _OF_THE_SOURCE if key in old}, "notes": [*kept, *report.notes]}
