"""What a verification found, written into the artifact: the proof travels with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stonnx._io import write_json
from stonnx.artifact import AnyGoldens, Manifest, Variant, file_entry, write_goldens, write_manifest
from stonnx.artifact.goldens import GOLDEN_TEXTS_NAME, GOLDEN_VECTORS_NAME
from stonnx.artifact.manifest import MANIFEST_NAME
from stonnx.errors import ArtifactError
from stonnx.verify.report import AnyVariantReport, Report

__all__ = ["record_verification"]

_REPORT = "report.json"


def record_verification(folder: Path, manifest: Manifest, goldens: AnyGoldens, report: Report) -> Manifest:
    """Write goldens, report and figures into an artifact and mark it as verified.

    The manifest comes last: until it is there, the artifact is what it was.

    Args:
        folder: The artifact; its manifest lists no goldens yet, or these.
        manifest: Its manifest.
        goldens: The original's vectors or scores.
        report: What came of comparing every variant that can run here with them; all passed.

    Returns:
        The manifest as it was written.

    Raises:
        ArtifactError: Figures do not keep the class of their variant, or what is to be written is a link.
        OSError: The folder cannot be written.
    """
    for name in (GOLDEN_TEXTS_NAME, GOLDEN_VECTORS_NAME, _REPORT, MANIFEST_NAME):
        if (folder / name).is_symlink():  # into a cache that others share, or anywhere
            raise ArtifactError(f"{folder / name} is a symbolic link, which is not written through.")
    write_goldens(folder, goldens)
    write_json(folder / _REPORT, report.to_json())
    names = (GOLDEN_TEXTS_NAME, GOLDEN_VECTORS_NAME, _REPORT)
    files = [entry for entry in manifest.files if entry.path not in names]
    files += [file_entry(folder, name) for name in names]
    found = {variant.name: variant for variant in report.variants}
    proven = replace(
        manifest,
        variants=tuple(_with_figures(variant, found.get(variant.name)) for variant in manifest.variants),
        verified=True,
        files=tuple(sorted(files, key=lambda entry: entry.path)),
    )
    write_manifest(folder, proven)
    return proven


def _with_figures(variant: Variant, found: AnyVariantReport | None) -> Variant:
    if found is None:
        return replace(variant, fidelity=None)
    return replace(variant, fidelity=found.fidelity, fidelity_class=found.fidelity_class)
