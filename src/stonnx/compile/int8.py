"""The int8 variants of an artifact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import onnx

from stonnx.artifact import Variant
from stonnx.artifact.manifest import FidelityClass
from stonnx.checkpoint import ModelSpec
from stonnx.compile.stages import as_record
from stonnx.errors import UsageError
from stonnx.graph import WeightFile, author_graph
from stonnx.graph.dialects import Dialect, OpenVinoInt8, OrtCpuInt8
from stonnx.graph.quantized import QuantizedProjections
from stonnx.quantize import (
    OnStep,
    Quantized,
    QuantizedClass,
    Workbench,
    calibration_edges,
    calibration_texts,
    quantize,
    selection_edges,
    selection_texts,
)
from stonnx.runtime.tokenize import TextTokenizer

__all__ = ["Int8Variants", "author_int8"]

# Where OpenVINO quantises inputs itself. Elsewhere it computes on the same weights in float32, which gains nothing.
_OPENVINO_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8")

_Target = tuple[QuantizedClass, ...]
_CLOSE: _Target = ("high", "balanced")
_FAST: _Target = ("balanced",)
_DATA = "onnx/model_int8.onnx_data"  # most of the integers of the variants are the same


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """One int8 variant."""

    name: str
    graph: str
    target: _Target
    dialect: Callable[[QuantizedProjections], Dialect] = OrtCpuInt8
    engine: str = "onnxruntime"
    instruction_sets: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


def _kinds() -> tuple[_Kind, ...]:
    openvino = _Kind(
        name="openvino-int8",
        graph="onnx/model_int8_openvino.onnx",
        target=_FAST,
        dialect=partial(OpenVinoInt8, static=False),
        engine="openvino",
        instruction_sets=_OPENVINO_PRODUCTS,
        options={"DYNAMIC_QUANTIZATION_GROUP_SIZE": "64"},
    )
    return (
        _Kind(name="int8", graph="onnx/model_int8.onnx", target=_CLOSE),
        _Kind(name="int8-fast", graph="onnx/model_int8_fast.onnx", target=_FAST),
        openvino,
        replace(
            openvino,
            name="openvino-int8-static",
            graph="onnx/model_int8_openvino_static.onnx",
            dialect=partial(OpenVinoInt8, static=True),
        ),
    )


_WEAKEST: FidelityClass = "balanced"

# About a fifth of what the shipped texts have; below it, a scale hangs on single texts.
_ADVISED_TOKENS = 2000


@dataclass(frozen=True, kw_only=True)
class Int8Variants:
    """All int8 variants that are close enough, and a sentence for each thing that was decided."""

    variants: tuple[Variant, ...]
    notes: tuple[str, ...]


def author_int8(
    bench: Workbench, spec: ModelSpec, staging: Path, *, texts: Sequence[str] | None, on_step: OnStep
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
    targets = (_CLOSE, _FAST)
    models = quantize(
        bench,
        calibration=tokenizer.rows((*(calibration_texts() if texts is None else texts), *calibration_edges())),
        held_out=tokenizer.rows((*selection_texts(), *selection_edges())),
        natural=len(selection_texts()),
        targets=targets,
        on_step=on_step,
    )
    by_target = dict(zip(targets, models, strict=True))
    kinds = _kinds()
    notes = list(_little_text(tokenizer, texts))
    if by_target[_FAST].selection.steps == by_target[_CLOSE].selection.steps:
        kinds = tuple(kind for kind in kinds if kind.name != "int8-fast")
        notes.append("int8-fast was left out: it would be the same as int8, which is as cheap as it gets.")
    # OpenVINO quantises inputs in its own way: what was measured here says nothing of it.
    notes += [_note(kind.name, by_target[kind.target]) for kind in kinds if kind.engine == "onnxruntime"]
    kinds = tuple(kind for kind in kinds if by_target[kind.target].selection.reached is not None)
    if not kinds:
        return Int8Variants(variants=(), notes=tuple(notes))
    with WeightFile(staging / _DATA) as weights:
        variants = tuple(_author(kind, by_target[kind.target], bench, staging, weights) for kind in kinds)
    return Int8Variants(variants=variants, notes=tuple(notes))


def _author(kind: _Kind, model: Quantized, bench: Workbench, staging: Path, weights: WeightFile) -> Variant:
    """Write one graph."""
    graph = author_graph(bench.blueprint, kind.dialect(model.projections), weights, bench.open_weights)
    onnx.save(graph.model, staging / kind.graph)
    return Variant(
        name=kind.name,
        engine=kind.engine,
        graphs=(as_record(graph, kind.graph),),
        files=(kind.graph, _DATA),
        precision="int8",
        instruction_sets=kind.instruction_sets,
        options=dict(kind.options),
        fidelity_class=model.selection.reached or _WEAKEST,
    )


def _little_text(tokenizer: TextTokenizer, texts: Sequence[str] | None) -> tuple[str, ...]:
    """A note that there was too little of the user's text to calibrate on; nothing where there was enough."""
    if texts is None:
        return ()
    distinct = tuple(dict.fromkeys(texts))
    tokens = len(tokenizer.rows(distinct).ids)
    if tokens >= _ADVISED_TOKENS:
        return ()
    note = (
        f"int8 was calibrated on very little text (different texts: {len(distinct):,}, tokens: {tokens:,}). Give some "
        f"hundred texts like those to be encoded, of {_ADVISED_TOKENS:,} tokens or more in all, or none of your own to "
        f"calibrate on the {len(calibration_texts())} shipped ones."
    )
    return (note,)


def _note(name: str, model: Quantized) -> str:
    fidelity = model.selection.fidelity
    figures = f"mean cosine {fidelity.cosine_mean:.5f}, lowest {fidelity.cosine_min:.4f}"
    figures += f", top-10 {fidelity.top10_overlap:.1%} on {fidelity.texts} held-out texts"
    if model.selection.reached is None:
        return f"{name} was left out: it is below every fidelity class ({figures})."
    # A projection that stays in float32 may have been given closer inputs before: the last step counts.
    kinds: Counter[str] = Counter({step.site: step.kind for step in model.selection.steps}.values())
    total = len(model.projections) + kinds["float32"]
    words = (("closer", "with inputs quantised more closely"), ("float32", "in float32"))
    kept = "".join(f", {kinds[kind]} of {total} projections {how}" for kind, how in words if kinds[kind])
    return f"{name}: {model.selection.reached}{kept} ({figures})."
