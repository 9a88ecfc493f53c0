"""The answer of a cross-encoder: its labels, and what is applied to the logits.

As ``CrossEncoder`` of sentence-transformers 6.2 resolves them: the activation from
``config_sentence_transformers.json``, then from ``config.json`` under today's key or the older one.
"""

from __future__ import annotations

from stonnx._fields import Fields
from stonnx.checkpoint.kind import is_classifier
from stonnx.checkpoint.spec import Classification
from stonnx.checkpoint.torch_class import torch_class
from stonnx.errors import CheckpointError, UnsupportedModelError

__all__ = ["read_classification"]

_MOST_LABELS = 10_000  # rerankers have one; the largest classifiers have some thousands
_DEFAULT_LABELS = 2  # transformers does not write the count when it is this one
_OLD_KEY = "sbert_ce_default_activation_function"  # before sentence-transformers 4


def read_classification(config: Fields, settings: Fields, notes: list[str]) -> Classification:
    """Read the labels and the activation.

    Args:
        config: The transformer's ``config.json``.
        settings: ``config_sentence_transformers.json``; empty where it does not count.
        notes: Receives what was assumed, for the user.

    Raises:
        CheckpointError: A value has the wrong type, or the labels make no sense.
        UnsupportedModelError: The activation is not a class of ``torch.nn``.
    """
    labels = _labels(config)
    default = "Sigmoid" if len(labels) == 1 else "Identity"
    for fields, key in _activations(config, settings):
        path = fields.text(key, default=None)
        if path is None:
            continue
        if path.startswith("torch."):
            return Classification(labels=labels, activation=_activation(fields, key, path))
        notes.append(
            f"{fields.name}: the activation {path!r} is not torch's own and is ignored, as sentence-transformers does."
        )
    return Classification(labels=labels, activation=default)


def _activations(config: Fields, settings: Fields) -> list[tuple[Fields, str]]:
    """Where an activation may be named, the first that counts first."""
    inner = config.object("sentence_transformers", default={}, nullable=True)
    if "activation_fn" in inner:
        named = Fields(f"{config.name}: sentence_transformers", inner, error=CheckpointError)
        return [(settings, "activation_fn"), (named, "activation_fn")]
    return [(settings, "activation_fn"), (config, _OLD_KEY)]


def _activation(fields: Fields, key: str, path: str) -> str:
    name = torch_class(path)
    if name is None:
        raise fields.wrong(
            key,
            "a class of torch.nn",
            hint="Save the model again with an activation such as torch.nn.Sigmoid or torch.nn.Identity.",
            error=UnsupportedModelError,
        )
    return name


def _labels(config: Fields) -> tuple[str, ...]:
    """Names by index; a count that the names do not fit wins over them, as in transformers."""
    if not is_classifier(config):
        return ("LABEL_0",)  # CrossEncoder puts a classifier of one label on every other checkpoint
    named = config.object("id2label", default=None)
    if named is not None and not 1 <= len(named) <= _MOST_LABELS:
        raise CheckpointError(f"{config.name}: id2label has {len(named)} labels; expected 1 to {_MOST_LABELS}.")
    by_index = _by_index(config, named or {})
    count = config.positive_int("num_labels", default=len(by_index) or _DEFAULT_LABELS, at_most=_MOST_LABELS)
    if len(by_index) != count:
        by_index = {}
    return tuple(by_index.get(index, f"LABEL_{index}") for index in range(count))


def _by_index(config: Fields, named: dict[str, object]) -> dict[int, str]:
    labels: dict[int, str] = {}
    for key, label in named.items():
        whole = isinstance(label, int) and not isinstance(label, bool)  # some files count instead of naming
        if not (key.isascii() and key.isdecimal() and len(key) <= 9) or not (isinstance(label, str) or whole):
            raise config.wrong("id2label", f"texts by index; the entry {key[:80]!r} is not one")
        labels[int(key)] = str(label)
    return labels
