"""Normalize: the sentence vector divided by its length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from stonnx.artifact import Stage
from stonnx.graph.modules.base import (
    SENTENCE_EMBEDDING,
    Draft,
    Features,
    ModuleSource,
    ModuleTarget,
    Widths,
    check_names,
    sentence_width,
)

__all__ = ["Normalize"]

_EPS = 1e-12  # torch.nn.functional.normalize's default


@dataclass(frozen=True, kw_only=True)
class Normalize:
    """Division by the L2 norm, at least 1e-12."""

    kind: ClassVar[str] = "Normalize"
    listed: ClassVar[bool] = True

    @classmethod
    def read(cls, source: ModuleSource) -> Self:
        """Read the module's configuration, which may be missing.

        Raises:
            CheckpointError: It is damaged.
            UnsupportedModelError: The module works on something else than the sentence vector.
        """
        check_names(source.config_if_any())
        return cls()

    def widths(self, given: Widths) -> Widths:
        """As they are."""
        sentence_width(given, self.kind)
        return given

    def author(self, draft: Draft, given: Features) -> Features:
        """``x / max(‖x‖₂, 1e-12)``."""
        g, x = draft.g, given[SENTENCE_EMBEDDING]
        norm = g.op("ReduceL2", [x], attributes={"axes": (1,), "keepdims": 1})
        return {**given, SENTENCE_EMBEDDING: g.op("Div", [x, g.op("Max", [norm, g.scalar(_EPS)])])}

    def describe(self) -> Stage:
        """The module as the manifest tells it."""
        return Stage(kind=self.kind)

    def write(self, target: ModuleTarget) -> None:
        """An empty configuration."""
        target.write_config({})
