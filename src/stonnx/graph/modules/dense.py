"""Dense: a linear layer and its activation, on sentence vectors (rows, width)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from stonnx._fields import Fields
from stonnx.artifact import Stage
from stonnx.checkpoint.torch_class import torch_class
from stonnx.errors import UnsupportedModelError
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.modules.activations import ACTIVATIONS, author_activation
from stonnx.graph.modules.base import (
    SENTENCE_EMBEDDING,
    Draft,
    Features,
    ModuleSource,
    ModuleTarget,
    Widths,
    check_names,
    check_width,
    sentence_width,
)
from stonnx.graph.parameters import Parameters
from stonnx.graph.parts import matrix, vector

__all__ = ["Dense"]

_KEYS = {
    "in_features",
    "out_features",
    "bias",
    "activation_function",
    "module_input_name",
    "module_output_name",
    "use_residual",
}


@dataclass(frozen=True, kw_only=True)
class Dense:
    """``activation(x Wᵀ + b)``, plus the input where ``use_residual`` is set.

    Attributes:
        path: Sub-folder that holds the weights (``linear.weight``, ``linear.bias``, and where they
            exist ``activation_function.weight`` and ``residual.weight``), POSIX.
        in_features: Width of the input.
        out_features: Width of ``linear``'s output.
        bias: Whether ``linear`` has a bias.
        activation: Class name in ``torch.nn``, such as ``"Tanh"``; ``"Identity"`` for none.
        use_residual: Add the input (projected by ``residual.weight`` when the widths differ).
    """

    path: str
    in_features: int
    out_features: int
    bias: bool
    activation: str
    use_residual: bool = False

    kind: ClassVar[str] = "Dense"
    listed: ClassVar[bool] = True

    @classmethod
    def read(cls, source: ModuleSource) -> Self:
        """Read the module's configuration.

        Raises:
            CheckpointError: It is missing or damaged, or a value has the wrong type.
            UnsupportedModelError: An option that is not authored.
        """
        config = source.config()
        check_names(config)
        unknown = ", ".join(sorted(set(config) - _KEYS))
        if unknown:
            source.notes.append(
                f"{config.name}: the options {unknown} are unknown and ignored, as sentence-transformers does."
            )
        return cls(
            path=source.path,
            in_features=config.positive_int("in_features"),
            out_features=config.positive_int("out_features"),
            bias=config.flag("bias", default=True),
            activation=_read_activation(config, source.notes),
            use_residual=config.flag("use_residual", default=False),
        )

    def widths(self, given: Widths) -> Widths:
        """The sentence vector's new width; GLU halves it."""
        check_width(self.kind, self.in_features, sentence_width(given, self.kind))
        halves = self.activation == "GLU"
        return {**given, SENTENCE_EMBEDDING: self.out_features // 2 if halves else self.out_features}

    def author(self, draft: Draft, given: Features) -> Features:
        """One product, the activation, and the residual.

        Raises:
            CheckpointError: Weights are missing or have another shape.
            UnsupportedModelError: The activation is not one that sentence-transformers can load.
        """
        g, p = draft.g, draft.own_tensors(self.path, self._shapes())
        x = given[SENTENCE_EMBEDDING]
        y = g.op("MatMul", [x, matrix(g, p, f"{self.path}/linear.weight")])
        if self.bias:
            y = g.op("Add", [y, vector(g, p, f"{self.path}/linear.bias")])
        y = self._activate(g, p, y)
        if self.use_residual:
            if self.in_features != self.out_features:
                x = g.op("MatMul", [x, matrix(g, p, f"{self.path}/residual.weight")])
            y = g.op("Add", [y, x])
        return {**given, SENTENCE_EMBEDDING: y}

    def describe(self) -> Stage:
        """The module as the manifest tells it."""
        options: dict[str, object] = {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "bias": self.bias,
            "activation": self.activation,
            "use_residual": self.use_residual,
        }
        return Stage(kind=self.kind, options=options)

    def write(self, target: ModuleTarget) -> None:
        """Configuration and weights; ``use_residual`` only where it is set, because old releases do not know it."""
        config: dict[str, object] = {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "bias": self.bias,
            "activation_function": f"torch.nn.{self.activation}",
        }
        target.write_config({**config, "use_residual": True} if self.use_residual else config)
        target.write_weights(self.path)

    def _activate(self, g: GraphBuilder, p: Parameters, y: str) -> str:
        if self.activation == "PReLU":
            return g.op("PRelu", [y, vector(g, p, f"{self.path}/activation_function.weight")])
        if self.activation == "GLU":
            half = self.out_features // 2
            value = g.op("Slice", [y, g.ints(0), g.ints(half), g.ints(1)])
            gate = g.op("Slice", [y, g.ints(half), g.ints(2 * half), g.ints(1)])
            return g.op("Mul", [value, g.op("Sigmoid", [gate])])
        if self.activation not in ACTIVATIONS:
            raise UnsupportedModelError(
                f"The Dense module in {self.path!r} uses torch.nn.{self.activation}, which stonnx does not author.",
                hint="Known: " + ", ".join(sorted([*ACTIVATIONS, "GLU", "PReLU"])) + ".",
            )
        return author_activation(g, y, self.activation)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {"linear.weight": (self.out_features, self.in_features)}
        if self.bias:
            shapes["linear.bias"] = (self.out_features,)
        if self.activation == "PReLU":
            shapes["activation_function.weight"] = (1,)
        if self.use_residual and self.in_features != self.out_features:
            shapes["residual.weight"] = (self.out_features, self.in_features)
        return shapes


def _read_activation(config: Fields, notes: list[str]) -> str:
    path = config.get("activation_function") if "activation_function" in config else "torch.nn.Tanh"
    if not isinstance(path, str):
        raise config.wrong("activation_function", "the path of a torch.nn class")
    if not path.startswith("torch."):
        notes.append(
            f"{config.name}: the activation {path!r} is not torch's own; Tanh instead, as sentence-transformers does."
        )
        return "Tanh"
    activation = torch_class(path)
    if activation is None:
        raise UnsupportedModelError(
            f"{config.name}: the activation {path!r} is not a class of torch.nn.",
            hint="Save the model again with an activation such as torch.nn.Tanh or torch.nn.Identity.",
        )
    return activation
