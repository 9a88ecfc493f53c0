"""Which kind of model a folder holds, told as sentence-transformers tells it."""

from __future__ import annotations

from stonnx._fields import Fields
from stonnx.artifact.manifest import Kind
from stonnx.checkpoint.source import SourceFolder
from stonnx.errors import CheckpointError, UnsupportedModelError

__all__ = ["check_bare_reranker", "is_classifier", "read_kind"]

_CLASSIFIER = "ForSequenceClassification"
_GENERATOR = "ForCausalLM"
_TEMPLATES = ("chat_template.jinja", "chat_template.json")


def read_kind(folder: SourceFolder, settings: Fields) -> Kind:
    """Tell embedding models from cross-encoders.

    ``config_sentence_transformers.json`` names the kind; where it does not, a chain of modules makes an embedding.
    A folder with neither is a cross-encoder when ``config.json`` names a class ``…ForSequenceClassification``.

    Args:
        folder: The model.
        settings: ``config_sentence_transformers.json``; empty where there is none.

    Raises:
        CheckpointError: ``config.json`` is needed, and missing or damaged.
        UnsupportedModelError: The model is of a kind that stonnx does not convert.
    """
    named = settings.get("model_type") or "SentenceTransformer"
    if named == "CrossEncoder":
        return "reranker"
    if named != "SentenceTransformer":
        raise UnsupportedModelError(
            f"The model is a {named}; stonnx converts models of the kinds SentenceTransformer and CrossEncoder.",
            hint="Sparse and multi-vector encoders cannot be converted.",
        )
    if any(folder.exists(name) for name in (settings.name, "modules.json", "1_Pooling/config.json")):
        return "embedding"
    config = Fields("config.json", folder.read_object("config.json"), error=CheckpointError)
    return "reranker" if is_classifier(config) else "embedding"


def is_classifier(config: Fields) -> bool:
    """Whether the checkpoint was saved with a classifier on top of the transformer.

    Args:
        config: The transformer's ``config.json``.

    Raises:
        CheckpointError: ``architectures`` is no list of texts.
    """
    return any(name.endswith(_CLASSIFIER) for name in config.texts("architectures", default=(), nullable=True))


def check_bare_reranker(folder: SourceFolder, config: Fields) -> None:
    """Refuse what CrossEncoder reads into a folder without ``modules.json`` other than a classifier over pairs.

    Args:
        folder: The model.
        config: Its ``config.json``.

    Raises:
        CheckpointError: A file is damaged.
        UnsupportedModelError: The model generates text, or wraps pairs in a chat template.
    """
    names = config.texts("architectures", default=(), nullable=True)
    if names and names[0].endswith(_GENERATOR):
        raise UnsupportedModelError(
            f"The cross-encoder is a {names[0]}, which scores a pair by the next token of a language model.",
            hint=f"stonnx converts cross-encoders with a classifier (…{_CLASSIFIER}).",
        )
    name = "tokenizer_config.json"
    stored = folder.read_object(name).get("chat_template") if folder.exists(name) else None
    if stored is not None or any(folder.exists(path) for path in _TEMPLATES):
        raise UnsupportedModelError(
            "The cross-encoder's tokenizer has a chat template, which sentence-transformers wraps pairs in.",
            hint="stonnx reads pairs as the tokenizer joins two texts; remove the template if the model works without.",
        )
