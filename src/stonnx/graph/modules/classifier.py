"""Classifier: the last layers of a cross-encoder, from the first token's vector to a score per label.

They belong to the transformer's own class (``*ForSequenceClassification`` in transformers): a hidden layer, called
pooler in some families, and a linear map to the labels. Its dropout does nothing at inference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from stonnx.artifact import Stage
from stonnx.checkpoint import ModelSpec
from stonnx.errors import UnsupportedModelError
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.modules.activations import ACTIVATIONS, author_activation
from stonnx.graph.modules.base import (
    LOGITS,
    SCORES,
    TOKEN_EMBEDDINGS,
    Draft,
    Features,
    ModuleTarget,
    Widths,
    check_width,
)
from stonnx.graph.parameters import Parameters, match_tensors
from stonnx.graph.parts import integer, matrix, vector

__all__ = ["CLASSIFIERS", "Classifier"]

# sentence-transformers keeps the activation outside of the model, so that `eval()` does not reach it.
_RANDOM = frozenset({"AlphaDropout", "Dropout", "FeatureAlphaDropout", "RReLU"})


@dataclass(frozen=True)
class Layers:
    """Where a family has its classifier (transformers 5, ``*ForSequenceClassification``).

    Attributes:
        hidden: The hidden layer; its tensors are ``.weight`` and ``.bias``.
        activation: What follows it: class name in ``torch.nn``.
        out: The map to the labels; its tensors are ``.weight`` and ``.bias``.
    """

    hidden: str
    activation: str
    out: str


_HEAD = Layers("classifier.dense", "Tanh", "classifier.out_proj")

CLASSIFIERS: Mapping[str, Layers] = {
    "albert": Layers("albert.pooler", "Tanh", "classifier"),
    "bert": Layers("bert.pooler.dense", "Tanh", "classifier"),
    "camembert": _HEAD,
    "distilbert": Layers("pre_classifier", "ReLU", "classifier"),
    "electra": Layers("classifier.dense", "GELU", "classifier.out_proj"),  # whatever summary_activation says
    "mpnet": _HEAD,
    "roberta": _HEAD,
    "xlm-roberta": _HEAD,
}
"""By ``model_type``."""


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """First token, hidden layer, map to the labels, and the activation that turns logits into scores.

    Attributes:
        path: The transformer's sub-folder, which holds the weights, POSIX; "" for the root.
        layers: What the tensors are called.
        width: Length of a token vector.
        labels: Names of the labels, in the order of the logits.
        activation: From logits to scores: class name in ``torch.nn``; ``"Identity"`` for nothing.
    """

    path: str
    layers: Layers
    width: int
    labels: tuple[str, ...]
    activation: str

    kind: ClassVar[str] = "Classifier"
    listed: ClassVar[bool] = False

    @classmethod
    def read(cls, spec: ModelSpec, *, family: str, width: int) -> Self:
        """The classifier of a cross-encoder.

        Args:
            spec: The model, whose ``classification`` is not None.
            family: The architecture: ``model_type`` in ``config.json``.
            width: Length of its token vectors.

        Raises:
            UnsupportedModelError: The family has no classifier, or the activation is not authored.
            ValueError: ``classification`` is None.
        """
        if spec.classification is None:
            raise ValueError(f"{spec.name} has no labels.")
        if family not in CLASSIFIERS:
            raise UnsupportedModelError(
                f"The classifier of the architecture {family!r} is not authored by this version; it authors those of "
                f"{', '.join(CLASSIFIERS)}."
            )
        activation = spec.classification.activation
        if activation in _RANDOM:
            raise UnsupportedModelError(
                f"The scores' activation is torch.nn.{activation}, with which sentence-transformers gives random "
                "scores; stonnx does not author it.",
                hint="Correct activation_fn in the model's configuration, such as to torch.nn.modules.linear.Identity.",
            )
        if activation not in ACTIVATIONS:
            raise UnsupportedModelError(
                f"The scores' activation is torch.nn.{activation}, which stonnx does not author.",
                hint=f"Known: {', '.join(sorted(ACTIVATIONS.keys() - _RANDOM))}.",
            )
        return cls(
            path=spec.transformer_path,
            layers=CLASSIFIERS[family],
            width=width,
            labels=spec.classification.labels,
            activation=activation,
        )

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor that it needs, by its name in the transformer's weights."""
        hidden, out, labels = self.layers.hidden, self.layers.out, len(self.labels)
        return {
            f"{hidden}.weight": (self.width, self.width),
            f"{hidden}.bias": (self.width,),
            f"{out}.weight": (labels, self.width),
            f"{out}.bias": (labels,),
        }

    def widths(self, given: Widths) -> Widths:
        """Logits and scores, one of each per label."""
        check_width(self.kind, self.width, given[TOKEN_EMBEDDINGS])
        return {**given, LOGITS: len(self.labels), SCORES: len(self.labels)}

    def author(self, draft: Draft, given: Features) -> Features:
        """Logits and scores, float32, shape (rows, labels).

        The first token is the one at position 0, as transformers takes it, whatever the mask says.

        Raises:
            CheckpointError: Weights are missing or have another shape.
        """
        g = draft.g
        p = match_tensors(draft.open_weights(self.path), self.tensors(), prefixes=("",))
        x = g.op("Gather", [given[TOKEN_EMBEDDINGS], integer(g, 0)], attributes={"axis": 1})  # (rows, width)
        x = author_activation(g, _linear(g, p, x, self.layers.hidden), self.layers.activation)
        logits = _linear(g, p, x, self.layers.out)
        return {**given, LOGITS: logits, SCORES: author_activation(g, logits, self.activation)}

    def describe(self) -> Stage:
        """The module as the manifest tells it."""
        return Stage(kind=self.kind, options={"labels": len(self.labels), "hidden_activation": self.layers.activation})

    def write(self, target: ModuleTarget) -> None:
        """Nothing: ``config.json`` of the transformer tells of it."""


def _linear(g: GraphBuilder, p: Parameters, x: str, name: str) -> str:
    """``x Wᵀ + b``, shape (rows, out)."""
    product = g.op("MatMul", [x, matrix(g, p, f"{name}.weight")])
    return g.op("Add", [product, vector(g, p, f"{name}.bias")])
