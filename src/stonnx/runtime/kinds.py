"""Which class and which verb run which kind of model.

For example::

    check_kind(artifact, "embedding")      # an error that names the right class where it is something else
"""

from __future__ import annotations

from typing import NamedTuple

from stonnx._extras import UPGRADE
from stonnx.artifact import Artifact
from stonnx.artifact.manifest import Kind
from stonnx.errors import UnsupportedModelError, UsageError

__all__ = ["Runner", "check_kind", "runner_of"]


class Runner(NamedTuple):
    """What runs a kind of model.

    Attributes:
        class_name: Our class.
        verb: Its verb on the command line.
        arguments: An example of what follows the artifact there.
        noun: What such a model is called.
        items: What it is given, in the plural.
    """

    class_name: str
    verb: str
    arguments: str
    noun: str
    items: str


_RUNNERS: dict[Kind, Runner] = {
    "embedding": Runner("Encoder", "encode", '"a text"', "an embedding model", "texts"),
    "reranker": Runner("Reranker", "rerank", '"a query" "a document"', "a reranker", "pairs"),
}


def runner_of(kind: Kind) -> Runner:
    """What runs a kind of model; there is one for every kind that ``check_kind`` lets through."""
    return _RUNNERS[kind]


def check_kind(artifact: Artifact, wanted: Kind) -> None:
    """See that an artifact holds the kind of model that a class runs.

    Args:
        artifact: Any artifact.
        wanted: The kind that the caller can use.

    Raises:
        UsageError: It holds another kind; the message names the class and the verb for it.
        UnsupportedModelError: This stonnx has no class for what it holds.
    """
    manifest = artifact.manifest
    if manifest.kind not in _RUNNERS:
        raise UnsupportedModelError(
            f"{artifact.path} holds a model of the kind {manifest.kind!r}; this stonnx runs none.",
            hint=f"Upgrade: {UPGRADE}",
        )
    if len(manifest.towers) > 1:
        raise UnsupportedModelError(
            f"{artifact.path} holds a model of {len(manifest.towers)} towers; this stonnx runs models of one.",
            hint=f"Upgrade: {UPGRADE}",
        )
    if manifest.kind != wanted:
        found = _RUNNERS[manifest.kind]
        raise UsageError(
            f"{artifact.path} holds {found.noun}, and {_RUNNERS[wanted].class_name} runs {_RUNNERS[wanted].noun}.",
            hint=f"Use stonnx.{found.class_name}.",
            cli_hint=f"stonnx {found.verb} {artifact.path} {found.arguments}",
        )
