"""Graphs in int8 that stonnx authors: calibrated, rounded, and as close to the original as their class asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stonnx._steps import Telling
from stonnx.artifact import Fidelity
from stonnx.artifact.fidelity_class import AnyFidelity
from stonnx.compile.catalogue import CLOSE, FAST, INT8_ROWS, INT8_WEIGHTS, REFERENCE, Row, Target
from stonnx.compile.int8 import check_calibration
from stonnx.compile.sources.base import Written, as_variant, write_graph
from stonnx.compile.worth import without_slower
from stonnx.graph import WeightFile
from stonnx.graph.dialects import CannotWriteError
from stonnx.quantize import (
    MOST_TOKENS,
    Quantized,
    Workspace,
    calibration_step,
    calibration_texts,
    make_material,
    quantize,
)
from stonnx.runtime.tokenize import TextTokenizer

__all__ = ["AuthoredInt8"]

# About a fifth of what the shipped texts have; below it, a scale hangs on single texts.
_ADVISED_TOKENS = 2000


@dataclass(frozen=True, kw_only=True)
class AuthoredInt8:
    """The int8 variants of a model that are close enough.

    Attributes:
        workspace: The model, with its float32 graph.
        texts: Calibration texts of the user's; None for the shipped ones.
        rows: The variants to make.
    """

    workspace: Workspace
    texts: Sequence[str] | None = None
    rows: tuple[Row, ...] = INT8_ROWS

    def write(self, staging: Path, *, tell: Telling) -> Written:
        """Quantise the model and write its graphs.

        Args:
            staging: The folder that becomes the artifact; its tokenizer and its float32 graphs are there.
            tell: Hears of each step, and how far it is.

        Raises:
            UsageError: ``texts`` is empty.
            MissingExtraError: onnxruntime is not installed.
            RunError: ONNX Runtime failed.
        """
        check_calibration(self.texts)
        if not self.workspace.float_graph.exists():
            note = f"int8 was left out: it is measured against the variant {REFERENCE.name}, and there is none."
            return Written(variants=(), notes=(note,))
        tokenizer = TextTokenizer(staging / "tokenizer.json", max_tokens=self.workspace.blueprint.max_tokens)
        targets = (CLOSE, FAST)
        material = make_material(self.workspace.blueprint.spec, tokenizer, texts=self.texts)
        try:
            models = quantize(self.workspace, material, targets=targets, tell=tell)
        except CannotWriteError as exc:
            return Written(variants=(), notes=(f"int8 was left out: {exc.message}",))
        by_target = dict(zip(targets, models, strict=True))
        notes = [*_little_text(tokenizer, self.texts), *_much_text(tokenizer, self.texts)]
        rows = self.rows
        if by_target[FAST].selection.rungs == by_target[CLOSE].selection.rungs:
            rows = tuple(row for row in rows if row.name != "int8-fast")
            notes.append("int8-fast was left out: it would be the same as int8, which is as cheap as it gets.")
        written = self._write_rows(rows, by_target, staging)
        variants, told = without_slower(written.variants, staging, material.calibration)
        notes += _class_notes(rows, by_target, frozenset(variant.name for variant in variants))
        return Written(variants=variants, notes=(*notes, *written.notes, *told))

    def _write_rows(self, rows: Sequence[Row], by_target: dict[Target, Quantized], staging: Path) -> Written:
        """The graphs of the rows whose model reached a class."""
        variants, notes = [], []
        reached = [(row, found) for row in rows if (found := by_target[row.target].selection.reached) is not None]
        if not reached:
            return Written(variants=())
        with WeightFile(staging / INT8_WEIGHTS) as weights:
            for row, found in reached:
                try:
                    graph = write_graph(row, by_target[row.target].projections, self.workspace, staging, weights)
                except CannotWriteError as exc:
                    notes.append(f"{row.name} was left out: {exc.message}")
                    continue
                variants.append(as_variant(row, graph, INT8_WEIGHTS, fidelity_class=found))
        if not variants:
            (staging / INT8_WEIGHTS).unlink()
        return Written(variants=tuple(variants), notes=tuple(notes))


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


def _much_text(tokenizer: TextTokenizer, texts: Sequence[str] | None) -> tuple[str, ...]:
    """A note that not all of the user's text was calibrated on; nothing where it was."""
    step = 1 if texts is None else calibration_step(tokenizer, texts)
    if step == 1:
        return ()
    return (f"int8 was calibrated on one text in {step:,}: {MOST_TOKENS:,} tokens are enough.",)


def _class_notes(rows: Sequence[Row], by_target: Mapping[Target, Quantized], names: frozenset[str]) -> Iterator[str]:
    """What class was reached for each variant of ``names``, and for which none was; others have notes of their own."""
    for row in rows:
        model = by_target[row.target]
        # OpenVINO quantises inputs in its own way: what was measured here says nothing of it.
        if row.engine == "onnxruntime" and (row.name in names or model.selection.reached is None):
            yield _note(row.name, model)


def _note(name: str, model: Quantized) -> str:
    figures = _figures(model.selection.fidelity)
    if model.selection.reached is None:
        return f"{name} was left out: it is below every fidelity class ({figures})."
    # A projection that stays in float32 may have been given closer inputs before: the last step counts.
    kinds: Counter[str] = Counter({rung.site: rung.kind for rung in model.selection.rungs}.values())
    total = len(model.projections) + kinds["float32"]
    words = (("closer", "with inputs quantised more closely"), ("float32", "in float32"))
    kept = "".join(f", {kinds[kind]} of {total} projections {how}" for kind, how in words if kinds[kind])
    return f"{name}: {model.selection.reached}{kept} ({figures})."


def _figures(fidelity: AnyFidelity) -> str:
    overlap = f"top-10 {fidelity.top10_overlap:.1%} on"
    if isinstance(fidelity, Fidelity):
        cosines = f"mean cosine {fidelity.cosine_mean:.5f}, lowest {fidelity.cosine_min:.4f}"
        return f"{cosines}, {overlap} {fidelity.texts} held-out texts"
    differences = f"mean difference {fidelity.mean_abs_diff:.5f}, largest {fidelity.max_abs_diff:.4f}"
    return f"{differences}, {overlap} {fidelity.pairs} held-out pairs"
