"""The chain of modules after the transformer: read, checked, and written into a graph in its order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stonnx.artifact.manifest import Kind, Output, OutputKind
from stonnx.checkpoint import ModelSpec, ModuleEntry, SourceFolder
from stonnx.errors import UnsupportedModelError
from stonnx.graph.modules.base import (
    TOKEN_EMBEDDINGS,
    Draft,
    Features,
    HeadModule,
    ModuleSource,
    Widths,
    sentence_width,
)
from stonnx.graph.modules.classifier import Classifier
from stonnx.graph.modules.dense import Dense
from stonnx.graph.modules.layer_norm import LayerNorm
from stonnx.graph.modules.normalize import Normalize
from stonnx.graph.modules.pooling import Pooling

__all__ = ["Chain", "chain_of", "read_chain"]

_READERS: Mapping[str, Callable[[ModuleSource], HeadModule]] = {
    Pooling.kind: Pooling.read,
    Dense.kind: Dense.read,
    LayerNorm.kind: LayerNorm.read,
    Normalize.kind: Normalize.read,
}
_IDLE = ("Dropout",)  # they do nothing at inference
_MADE_UP: Mapping[str, HeadModule] = {Pooling.kind: Pooling()}
_OUTPUTS: Mapping[Kind, tuple[OutputKind, ...]] = {
    "embedding": ("sentence_embedding",),
    "reranker": ("scores", "logits"),
}


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The modules after a transformer, which fit together.

    Attributes:
        modules: In order.
        given: The widths before each of them, and after the last.
        outputs: The results of the model, the main one first.
        notes: What was assumed, one sentence each.
    """

    modules: tuple[HeadModule, ...]
    given: tuple[Widths, ...]
    outputs: tuple[Output, ...]
    notes: tuple[str, ...] = ()

    @property
    def excludes_prompt(self) -> bool:
        """Whether the graph must know how many tokens of a row are the prompt's."""
        return any(isinstance(module, Pooling) and not module.include_prompt for module in self.modules)

    def author(self, draft: Draft, hidden: str) -> Features:
        """Write all modules.

        Args:
            draft: The graph.
            hidden: The token vectors, float32, shape (rows, tokens, width).

        Returns:
            The tensors of ``outputs``, float32, shape (rows, width).

        Raises:
            CheckpointError: Weights of a module are missing or have another shape.
            UnsupportedModelError: An activation is not authored.
        """
        features: Features = {TOKEN_EMBEDDINGS: hidden}
        for module in self.modules:
            features = module.author(draft, features)
        return {output.name: features[output.name] for output in self.outputs}


def read_chain(folder: SourceFolder, spec: ModelSpec, *, family: str, width: int) -> Chain:
    """Read the modules of a model and see that they fit together.

    Args:
        folder: The model.
        spec: The same, read.
        family: The architecture of the transformer: ``model_type`` in ``config.json``.
        width: Length of its token vectors.

    Raises:
        CheckpointError: A module's configuration is missing or damaged, or it expects another width than there is.
        UnsupportedModelError: A module, its place or an option is not authored.
    """
    notes: list[str] = []
    read = (_read(folder, entry, notes) for entry in spec.modules)
    modules = [module for module in read if module is not None]
    if spec.kind == "reranker":
        modules.append(Classifier.read(spec, family=family, width=width))
    return chain_of(modules, kind=spec.kind, width=width, notes=notes)


def chain_of(modules: Sequence[HeadModule], *, kind: Kind, width: int, notes: Sequence[str] = ()) -> Chain:
    """Modules as a chain.

    Args:
        modules: In order.
        kind: What the model is for, which says what must come of it.
        width: Length of the transformer's token vectors.
        notes: What was assumed when they were read.

    Raises:
        CheckpointError: A module expects another width than there is.
        UnsupportedModelError: A module cannot stand at its place, or the chain has no such result.
    """
    given: list[Widths] = [{TOKEN_EMBEDDINGS: width}]
    for module in modules:
        given.append(module.widths(given[-1]))
    if kind == "embedding":
        sentence_width(given[-1], "no module")
    outputs = (Output(name=name, kind=name, dimension=given[-1][name]) for name in _OUTPUTS[kind])
    return Chain(modules=tuple(modules), given=tuple(given), outputs=tuple(outputs), notes=tuple(notes))


def _read(folder: SourceFolder, entry: ModuleEntry, notes: list[str]) -> HeadModule | None:
    """One module; None for one that does nothing."""
    if entry.kind in _IDLE:
        notes.append(f"The {entry.kind} module {entry.path} is left out: it does nothing at inference.")
        return None
    if entry.kind not in _READERS:
        supported = ", ".join(("Transformer", *list(_READERS)[:-1])) + f", {list(_READERS)[-1]} and {_IDLE[0]}"
        raise UnsupportedModelError(
            f"The model has a {entry.kind} module ({entry.path or 'root'}), which stonnx does not convert.",
            hint=f"Modules that are converted: {supported}. Ask for this one in the issue tracker.",
        )
    if entry.path is None:
        return _MADE_UP[entry.kind]
    return _READERS[entry.kind](ModuleSource(folder, entry.path, notes))
