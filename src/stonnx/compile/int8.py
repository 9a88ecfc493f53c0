"""The int8 variants of an artifact, and their stand-ins where this CPU cannot run them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from stonnx.artifact import Variant
from stonnx.artifact.manifest import FidelityClass
from stonnx.checkpoint import ModelSpec
from stonnx.errors import UsageError
from stonnx.graph import WeightFile, author_graph
from stonnx.graph.dialects import OrtCpuInt8
from stonnx.quantize import (
    FULL_RANGE,
    SEVEN_BITS,
    Bench,
    OnStep,
    Quantized,
    calibration_texts,
    quantize,
    selection_texts,
)
from stonnx.runtime.loading import why_not_here
from stonnx.runtime.tokenize import TextTokenizer

__all__ = ["Int8Variant", "Int8Variants", "author_int8"]

_ENGINE = "onnxruntime"
_WEAKEST: FidelityClass = "balanced"


@dataclass(frozen=True, kw_only=True)
class _Kind:
    name: str
    graph: str
    limit: int
    instruction_sets: tuple[str, ...]


# Everywhere else, ONNX Runtime adds two products of eight bits in an int16 that is too small for them.
_KINDS = (
    _Kind(
        name="int8",
        graph="onnx/model_int8.onnx",
        limit=FULL_RANGE,
        instruction_sets=("avx512_vnni", "avx_vnni", "amx_int8", "asimd"),
    ),
    _Kind(name="int8-7bit", graph="onnx/model_int8_7bit.onnx", limit=SEVEN_BITS, instruction_sets=()),
)


@dataclass(frozen=True, kw_only=True)
class Int8Variant:
    """An int8 variant.

    Attributes:
        variant: What the manifest gets.
        stand_in: A graph with the same integers that this CPU multiplies without saturation; None where it can run
            the variant itself. Its files must be gone before the artifact is finished.
    """

    variant: Variant
    stand_in: Variant | None


@dataclass(frozen=True, kw_only=True)
class Int8Variants:
    """All int8 variants that are close enough, and a sentence for each thing that was decided."""

    variants: tuple[Int8Variant, ...]
    notes: tuple[str, ...]


def author_int8(
    bench: Bench, spec: ModelSpec, staging: Path, *, texts: Sequence[str] | None, on_step: OnStep
) -> Int8Variants:
    """Quantise a model and write its int8 graphs.

    Args:
        bench: The model, with its float32 graph.
        spec: The same model.
        staging: The artifact in the making; its tokenizer is there.
        texts: Calibration texts of the user's; None for the shipped ones.
        on_step: Called with a short sentence before each step.

    Raises:
        UsageError: ``texts`` is empty.
        MissingExtraError: onnxruntime is not installed.
        RunError: ONNX Runtime failed.
    """
    if texts is not None and not texts:
        raise UsageError("There are no calibration texts.", hint="Leave them out to calibrate on the shipped ones.")
    tokenizer = TextTokenizer(staging / "tokenizer.json", max_tokens=spec.max_tokens)
    models = quantize(
        bench,
        calibration=tokenizer.rows(calibration_texts() if texts is None else texts),
        held_out=tokenizer.rows(selection_texts()),
        limits=[kind.limit for kind in _KINDS],
        on_step=on_step,
    )
    variants, notes = [], []
    for kind, model in zip(_KINDS, models, strict=True):
        notes.append(_note(kind, model))
        if model.selection.reached is not None:
            variants.append(_write(kind, model, bench, staging))
    return Int8Variants(variants=tuple(variants), notes=tuple(notes))


def _write(kind: _Kind, model: Quantized, bench: Bench, staging: Path) -> Int8Variant:
    variant = _author(kind.graph, model, bench, staging, stand_in=False)
    variant = replace(variant, name=kind.name, instruction_sets=kind.instruction_sets)
    if why_not_here(variant) is None:
        return Int8Variant(variant=variant, stand_in=None)
    stand_in = _author(f"{kind.graph.removesuffix('.onnx')}_stand_in.onnx", model, bench, staging, stand_in=True)
    return Int8Variant(variant=variant, stand_in=replace(stand_in, name=kind.name))


def _author(path: str, model: Quantized, bench: Bench, staging: Path, *, stand_in: bool) -> Variant:
    """Write one graph with a weight file of its own: the variant needs no other file to run."""
    data = f"{path}_data"
    with WeightFile(staging / data) as weights:
        dialect = OrtCpuInt8(model.projections, unsigned_weights=stand_in)
        graph = author_graph(bench.blueprint, dialect, weights, bench.open_weights)
        onnx.save(graph.model, staging / path)
    return Variant(
        name="int8",
        engine=_ENGINE,
        graph=path,
        files=(path, data),
        inputs=graph.inputs,
        equal_lengths=graph.equal_lengths,
        precision="int8",
        fidelity_class=model.selection.reached or _WEAKEST,
    )


def _note(kind: _Kind, model: Quantized) -> str:
    total = len(model.projections) + len(model.float_sites)
    fidelity = model.selection.fidelity
    figures = f"mean cosine {fidelity.cosine_mean:.5f}, lowest {fidelity.cosine_min:.4f}"
    figures += f" on {fidelity.texts} held-out texts"
    if model.selection.reached is None:
        return f"{kind.name} was left out: it is below every fidelity class ({figures})."
    kept = f", {len(model.float_sites)} of {total} projections in float32" if model.float_sites else ""
    return f"{kind.name}: {model.selection.reached}{kept} ({figures})."
