"""The families that stonnx authors: one file each, chosen by ``model_type``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from stonnx.errors import CheckpointError, UnsupportedModelError
from stonnx.graph.architectures.bert import Bert
from stonnx.graph.architectures.mpnet import MPNet
from stonnx.graph.blocks import GraphInputs
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.dialects import Dialect
from stonnx.graph.parameters import Parameters

__all__ = ["FAMILIES", "Architecture", "read_architecture"]


class Architecture(Protocol):
    """An encoder that can be authored: a configuration that was checked."""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What may stand before the tensor names in a checkpoint."""
        ...

    @property
    def width(self) -> int:
        """Length of a token vector."""
        ...

    @property
    def vocabulary(self) -> int:
        """Rows of the table of words."""
        ...

    @property
    def token_types(self) -> bool:
        """Whether the encoder takes ``token_type_ids``."""
        ...

    def expected_tensors(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor that the encoder needs, by name."""
        ...

    def author(self, g: GraphBuilder, p: Parameters, dialect: Dialect, inputs: GraphInputs) -> str:
        """Write the encoder; the result is the last hidden state, float32, (rows, tokens, width)."""
        ...


FAMILIES: Mapping[str, Callable[[Mapping[str, Any]], Architecture]] = {"bert": Bert.read, "mpnet": MPNet.read}
"""How to read ``config.json``, by its ``model_type``."""


def read_architecture(config: Mapping[str, Any]) -> tuple[str, Architecture]:
    """The authored family that a ``config.json`` belongs to, and the encoder it describes.

    Raises:
        CheckpointError: There is no ``model_type``, or a value makes no sense.
        UnsupportedModelError: The family or an option is not authored, or the model brings its own code.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise CheckpointError("config.json has no model_type, so the architecture is unknown.")
    if config.get("auto_map"):
        raise UnsupportedModelError(
            f"The model brings its own code (auto_map in config.json, model_type {model_type!r}); "
            "stonnx never runs code from a model folder.",
            hint="Use a model whose architecture is part of transformers.",
        )
    if model_type not in FAMILIES:
        raise UnsupportedModelError(
            f"The architecture {model_type!r} is not authored by this version; it authors: {', '.join(FAMILIES)}.",
            hint="Use a model of one of these families, or keep this one on sentence-transformers.",
        )
    return model_type, FAMILIES[model_type](config)
