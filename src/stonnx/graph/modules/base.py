"""What every head module can do: say what it needs and gives, write itself into a graph, and into a folder.

A chain hands tensors on by name, as sentence-transformers does: the transformer gives ``token_embeddings``, a Pooling
module adds ``sentence_embedding``, and so on. A module takes what it needs by name and returns what there is after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stonnx._fields import Fields
from stonnx._io import write_json
from stonnx.artifact import Stage
from stonnx.checkpoint import SourceFolder, Weights
from stonnx.errors import CheckpointError, UnsupportedModelError
from stonnx.graph.blocks import GraphInputs
from stonnx.graph.builder import GraphBuilder
from stonnx.graph.modules.tensor_file import write_tensor_file
from stonnx.graph.parameters import Parameters, TensorSource, match_tensors

__all__ = [
    "LOGITS",
    "SCORES",
    "SENTENCE_EMBEDDING",
    "TOKEN_EMBEDDINGS",
    "Draft",
    "Features",
    "HeadModule",
    "ModuleSource",
    "ModuleTarget",
    "OpenWeights",
    "Widths",
    "check_names",
    "check_width",
    "sentence_width",
]

TOKEN_EMBEDDINGS = "token_embeddings"
"""One vector per token, float32, shape (rows, tokens, width)."""
SENTENCE_EMBEDDING = "sentence_embedding"
"""One vector per row, float32, shape (rows, width)."""
LOGITS = "logits"
"""What a classifier says of every label, float32, shape (rows, labels)."""
SCORES = "scores"
"""The same after the model's activation."""

Features = Mapping[str, str]
"""The tensors that a module is given, or gives: their names in the graph, by what they are."""
Widths = Mapping[str, int]
"""The length of their last axis, by what they are."""
OpenWeights = Callable[[str], TensorSource]
"""Opens the weights in a folder of the model; "" is its root."""


@dataclass(frozen=True)
class Draft:
    """A graph that is being written.

    Attributes:
        g: Where nodes go.
        inputs: The graph's inputs.
        open_weights: Opens the weights in a folder of the model.
    """

    g: GraphBuilder
    inputs: GraphInputs
    open_weights: OpenWeights

    def own_tensors(self, path: str, shapes: Mapping[str, tuple[int, ...]]) -> Parameters:
        """The tensors in a module's folder, as ``path/name``, so that two modules never share a name in the graph.

        Raises:
            CheckpointError: Tensors are missing or have another shape.
        """
        p = match_tensors(self.open_weights(path), shapes, prefixes=("",))
        return Parameters(p.source, {f"{path}/{name}": stored for name, stored in p.names.items()}, p.unused)


@dataclass(frozen=True)
class ModuleSource:
    """A module of the original model, to be read.

    Attributes:
        folder: The model.
        path: The module's sub-folder, POSIX; "" for the root.
        notes: Receives what is assumed, one sentence each.
    """

    folder: SourceFolder
    path: str
    notes: list[str]

    @property
    def config_name(self) -> str:
        """What messages call its configuration."""
        return f"{self.path}/config.json" if self.path else "config.json"

    def config(self) -> Fields:
        """Its configuration.

        Raises:
            CheckpointError: It is missing, damaged or no JSON object.
        """
        return Fields(self.config_name, self.folder.read_object(self.config_name), error=CheckpointError)

    def config_if_any(self) -> Fields:
        """The same; no fields where there is no file."""
        if self.folder.exists(self.config_name):
            return self.config()
        return Fields(self.config_name, {}, error=CheckpointError)


@dataclass(frozen=True)
class ModuleTarget:
    """Where a module of the artifact is written.

    Attributes:
        out: Its folder; it exists.
        source: The original model.
        given: The widths before the module.
    """

    out: Path
    source: SourceFolder
    given: Widths

    def write_config(self, config: Mapping[str, object]) -> None:
        """Write ``config.json``."""
        write_json(self.out / "config.json", dict(config))

    def write_weights(self, path: str) -> None:
        """Write ``model.safetensors`` in float32: the tensors of the original's sub-folder ``path``.

        Raises:
            CheckpointError: They are damaged.
        """
        with Weights.open(self.source, path) as weights:
            write_tensor_file(self.out / "model.safetensors", weights)


class HeadModule(Protocol):
    """A module after the transformer: a configuration that was read and checked."""

    @property
    def kind(self) -> str:
        """Class name in sentence-transformers, or of the part of transformers' models that it is."""
        ...

    @property
    def listed(self) -> bool:
        """Whether ``modules.json`` names it, and it has a folder; else it belongs to the transformer."""
        ...

    def widths(self, given: Widths) -> Widths:
        """The widths after this module, from those before it.

        Raises:
            CheckpointError: It expects another width than there is.
            UnsupportedModelError: It cannot stand at this place.
        """
        ...

    def author(self, draft: Draft, given: Features) -> Features:
        """Write the module into a graph and return the tensors after it.

        Raises:
            CheckpointError: Weights are missing or have another shape.
            UnsupportedModelError: An activation is not authored.
        """
        ...

    def describe(self) -> Stage:
        """The module as the manifest tells it."""
        ...

    def write(self, target: ModuleTarget) -> None:
        """Write configuration and weights as every release of sentence-transformers reads them.

        Raises:
            CheckpointError: The weights are damaged.
        """
        ...


def sentence_width(given: Widths, kind: str) -> int:
    """Width of the sentence vector that a module of ``kind`` works on.

    Raises:
        UnsupportedModelError: There is none yet.
    """
    if SENTENCE_EMBEDDING not in given:
        raise UnsupportedModelError(
            f"The Transformer is followed by {kind}; stonnx converts chains where Pooling comes next.",
            hint="Models whose output is one vector per token are not supported.",
        )
    return given[SENTENCE_EMBEDDING]


def check_width(kind: str, expected: int, found: int) -> None:
    """See that a module gets vectors of the length that it expects.

    Raises:
        CheckpointError: It does not.
    """
    if expected != found:
        raise CheckpointError(
            f"The {kind} module expects vectors of length {expected}, and the module before it gives {found}."
        )


def check_names(config: Fields) -> None:
    """See that a module reads and writes the sentence vector.

    Raises:
        UnsupportedModelError: It works on something else.
    """
    for key in ("module_input_name", "module_output_name"):
        value = config.get(key)
        if value is not None and value != SENTENCE_EMBEDDING:
            raise UnsupportedModelError(
                f"{config.name}: {key} is {value!r}; stonnx converts modules that work on {SENTENCE_EMBEDDING!r}.",
                hint="Models that work on token vectors after the transformer are not supported.",
            )
