"""What a first verification decides: the class of each variant, and which variants there are."""

from __future__ import annotations

from dataclasses import dataclass, replace

from stonnx.artifact import Manifest, classify
from stonnx.artifact.fidelity_class import CLASSES, class_failures
from stonnx.artifact.manifest import FidelityClass
from stonnx.verify.report import AnyVariantReport, Report

__all__ = ["Settled", "given_class", "settle"]


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A verification and a manifest that agree.

    Attributes:
        report: The report of the variants that stay, with a note for each thing that was decided.
        manifest: The manifest with those variants, and without the files that no other needs.
        unused: The paths of those files.
    """

    report: Report
    manifest: Manifest
    unused: tuple[str, ...]


def settle(report: Report, manifest: Manifest) -> Settled:
    """Give each variant that is not float32 the class that it keeps, and leave out those that keep none.

    A float32 variant that is not the original stays as it is: a failure of the report.

    Args:
        report: Every variant that can run here.
        manifest: The artifact's, as long as nobody has verified it: its classes are promises.
    """
    variants = {variant.name: variant for variant in manifest.variants}
    reports: list[AnyVariantReport] = []
    notes: list[str] = []
    probes = "texts" if manifest.kind == "embedding" else "pairs"
    for found in report.variants:
        promised = found.fidelity_class
        if variants[found.name].precision == "fp32":
            reports.append(found)
        elif (given := given_class(found)) is None:
            variants.pop(found.name)
            why = "; ".join(found.failures or class_failures(found.fidelity, "balanced"))
            notes.append(f"{found.name} was left out: on the probe {probes} it keeps no fidelity class ({why}).")
        else:
            kept = max(promised, given, key=CLASSES.index)
            if kept != promised:
                why = "; ".join(found.failures or _strict_failures(found))
                notes.append(f"{found.name} is written as {kept}, not {promised}: on the probe {probes} {why}.")
            reports.append(replace(found, fidelity_class=kept, measured_class=given, failures=()))
            variants[found.name] = replace(variants[found.name], fidelity_class=kept)
    needed = {name for variant in variants.values() for name in variant.files}
    unused = {name for variant in manifest.variants for name in variant.files} - needed
    files = tuple(entry for entry in manifest.files if entry.path not in unused)
    return Settled(
        report=replace(report, variants=tuple(reports), notes=(*report.notes, *notes)),
        manifest=replace(manifest, variants=tuple(variants.values()), files=files),
        unused=tuple(sorted(unused)),
    )


def given_class(found: AnyVariantReport) -> FidelityClass | None:
    """The class that a variant is written with; None for none.

    Chance is allowed for where a class is to be kept on other texts; a class is given only where the figures reach it
    as they are.
    """
    if found.fidelity_class == "exact" or found.measured_class is None:
        return found.measured_class
    reached = classify(found.fidelity)
    return None if reached is None else max(found.measured_class, reached, key=CLASSES.index)


def _strict_failures(found: AnyVariantReport) -> tuple[str, ...]:
    promised = found.fidelity_class
    return () if promised == "exact" else class_failures(found.fidelity, promised)
