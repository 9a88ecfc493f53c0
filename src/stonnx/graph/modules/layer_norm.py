"""LayerNorm: layer normalisation of the sentence vector (Ba et al. 2016, arXiv:1607.06450)."""

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
    check_width,
    sentence_width,
)
from stonnx.graph.parts import vector

__all__ = ["LayerNorm"]

_EPS = 1e-5  # torch.nn.LayerNorm's default, which sentence-transformers does not change


@dataclass(frozen=True, kw_only=True)
class LayerNorm:
    """Layer normalisation with eps 1e-5.

    Attributes:
        path: Sub-folder that holds the weights ``norm.weight`` and ``norm.bias``, POSIX.
        dimension: Width of the vector.
    """

    path: str
    dimension: int

    kind: ClassVar[str] = "LayerNorm"
    listed: ClassVar[bool] = True

    @classmethod
    def read(cls, source: ModuleSource) -> Self:
        """Read the module's configuration.

        Raises:
            CheckpointError: It is missing or damaged, or a value has the wrong type.
        """
        return cls(path=source.path, dimension=source.config().positive_int("dimension"))

    def widths(self, given: Widths) -> Widths:
        """As they are."""
        check_width(self.kind, self.dimension, sentence_width(given, self.kind))
        return given

    def author(self, draft: Draft, given: Features) -> Features:
        """One LayerNormalization.

        Raises:
            CheckpointError: Weights are missing or have another shape.
        """
        names = ("norm.weight", "norm.bias")
        g, p = draft.g, draft.own_tensors(self.path, dict.fromkeys(names, (self.dimension,)))
        operands = [given[SENTENCE_EMBEDDING], *(vector(g, p, f"{self.path}/{name}") for name in names)]
        y = g.op("LayerNormalization", operands, attributes={"axis": -1, "epsilon": _EPS})
        return {**given, SENTENCE_EMBEDDING: y}

    def describe(self) -> Stage:
        """The module as the manifest tells it."""
        return Stage(kind=self.kind, options={"dimension": self.dimension})

    def write(self, target: ModuleTarget) -> None:
        """Configuration and weights."""
        target.write_config({"dimension": self.dimension})
        target.write_weights(self.path)
