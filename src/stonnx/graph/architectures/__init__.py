"""The families that stonnx authors: one file each, chosen by ``model_type``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stonnx.errors import CheckpointError, UnsupportedModelError
from stonnx.graph.architectures.albert import read_albert
from stonnx.graph.architectures.base import Architecture
from stonnx.graph.architectures.bert import read_bert
from stonnx.graph.architectures.distilbert import read_distilbert
from stonnx.graph.architectures.electra import read_electra
from stonnx.graph.architectures.mpnet import read_mpnet
from stonnx.graph.architectures.roberta import read_roberta, read_xlm_roberta

__all__ = ["FAMILIES", "Architecture", "read_architecture"]

FAMILIES: Mapping[str, Callable[[Mapping[str, Any]], Architecture]] = {
    "albert": read_albert,
    "bert": read_bert,
    "camembert": read_xlm_roberta,
    "distilbert": read_distilbert,
    "electra": read_electra,
    "mpnet": read_mpnet,
    "roberta": read_roberta,
    "xlm-roberta": read_xlm_roberta,
}
"""How to read ``config.json``, by its ``model_type``."""


def read_architecture(config: Mapping[str, Any]) -> tuple[str, Architecture]:
    """The authored family that a ``config.json`` belongs to, and the encoder it describes.

    Raises:
        CheckpointError: There is no ``model_type``, or a value makes no sense.
        UnsupportedModelError: The family or an option is not authored, or the model brings its own code.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise CheckpointError(
            "config.json has no model_type, so the architecture is unknown.",
            hint="Download config.json again; every model that transformers saved names its model_type there.",
        )
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
