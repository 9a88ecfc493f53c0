"""The int8 variants of an artifact, and their stand-ins where this CPU cannot run them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import onnx

from stonnx.artifact import Variant
from stonnx.artifact.manifest import FidelityClass
from stonnx.checkpoint import ModelSpec
from stonnx.errors import UsageError
from stonnx.graph import WeightFile, author_graph
from stonnx.graph.dialects import Dialect, OpenVinoInt8, OrtCpuInt8
from stonnx.graph.quantized import QuantizedProjections
from stonnx.quantize import (
    FULL_RANGE,
    SEVEN_BITS,
    OnStep,
    Quantized,
    Target,
    Workbench,
    calibration_edges,
    calibration_texts,
    quantize,
    selection_edges,
    selection_texts,
)
from stonnx.runtime.loading import why_not_here
from stonnx.runtime.tokenize import TextTokenizer

__all__ = ["Int8Variant", "Int8Variants", "author_int8"]

# Everywhere else, ONNX Runtime adds two products of unsigned and signed eight bits in an int16 that is too small.
_EXACT_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimd")
# Where OpenVINO quantises inputs itself. Elsewhere it computes on the same weights in float32, which gains nothing.
_OPENVINO_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8")

_CLOSE = Target(limit=FULL_RANGE, wanted=("high", "balanced"))
_FAST = Target(limit=FULL_RANGE, wanted=("balanced",))
_SEVEN = Target(limit=SEVEN_BITS, wanted=("balanced",))


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """One int8 variant; ``stem`` and ``data`` are the names of its files without their endings."""

    name: str
    stem: str
    data: str
    target: Target
    dialect: Callable[[QuantizedProjections], Dialect] = OrtCpuInt8
    engine: str = "onnxruntime"
    instruction_sets: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


def _kinds() -> tuple[_Kind, ...]:
    main = "onnx/model_int8"
    openvino = _Kind(
        name="openvino-int8",
        stem=f"{main}_openvino",
        data=main,
        target=_FAST,
        dialect=partial(OpenVinoInt8, static=False),
        engine="openvino",
        instruction_sets=_OPENVINO_PRODUCTS,
        options={"DYNAMIC_QUANTIZATION_GROUP_SIZE": "64"},
    )
    return (
        _Kind(name="int8", stem=main, data=main, target=_CLOSE, instruction_sets=_EXACT_PRODUCTS),
        _Kind(name="int8-fast", stem=f"{main}_fast", data=main, target=_FAST, instruction_sets=_EXACT_PRODUCTS),
        _Kind(name="int8-u8", stem=f"{main}_u8", data=f"{main}_u8", target=_CLOSE, dialect=_UNSIGNED),
        _Kind(name="int8-7bit", stem=f"{main}_7bit", data=f"{main}_7bit", target=_SEVEN),
        openvino,
        replace(
            openvino,
            name="openvino-int8-static",
            stem=f"{main}_openvino_static",
            dialect=partial(OpenVinoInt8, static=True),
        ),
    )


_UNSIGNED = partial(OrtCpuInt8, unsigned_weights=True)
_WEAKEST: FidelityClass = "balanced"


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
    targets = (_CLOSE, _FAST, _SEVEN)
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
    if by_target[_FAST].selection.steps == by_target[_CLOSE].selection.steps:
        kinds = tuple(kind for kind in kinds if kind.name != "int8-fast")
    # OpenVINO quantises inputs in its own way: what was measured here says nothing of it.
    notes = tuple(_note(kind.name, by_target[kind.target]) for kind in kinds if kind.engine == "onnxruntime")
    kinds = tuple(kind for kind in kinds if by_target[kind.target].selection.reached is not None)
    variants = []
    with ExitStack() as stack:
        files: dict[str, WeightFile] = {}
        for kind in kinds:
            data = f"{kind.data}.onnx_data"
            if data not in files:
                files[data] = stack.enter_context(WeightFile(staging / data))
            model = by_target[kind.target]
            variant = _author(kind, model, bench, staging, files[data])
            stand_in = None
            if kind.engine == "onnxruntime" and why_not_here(variant) is not None:
                stand_in = _author_stand_in(kind, model, bench, staging)
            variants.append(Int8Variant(variant=variant, stand_in=stand_in))
    return Int8Variants(variants=tuple(variants), notes=notes)


def _author_stand_in(kind: _Kind, model: Quantized, bench: Workbench, staging: Path) -> Variant:
    """The same integers for a CPU that multiplies signed weights inexactly, with a weight file of its own."""
    stem = f"{kind.stem}_stand_in"
    kind = replace(kind, stem=stem, data=stem, instruction_sets=(), dialect=_UNSIGNED)
    with WeightFile(staging / f"{kind.data}.onnx_data") as weights:
        return _author(kind, model, bench, staging, weights)


def _author(kind: _Kind, model: Quantized, bench: Workbench, staging: Path, weights: WeightFile) -> Variant:
    """Write one graph; besides the weight file it needs no other to run."""
    path = f"{kind.stem}.onnx"
    graph = author_graph(bench.blueprint, kind.dialect(model.projections), weights, bench.open_weights)
    onnx.save(graph.model, staging / path)
    return Variant(
        name=kind.name,
        engine=kind.engine,
        graph=path,
        files=(path, f"{kind.data}.onnx_data"),
        inputs=graph.inputs,
        equal_lengths=graph.equal_lengths,
        precision="int8",
        instruction_sets=kind.instruction_sets,
        options=dict(kind.options),
        fidelity_class=model.selection.reached or _WEAKEST,
    )


def _note(name: str, model: Quantized) -> str:
    fidelity = model.selection.fidelity
    figures = f"mean cosine {fidelity.cosine_mean:.5f}, lowest {fidelity.cosine_min:.4f}"
    figures += f", top-10 {fidelity.top10_overlap:.1%} on {fidelity.texts} held-out texts"
    if model.selection.reached is None:
        return f"{name} was left out: it is below every fidelity class ({figures})."
    kinds: Counter[str] = Counter(step.kind for step in model.selection.steps)
    total = len(model.projections) + kinds["float32"]
    words = (("per token", "with scales per token"), ("float32", "in float32"))
    kept = "".join(f", {kinds[kind]} of {total} projections {how}" for kind, how in words if kinds[kind])
    return f"{name}: {model.selection.reached}{kept} ({figures})."
