"""``convert``: the steps from a source to an artifact, in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx

from stonnx._extras import available
from stonnx._io import staged_folder, write_json
from stonnx._version import __version__
from stonnx.artifact import (
    Artifact,
    Manifest,
    Source,
    TokenizerSpec,
    Variant,
    file_entries,
    write_goldens,
    write_manifest,
)
from stonnx.checkpoint import ModelSpec, SourceFolder, Weights, read_model, resolve_source
from stonnx.compile.folder import write_model_folder
from stonnx.compile.stages import describe_stages
from stonnx.errors import VerificationError
from stonnx.graph import Blueprint, WeightFile, author_graph, draw
from stonnx.graph.dialects import Dialect, OrtCpu, Portable
from stonnx.graph.parameters import TensorSource
from stonnx.reference import ReferenceEncoder, reference_available
from stonnx.verify import Report, make_goldens
from stonnx.verify import verify as run_verification

__all__ = ["Conversion", "convert"]

_WEIGHTS = "onnx/model.onnx_data"
_GRAPHS: tuple[tuple[str, str, type[Dialect]], ...] = (
    ("fp32", "onnx/model_optimized.onnx", OrtCpu),
    ("portable", "onnx/model.onnx", Portable),
)
_ENGINE = "onnxruntime"

OnStep = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What ``convert`` did.

    Attributes:
        path: The artifact.
        manifest: Its manifest.
        report: The verification; None when there was none.
        notes: What was assumed or left out, one sentence each.
        unused_tensors: Tensors of the checkpoint that the model does not use, sorted.
        seconds: Wall time by step: ``read``, ``author``, ``verify``.
    """

    path: Path
    manifest: Manifest
    report: Report | None
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
    on_step: OnStep | None = None,
) -> Conversion:
    """Convert a Sentence Transformers model to an artifact.

    No torch is needed to convert. Where the original can be run (extra ``reference``, and an
    engine), every variant is verified against it before ``out`` appears; else the artifact says
    that it is unverified, and the notes name what to install.

    Args:
        source: A model folder, or a hub id ``org/name[@revision]``.
        out: The folder to create, whole or not at all.
        force: Replace an existing ``out``, atomically.
        verify: False leaves the verification out.
        on_step: Called with a short sentence before each step.

    Raises:
        UsageError: ``out`` exists and ``force`` is False.
        CheckpointError: The source is not a model folder, or is damaged.
        UnsupportedModelError: The architecture, a module or an option is not authored.
        VerificationError: A variant is not the original within the tolerance; nothing was written.
        RunError: The disk is full, ``out`` cannot be written, or the hub cannot be reached.
    """
    clock = _Clock(on_step or _silent)
    out = Path(out)
    with staged_folder(out, force=force) as staging, ExitStack() as stack:
        with clock.step("read", f"reading {source}"):
            folder = resolve_source(source)
            spec = read_model(folder)
            weights = stack.enter_context(Weights.open(folder, spec.transformer_path))
            blueprint = draw(spec, weights)
        with clock.step("author", "authoring the graphs"):
            write_model_folder(folder, spec, staging)
            variants = _author(blueprint, folder, staging, stack)
            manifest = _manifest(blueprint, variants, staging)
            write_manifest(staging, manifest)
        report, note = None, _why_not(verify=verify)
        if note is None:
            with clock.step("verify", "verifying against sentence-transformers"):
                manifest, report = _verify(folder, staging, manifest, clock.on_step)
    notes = spec.notes if note is None else (*spec.notes, note)
    return Conversion(
        path=out,
        manifest=manifest,
        report=report,
        notes=notes,
        unused_tensors=blueprint.parameters.unused,
        seconds=clock.seconds,
    )


def _silent(_: str) -> None:
    """Library code says nothing by itself."""


def _author(blueprint: Blueprint, folder: SourceFolder, staging: Path, stack: ExitStack) -> tuple[Variant, ...]:
    """Write both graphs over one weight file."""

    def open_weights(path: str) -> TensorSource:
        weights: Weights = stack.enter_context(Weights.open(folder, path))
        return weights

    (staging / _WEIGHTS).parent.mkdir()
    variants = []
    with WeightFile(staging / _WEIGHTS) as weight_file:
        for name, path, dialect in _GRAPHS:
            graph = author_graph(blueprint, dialect(), weight_file, open_weights)
            onnx.save(graph.model, staging / path)
            variants.append(
                Variant(
                    name=name,
                    engine=_ENGINE,
                    graph=path,
                    files=(path, _WEIGHTS),
                    inputs=graph.inputs,
                    equal_lengths=graph.equal_lengths,
                )
            )
    return tuple(variants)


def _manifest(blueprint: Blueprint, variants: tuple[Variant, ...], staging: Path) -> Manifest:
    spec: ModelSpec = blueprint.spec
    return Manifest(
        stonnx_version=__version__,
        source=Source(name=spec.name, revision=spec.revision),
        architecture=blueprint.family,
        dimension=blueprint.dimension,
        tokenizer=TokenizerSpec(file="tokenizer.json", max_tokens=spec.max_tokens, pad_id=spec.pad_id),
        stages=describe_stages(blueprint),
        prompts=dict(spec.prompts.texts),
        default_prompt_name=spec.prompts.default_name,
        similarity=spec.similarity,
        truncate_dim=spec.truncate_dim,
        variants=variants,
        verified=False,
        files=file_entries(staging),
    )


def _why_not(*, verify: bool) -> str | None:
    """Why there is no verification; None when there is one."""
    if not verify:
        return "Unverified: verification was left out."
    if not reference_available():
        return 'Unverified: the original model cannot be run here. Install it with: pip install "stonnx[reference]"'
    if not available(_ENGINE):
        return 'Unverified: ONNX Runtime is not installed. Install it with: pip install "stonnx[cpu]"'
    return None


def _verify(folder: SourceFolder, staging: Path, manifest: Manifest, on_step: OnStep) -> tuple[Manifest, Report]:
    """Store the goldens, measure the variants, and write what was found.

    Raises:
        VerificationError: A bound was not kept.
    """
    write_goldens(staging, make_goldens(ReferenceEncoder.load(folder.path)))
    manifest = replace(manifest, files=file_entries(staging))
    write_manifest(staging, manifest)
    report = run_verification(Artifact.open(staging), on_step=on_step)
    if not report.passed:
        failures = "; ".join(f"{v.name}: {', '.join(v.failures)}" for v in report.variants if not v.passed)
        raise VerificationError(
            f"The converted model is not the original within the tolerance ({failures}). Nothing was written.",
            hint="Please report it with the model's name; --no-verify keeps the artifact, marked unverified.",
        )
    write_json(staging / "report.json", report.to_json())
    measured = {variant.name: variant.fidelity for variant in report.variants}
    manifest = replace(
        manifest,
        variants=tuple(replace(variant, fidelity=measured[variant.name]) for variant in manifest.variants),
        verified=True,
        files=file_entries(staging),
    )
    write_manifest(staging, manifest)
    return manifest, report
