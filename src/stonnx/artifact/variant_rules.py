"""What a variant must obey beyond the types of its fields."""

from __future__ import annotations

import dataclasses
import math
import re

from stonnx.artifact.conditions import check_path, need, need_unique
from stonnx.artifact.fidelity_class import class_failures
from stonnx.artifact.manifest import (
    Fidelity,
    Graph,
    Kind,
    Manifest,
    ScoreFidelity,
    Variant,
)
from stonnx.machine import INSTRUCTION_SETS

__all__ = ["INPUTS", "OPTION_NAME_PATTERN", "OPTION_VALUE_PATTERN", "VARIANT_PATTERN", "check_variant"]

INPUTS = ("input_ids", "attention_mask", "token_type_ids", "prompt_length", "prompt_lengths")
# The same patterns stand in docs/artifact.schema.json (a test compares the two).
VARIANT_PATTERN = r"^[a-z0-9][a-z0-9._-]*$"
# No path fits: an engine is never told to read or write somewhere. Which names it takes is its own list.
OPTION_NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_.]*$"
OPTION_VALUE_PATTERN = r"^[A-Za-z0-9_.+-]+$"
_COSINE_ROUNDING = 1e-3  # a cosine of rounded vectors may exceed 1 by a little


def check_variant(variant: Variant, manifest: Manifest, listed: frozenset[str], where: str) -> None:
    """Check one variant.

    Args:
        variant: One of ``manifest.variants``.
        manifest: The whole.
        listed: Paths of the artifact's files.
        where: Key path of the variant.

    Raises:
        ArtifactError: A rule is broken; the message names the key path.
    """
    _check_files(variant, listed, where)
    _check_graphs(variant, manifest, where)
    _check_needs(variant, where)
    if variant.fidelity is not None:
        _check_fidelity(variant.fidelity, manifest.kind, f"{where}.fidelity")
    if manifest.verified:
        _check_class(variant, where)


def _check_files(variant: Variant, listed: frozenset[str], where: str) -> None:
    need(
        re.fullmatch(VARIANT_PATTERN, variant.name) is not None,
        f"{where}.name",
        f"expected lower-case letters, digits, '.', '_' and '-', found {variant.name!r}",
    )
    for n, path in enumerate(variant.files):
        check_path(path, f"{where}.files[{n}]")
        need(path in listed, f"{where}.files[{n}]", f"{path!r} is not listed in the files of the artifact")
    need_unique(variant.files, f"{where}.files", "path")


def _check_graphs(variant: Variant, manifest: Manifest, where: str) -> None:
    """One graph for each tower, in their order."""
    routes = [tower.route for tower in manifest.towers]
    found = [graph.tower for graph in variant.graphs]
    need(found == routes, f"{where}.graphs", f"expected one graph for each tower ({routes}), found {found!r:.80}")
    for n, graph in enumerate(variant.graphs):
        _check_graph(graph, variant, f"{where}.graphs[{n}]", files=f"{where}.files")


def _check_graph(graph: Graph, variant: Variant, where: str, *, files: str) -> None:
    check_path(graph.file, f"{where}.file")
    need(graph.file in variant.files, f"{where}.file", f"{graph.file!r} is not listed in {files}")
    # The suffix decides how ONNX Runtime parses the file; only ONNX is checked by onnx_check.
    need(graph.file.endswith(".onnx"), f"{where}.file", f"expected a .onnx file, found {graph.file!r}")
    for operator, count in (graph.fused or {}).items():
        need(count >= 1, f"{where}.fused.{operator[:80]}", f"expected at least 1, found {count}")
    for n, name in enumerate(graph.inputs):
        need(name in INPUTS, f"{where}.inputs[{n}]", f"expected one of {', '.join(INPUTS)}, found {name!r}")
    need_unique(graph.inputs, f"{where}.inputs", "name")
    need("input_ids" in graph.inputs, f"{where}.inputs", "expected input_ids among them, found none")
    both = {"prompt_length", "prompt_lengths"} <= set(graph.inputs)
    need(not both, f"{where}.inputs", "expected prompt_length or prompt_lengths, found both")
    masked = "attention_mask" in graph.inputs
    need(
        masked == (graph.layout == "padded"),
        f"{where}.layout",
        f"expected {'padded' if masked else 'equal_lengths or packed'}, because attention_mask is "
        f"{'' if masked else 'not '}among the inputs, found {graph.layout!r}",
    )


def _check_needs(variant: Variant, where: str) -> None:
    """What the variant asks of the CPU and of the engine."""
    for n, name in enumerate(variant.instruction_sets):
        need(
            name in INSTRUCTION_SETS,
            f"{where}.instruction_sets[{n}]",
            f"expected one of {', '.join(INSTRUCTION_SETS)}, found {name!r}",
        )
    need_unique(variant.instruction_sets, f"{where}.instruction_sets", "name")
    for key, value in variant.options.items():
        need(
            re.fullmatch(OPTION_NAME_PATTERN, key) is not None,
            f"{where}.options",
            f"expected names of letters, digits, '_' and '.', found {key[:80]!r}",
        )
        need(
            re.fullmatch(OPTION_VALUE_PATTERN, value) is not None,
            f"{where}.options.{key}",
            f"expected letters, digits, '_', '.', '+' and '-', found {value[:80]!r}",
        )
    need(
        variant.precision == "fp32" or variant.fidelity_class != "exact",
        f"{where}.fidelity_class",
        f"expected lossless, high or balanced, because precision is {variant.precision!r}, found 'exact'",
    )


def _check_class(variant: Variant, where: str) -> None:
    """The figures of a verified variant keep the class that it promises; ``exact`` is looked at by ``verify``."""
    if variant.fidelity is None or variant.fidelity_class == "exact":
        return
    failures = class_failures(variant.fidelity, variant.fidelity_class)
    need(
        not failures,
        f"{where}.fidelity",
        f"verified is true, but the figures are not {variant.fidelity_class}: {', '.join(failures)}",
    )


def _check_fidelity(fidelity: Fidelity | ScoreFidelity, kind: Kind, where: str) -> None:
    scored = isinstance(fidelity, ScoreFidelity)
    figures = "of scores" if kind == "reranker" else "of vectors"
    need(scored == (kind == "reranker"), where, f"expected the figures {figures}, because kind is {kind!r}")
    bound = 1 + _COSINE_ROUNDING
    ranges: dict[str, tuple[float, float]] = {
        "texts": (1, math.inf),
        "pairs": (1, math.inf),
        "queries": (0, math.inf),
        "cosine_mean": (-bound, bound),
        "cosine_min": (-bound, bound),
        "mean_abs_diff": (0.0, 1.0),
        "max_abs_diff": (0.0, 1.0 if scored else math.inf),
        "top10_overlap": (0.0, 1.0),
    }
    for field in dataclasses.fields(fidelity):
        value, (low, high) = getattr(fidelity, field.name), ranges[field.name]
        span = f"at least {low}" if high == math.inf else f"{low} to {high}"
        need(low <= value <= high, f"{where}.{field.name}", f"expected {span}, found {value}")
