"""``convert``: the steps from a source to an artifact, in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx

from stonnx._version import __version__
from stonnx.artifact import Manifest, Output, Source, TokenizerSpec, Tower, Variant, file_entries, write_manifest
from stonnx.checkpoint import ModelSpec, SourceFolder, Weights, read_model, resolve_source
from stonnx.compile.float_variants import openvino_variants
from stonnx.compile.folder import write_model_folder
from stonnx.compile.int8 import Int8Variants, author_int8
from stonnx.compile.stages import as_record, describe_stages
from stonnx.compile.target import artifact_staging, check_target
from stonnx.compile.verification import verify_staging, why_not
from stonnx.graph import Blueprint, WeightFile, author_graph, draw
from stonnx.graph.dialects import Dialect, OrtCpu, Portable
from stonnx.graph.parameters import TensorSource
from stonnx.quantize import Workbench
from stonnx.verify import Report

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
        seconds: Wall time by step: ``read``, ``author``, ``quantize``, ``verify``.
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
    int8: bool = False,
    calibration_texts: Sequence[str] | None = None,
    on_step: OnStep | None = None,
) -> Conversion:
    """Convert a Sentence Transformers model to an artifact.

    No torch is needed to convert. Where the original can be run (extra ``reference``, and an
    engine), every variant is verified against it before ``out`` appears; else the artifact says
    that it is unverified, and the notes name what to install.

    Args:
        source: A model folder, or a hub id ``org/name[@revision]``.
        out: The folder to create, whole or not at all.
        force: Replace an older artifact, or an empty folder, atomically. A folder that holds anything else is
            never replaced.
        verify: False leaves the verification out.
        int8: Add int8 variants, as close to the original as they get; ONNX Runtime is needed for it.
        calibration_texts: With ``int8``, texts like those to be encoded; None for shipped ones.
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
    clock = _Clock(on_step or _silent)
    out = Path(out)
    check_target(out, source=source, force=force)  # at once, not after a download
    with ExitStack() as stack:
        with clock.step("read", f"reading {source}"):
            folder = resolve_source(source)
            staging = stack.enter_context(artifact_staging(out, source=folder.path, force=force))
            spec = read_model(folder)
            weights = stack.enter_context(Weights.open(folder, spec.transformer_path))
            blueprint = draw(spec, weights)
        added = Int8Variants(variants=(), notes=())
        (staging / _WEIGHTS).parent.mkdir()
        with WeightFile(staging / _WEIGHTS) as weight_file:
            bench = _bench(blueprint, folder, staging, weight_file, stack)
            with clock.step("author", "authoring the graphs"):
                write_model_folder(folder, spec, staging)
                variants = _author(bench, staging)
            if int8:
                with clock.step("quantize", "quantising to int8"):
                    added = author_int8(bench, spec, staging, texts=calibration_texts, on_step=clock.on_step)
        manifest = _manifest(blueprint, (*variants, *added.variants), staging)
        report, reason = None, why_not(verify=verify)
        if reason is None:
            with clock.step("verify", "verifying against sentence-transformers"):
                found = verify_staging(folder.path, staging, manifest, on_step=clock.on_step)
            manifest, report, more = found.manifest, found.report, found.report.notes
        else:
            manifest, more = replace(manifest, files=file_entries(staging)), (reason,)
            write_manifest(staging, manifest)
    return Conversion(
        path=out,
        manifest=manifest,
        report=report,
        notes=(*spec.notes, *added.notes, *more),
        unused_tensors=blueprint.parameters.unused,
        seconds=clock.seconds,
    )


def _silent(_: str) -> None:
    """Library code says nothing by itself."""


def _bench(
    blueprint: Blueprint, folder: SourceFolder, staging: Path, weight_file: WeightFile, stack: ExitStack
) -> Workbench:
    """What the graphs are authored from, and where."""

    def open_weights(path: str) -> TensorSource:
        weights: Weights = stack.enter_context(Weights.open(folder, path))
        return weights

    return Workbench(
        blueprint=blueprint,
        folder=(staging / _WEIGHTS).parent,
        weights=weight_file,
        float_graph=staging / _GRAPHS[0][1],
        open_weights=open_weights,
    )


def _author(bench: Workbench, staging: Path) -> tuple[Variant, ...]:
    """Write the float32 graphs over one weight file."""
    variants = []
    for name, path, dialect in _GRAPHS:
        graph = author_graph(bench.blueprint, dialect(), bench.weights, bench.open_weights)
        onnx.save(graph.model, staging / path)
        variants.append(
            Variant(
                name=name,
                engine=_ENGINE,
                graphs=(as_record(graph, path),),
                files=(path, _WEIGHTS),
            )
        )
    return (*variants, *openvino_variants(variants[-1]))


def _manifest(blueprint: Blueprint, variants: tuple[Variant, ...], staging: Path) -> Manifest:
    spec: ModelSpec = blueprint.spec
    body, *head = describe_stages(blueprint)
    tower = Tower(
        route="",
        body=body,
        head=tuple(head),
        tokenizer=TokenizerSpec(file="tokenizer.json", max_tokens=spec.max_tokens, pad_id=spec.pad_id),
        prompts=dict(spec.prompts.texts),
        default_prompt_name=spec.prompts.default_name,
    )
    return Manifest(
        stonnx_version=__version__,
        source=Source(name=spec.name, revision=spec.revision),
        kind="embedding",
        outputs=(Output(name="sentence_embedding", kind="sentence_embedding", dimension=blueprint.dimension),),
        towers=(tower,),
        scoring=None,
        similarity=spec.similarity,
        truncate_dim=spec.truncate_dim,
        variants=variants,
        verified=False,
        files=file_entries(staging),
    )
