"""``convert``: the steps from a source to an artifact, in order."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from stonnx._steps import OnStep, silent
from stonnx.artifact import Manifest, file_entries, write_manifest
from stonnx.checkpoint import SourceFolder, Weights, read_model, resolve_source
from stonnx.compile.catalogue import FLOAT_WEIGHTS, REFERENCE
from stonnx.compile.folder import write_model_folder
from stonnx.compile.manifest import make_manifest
from stonnx.compile.sources import AuthoredFloat, AuthoredInt8, GraphSource
from stonnx.compile.target import artifact_staging, check_target
from stonnx.compile.verification import Unverified, verify_staging, why_not
from stonnx.graph import Blueprint, WeightFile, make_blueprint
from stonnx.graph.parameters import TensorSource
from stonnx.quantize import Workspace
from stonnx.verify import Report

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


@dataclass
class _Clock:
    """Tells the caller what happens, and remembers how long it took."""

    on_step: OnStep
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, sentence: str) -> Iterator[None]:
        self.on_step(sentence)
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started


def convert(
    source: str | Path,
    out: str | Path,
    *,
    force: bool = False,
    verify: bool = True,
    int8: bool = False,
    calibration_texts: Sequence[str] | None = None,
    on_step: OnStep | None = None,
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
        int8: Add int8 variants, as close to the original as they get; ONNX Runtime is needed for it.
        calibration_texts: With ``int8``, texts like those to be encoded or scored; None for shipped ones.
        on_step: Called with a short sentence before each step.

    Raises:
        UsageError: ``out`` exists and ``force`` is False; it holds what stonnx did not write; it is the source,
            contains it or lies in it; or ``calibration_texts`` is empty.
        MissingExtraError: ``int8``, and onnxruntime is not installed.
        CheckpointError: The source is not a model folder, or is damaged.
        UnsupportedModelError: The architecture, a module or an option is not authored.
        VerificationError: A variant is not the original within the tolerance; nothing was written.
        RunError: The disk is full, ``out`` cannot be written, or the hub cannot be reached.
    """
    clock = _Clock(on_step or silent)
    out = Path(out)
    check_target(out, source=source, force=force)  # at once, not after a download
    with ExitStack() as stack:
        with clock.step("read", f"reading {source}"):
            folder = resolve_source(source)
            staging = stack.enter_context(artifact_staging(out, source=folder.path, force=force))
            spec = read_model(folder)
            weights = stack.enter_context(Weights.open(folder, spec.transformer_path))
            blueprint = make_blueprint(folder, spec, weights)
        (staging / FLOAT_WEIGHTS).parent.mkdir()
        with ExitStack() as files:
            workspace = _open_workspace(blueprint, folder, staging, weights, files)
            sources: list[tuple[str, str, GraphSource]] = [
                ("author", "authoring the graphs", AuthoredFloat(workspace=workspace))
            ]
            if int8:
                quantized = AuthoredInt8(workspace=workspace, texts=calibration_texts)
                sources.append(("quantize", "quantising to int8", quantized))
            write_model_folder(folder, blueprint, staging)
            written = []
            for name, sentence, graphs in sources:
                with clock.step(name, sentence):
                    written.append(graphs.write(staging, on_step=clock.on_step))
        manifest = make_manifest(blueprint, [variant for part in written for variant in part.variants], staging)
        report, unverified = None, why_not(verify=verify)
        more: tuple[str, ...] = ()
        if unverified is None:
            with clock.step("verify", "verifying against sentence-transformers"):
                found = verify_staging(folder.path, staging, manifest, on_step=clock.on_step)
            manifest, report, more = found.manifest, found.report, found.report.notes
        else:
            manifest = replace(manifest, files=file_entries(staging))
            write_manifest(staging, manifest)
    return Conversion(
        path=out,
        manifest=manifest,
        report=report,
        unverified=unverified,
        notes=(*spec.notes, *blueprint.notes, *(note for part in written for note in part.notes), *more),
        unused_tensors=blueprint.unused,
        seconds=clock.seconds,
    )


def _open_workspace(
    blueprint: Blueprint, folder: SourceFolder, staging: Path, weights: Weights, stack: ExitStack
) -> Workspace:
    """What the graphs are authored from, and where.

    Args:
        blueprint: The model.
        folder: Where it was read.
        staging: The folder that becomes the artifact.
        weights: The transformer's weights, open.
        stack: Closes what is opened.
    """
    opened = {blueprint.spec.transformer_path: weights}

    def open_weights(path: str) -> TensorSource:
        if path not in opened:
            opened[path] = stack.enter_context(Weights.open(folder, path))
        return opened[path]

    return Workspace(
        blueprint=blueprint,
        folder=(staging / FLOAT_WEIGHTS).parent,
        weights=stack.enter_context(WeightFile(staging / FLOAT_WEIGHTS)),
        float_graph=staging / REFERENCE.file,
        open_weights=open_weights,
    )
