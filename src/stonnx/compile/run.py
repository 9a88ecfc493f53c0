"""``convert``: the steps from a source to an artifact, in order."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from stonnx._steps import OnPart, OnStep, Telling, nobody, silent
from stonnx.artifact import Manifest, file_entries, write_manifest
from stonnx.checkpoint import Weights, read_model, resolve_source
from stonnx.compile.clock import Clock
from stonnx.compile.folder import write_model_folder
from stonnx.compile.int8 import want_int8
from stonnx.compile.manifest import make_manifest
from stonnx.compile.sources import AuthoredFloat, AuthoredInt8, GraphSource
from stonnx.compile.target import artifact_staging, check_target
from stonnx.compile.verification import Unverified, verify_staging, why_not
from stonnx.compile.workspace import open_workspace
from stonnx.graph import make_blueprint
from stonnx.verify import OnVariant, Report

__all__ = ["Conversion", "convert"]


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What ``convert`` did.

    Attributes:
        path: The artifact.
        manifest: Its manifest.
        report: The verification; None when there was none.
        unverified: Why there was none; None when there was one.
        notes: What was assumed or left out, one sentence each.
        unused_tensors: Tensors of the checkpoint that the model does not use, sorted.
        seconds: Wall time by step: ``read``, ``author``, ``quantize``, ``verify``.
    """

    path: Path
    manifest: Manifest
    report: Report | None
    unverified: Unverified | None
    notes: tuple[str, ...]
    unused_tensors: tuple[str, ...]
    seconds: dict[str, float]


def convert(  # noqa: PLR0913 - each answers a question of its own, and may be left out
    source: str | Path,
    out: str | Path,
    *,
    force: bool = False,
    verify: bool = True,
    int8: bool | None = None,
    calibration_texts: Sequence[str] | None = None,
    on_step: OnStep | None = None,
    on_part: OnPart | None = None,
    on_variant: OnVariant | None = None,
) -> Conversion:
    """Convert a Sentence Transformers model, or a cross-encoder, to an artifact.

    No torch is needed to convert. Where the original can be run (extra ``reference``, and an
    engine), every variant is verified against it before ``out`` appears; else the artifact says
    that it is unverified, and ``unverified`` says why and what to install.

    Args:
        source: A model folder, or a hub id ``org/name[@revision]``.
        out: The folder to create, whole or not at all.
        force: Replace an older artifact, or an empty folder, atomically. A folder that holds anything else is
            never replaced.
        verify: False leaves the verification out.
        int8: Add int8 variants, as close to the original as they get. None: where ONNX Runtime is installed, which is
            needed for it; else a note says what to install. False leaves them out.
        calibration_texts: For int8, texts like those to be encoded or scored; None for shipped ones.
        on_step: Called with a short sentence before each step.
        on_part: Called with how many parts of such a step are done and how many there are, where it has parts.
        on_variant: Called with the report of each variant as soon as it has been verified.

    Raises:
        UsageError: ``out`` exists and ``force`` is False; it holds what stonnx did not write; it is the source,
            contains it or lies in it; or ``calibration_texts`` is empty, or given where int8 is left out.
        MissingExtraError: ``int8`` is True, and onnxruntime is not installed.
        CheckpointError: The source is not a model folder, or is damaged.
        UnsupportedModelError: The architecture, a module or an option is not authored.
        VerificationError: A variant is not the original within the tolerance; nothing was written.
        RunError: The disk is full, ``out`` cannot be written, or the hub cannot be reached.
    """
    quantised = want_int8(int8=int8, calibration_texts=calibration_texts)
    clock = Clock(Telling(step=on_step or silent, part=on_part or nobody))
    out = Path(out)
    check_target(out, source=source, force=force)  # at once, not after a download
    with ExitStack() as stack:
        with clock.step("read", f"reading {source}"):
            folder = resolve_source(source)
            staging = stack.enter_context(artifact_staging(out, source=folder.path, force=force))
            spec = read_model(folder)
            weights = stack.enter_context(Weights.open(folder, spec.transformer_path))
            blueprint = make_blueprint(folder, spec, weights)
        with ExitStack() as files:
            workspace = open_workspace(blueprint, folder, staging, weights, files)
            sources: list[tuple[str, str, GraphSource]] = [
                ("author", "authoring the graphs", AuthoredFloat(workspace=workspace))
            ]
            if quantised.wanted:
                integers = AuthoredInt8(workspace=workspace, texts=calibration_texts)
                sources.append(("quantize", "quantising to int8", integers))
            write_model_folder(folder, blueprint, staging)
            written = []
            for name, sentence, graphs in sources:
                with clock.step(name, sentence):
                    written.append(graphs.write(staging, tell=clock.tell))
        manifest = make_manifest(blueprint, [variant for part in written for variant in part.variants], staging)
        report, unverified = None, why_not(verify=verify)
        more: tuple[str, ...] = ()
        if unverified is None:
            with clock.step("verify", "verifying against sentence-transformers"):
                found = verify_staging(folder.path, staging, manifest, on_step=clock.tell.step, on_variant=on_variant)
            manifest, report, more = found.manifest, found.report, found.report.notes
        else:
            manifest = replace(manifest, files=file_entries(staging))
            write_manifest(staging, manifest)
    return Conversion(
        path=out,
        manifest=manifest,
        report=report,
        unverified=unverified,
        notes=(*spec.notes, *blueprint.notes, *quantised.notes, *(n for part in written for n in part.notes), *more),
        unused_tensors=blueprint.unused,
        seconds=clock.seconds,
    )
