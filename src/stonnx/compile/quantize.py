"""``quantize_artifact``: int8 variants for an artifact that is there, without the original model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from stonnx._steps import OnPart, OnStep, Telling, nobody, silent
from stonnx._version import __version__
from stonnx.artifact import TUNE_FOLDER, Artifact, FileEntry, Manifest, Variant, file_entry, write_manifest
from stonnx.checkpoint import SourceFolder, read_model
from stonnx.compile.artifact_weights import CONVERT, PORTABLE, ArtifactWeights
from stonnx.compile.catalogue import REFERENCE
from stonnx.compile.clock import Clock
from stonnx.compile.in_place import check_renewable, renewed_artifact
from stonnx.compile.int8 import none_added, want_int8
from stonnx.compile.int8_proof import prove_int8
from stonnx.compile.manifest import make_tower
from stonnx.compile.sources import AuthoredInt8, Written
from stonnx.compile.sources.base import write_graph
from stonnx.compile.workspace import open_workspace
from stonnx.errors import ArtifactError, CheckpointError, UnsupportedModelError, UsageError
from stonnx.graph import Blueprint, make_blueprint
from stonnx.graph.architectures import read_architecture
from stonnx.runtime.choice import read_choice
from stonnx.verify import OnVariant, Report

__all__ = ["Quantization", "quantize_artifact"]

_SCRATCH = "float"  # in the staging folder while int8 is made
_UNVERIFIED = "The artifact is unverified, so its int8 variants are too: nobody has compared them with the original."


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """What ``quantize_artifact`` did.

    Attributes:
        path: The artifact.
        manifest: Its new manifest.
        added: Names of the new variants.
        replaced: Names of the int8 variants that are no more.
        report: The verification; None where the artifact is unverified.
        notes: What was decided or left out, one sentence each.
        seconds: Wall time by step: ``read``, ``quantize``, ``verify``.
    """

    path: Path
    manifest: Manifest
    added: tuple[str, ...]
    replaced: tuple[str, ...]
    report: Report | None
    notes: tuple[str, ...]
    seconds: dict[str, float]


def quantize_artifact(
    artifact: str | Path,
    *,
    force: bool = False,
    calibration_texts: Sequence[str] | None = None,
    on_step: OnStep | None = None,
    on_part: OnPart | None = None,
    on_variant: OnVariant | None = None,
) -> Quantization:
    """Add int8 variants to an artifact, in its place: the folder changes in one step, when all is done, or not at all.

    The original model is not needed: the artifact has its weights, and what it gave for the probe texts. The variants
    are those that ``convert`` gives the original. For example::

        done = quantize_artifact("m3e-base-onnx")
        done.added  # ('int8', 'int8-fast', 'openvino-int8', 'openvino-int8-static')
        vectors = stonnx.Encoder.load(done.path, variant="int8").encode(["some text"])

    Args:
        artifact: The folder that ``convert`` wrote.
        force: Replace the int8 variants that are there.
        calibration_texts: Texts like those to be encoded or scored; None for shipped ones.
        on_step: Called with a short sentence before each step.
        on_part: Called with how many parts of such a step are done and how many there are, where it has parts.
        on_variant: Called with the report of each variant as soon as it has been measured.

    Raises:
        ArtifactError: The artifact is damaged, or does not hold what its manifest says.
        UsageError: It has int8 variants and ``force`` is False; its files are links, or others lie among them; or
            ``calibration_texts`` is empty.
        MissingExtraError: onnxruntime is not installed.
        VerificationError: There is no form for the model in int8, no int8 variant keeps a fidelity class, or another
            variant does not keep its own here.
        RunError: The disk is full, the folder cannot be written, or an engine failed.
    """
    want_int8(int8=True, calibration_texts=calibration_texts)
    clock = Clock(Telling(step=on_step or silent, part=on_part or nobody))
    opened = Artifact.open(_place(Path(artifact)))
    old = tuple(variant for variant in opened.manifest.variants if variant.precision == "int8")
    _check_force(opened, old, force=force)
    check_renewable(opened)
    with ExitStack() as stack:
        with clock.step("read", "checking the files"):
            opened.check_files()
            staging = stack.enter_context(renewed_artifact(opened, without=_files_of(opened.manifest, old)))
        with clock.step("quantize", "quantising to int8"):
            written = _write_int8(opened, staging, calibration_texts, clock.tell)
        manifest = _with_variants(opened.manifest, written, staging)
        added = frozenset(variant.name for variant in written.variants)
        report, notes = None, [*written.notes, *_what_else_changes(opened)]
        if manifest.verified:
            with clock.step("verify", "comparing with the original's results"):
                found = prove_int8(staging, manifest, added, on_step=clock.tell.step, on_variant=on_variant)
            manifest, report = found.manifest, found.report
            notes += report.notes
        else:
            notes.append(_UNVERIFIED)
    return Quantization(
        path=Path(artifact),
        manifest=manifest,
        added=tuple(variant.name for variant in manifest.variants if variant.name in added),
        replaced=tuple(variant.name for variant in old),
        report=report,
        notes=tuple(notes),
        seconds=clock.seconds,
    )


def _place(artifact: Path) -> Path:
    """The folder to replace, by a name that holds while it is replaced; what a link leads to, so that the link stays.

    Whoever works in the folder moves away with the older one, and ``..`` is another place then.
    """
    holds = artifact.name and ".." not in artifact.parts and not artifact.is_symlink()
    return artifact if holds else Path(os.path.realpath(artifact))


def _check_force(artifact: Artifact, old: Sequence[Variant], *, force: bool) -> None:
    if old and not force:
        raise UsageError(
            f"{artifact.path} has int8 variants already: {', '.join(variant.name for variant in old)}.",
            hint="Replace them with force=True.",
            cli_hint="Replace them with --force.",
        )


def _files_of(manifest: Manifest, variants: Sequence[Variant]) -> frozenset[str]:
    """The files that no other variant needs."""
    others = {name for variant in manifest.variants if variant not in variants for name in variant.files}
    return frozenset(name for variant in variants for name in variant.files) - others


def _write_int8(artifact: Artifact, staging: Path, texts: Sequence[str] | None, tell: Telling) -> Written:
    """The graphs of the int8 variants, in the staging folder.

    Raises:
        VerificationError: There is no variant, as no class is reached or there is no form for the model; it says why.
    """
    folder = SourceFolder(path=staging, name=str(artifact.path), revision=None)
    scratch = staging / _SCRATCH
    scratch.mkdir()
    with ExitStack() as files:
        blueprint, weights = _read_back(artifact, folder)
        workspace = open_workspace(blueprint, folder, scratch, weights, files)
        write_graph(REFERENCE, {}, workspace, scratch, workspace.weights)
        workspace.weights.flush()
        written = AuthoredInt8(workspace=workspace, texts=texts).write(staging, tell=tell)
    shutil.rmtree(scratch)
    if not written.variants:
        raise none_added(written.notes)
    return written


def _read_back(artifact: Artifact, folder: SourceFolder) -> tuple[Blueprint, ArtifactWeights]:
    """The model that an artifact was made of.

    Raises:
        ArtifactError: The folder is not that of the manifest's model, or lacks weights.
    """
    try:
        spec = read_model(folder)
        _, encoder = read_architecture(spec.config)
        weights = ArtifactWeights.open(artifact, encoder.expected_tensors())
        blueprint = make_blueprint(folder, spec, weights)
    except (CheckpointError, UnsupportedModelError) as exc:
        # It was read in the work folder, which is nothing that the user knows.
        said = exc.message.replace(str(folder.path), str(artifact.path))
        raise ArtifactError(f"{artifact.path} cannot be read as a model: {said}", hint=CONVERT) from exc
    told, tower, manifest = make_tower(blueprint), artifact.manifest.tower, artifact.manifest
    types = "token_type_ids" in artifact.variant(PORTABLE).graph.inputs  # else the artifact has not their whole table
    written = (manifest.kind, manifest.outputs, tower.tokenizer, types)
    if (spec.kind, blueprint.chain.outputs, told.tokenizer, blueprint.takes_token_types) != written:
        raise ArtifactError(f"The model in {artifact.path} is not the one of its manifest.", hint=CONVERT)
    return blueprint, weights


def _with_variants(manifest: Manifest, written: Written, staging: Path) -> Manifest:
    """The manifest with the new variants and their files, written to the staging folder."""
    kept = tuple(variant for variant in manifest.variants if variant.precision != "int8")
    gone = _files_of(manifest, [variant for variant in manifest.variants if variant.precision == "int8"])
    entries: dict[str, FileEntry] = {entry.path: entry for entry in manifest.files if entry.path not in gone}
    for variant in written.variants:
        entries |= {name: file_entry(staging, name) for name in variant.files if name not in entries}
    renewed = replace(
        manifest,
        stonnx_version=__version__,
        variants=(*kept, *written.variants),
        files=tuple(sorted(entries.values(), key=lambda entry: entry.path)),
    )
    write_manifest(staging, renewed)
    return renewed


def _what_else_changes(artifact: Artifact) -> list[str]:
    """What a user of the older artifact should know."""
    notes = []
    if (artifact.path / TUNE_FOLDER).is_dir() or read_choice(artifact) is not None:
        notes.append("What 'stonnx tune' chose for the older artifact does not hold any more: tune it again.")
    older = artifact.manifest.stonnx_version
    if older != __version__:
        notes.append(f"The artifact was written by stonnx {older}; its manifest is that of {__version__} now.")
    return notes
