"""``modules.json``: which modules a Sentence Transformers model chains, and where they lie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from stonnx._fields import Fields
from stonnx.artifact.manifest import Kind
from stonnx.checkpoint.kind import check_bare_reranker
from stonnx.checkpoint.source import SourceFolder
from stonnx.checkpoint.spec import ModuleEntry
from stonnx.errors import CheckpointError, UnsupportedModelError

__all__ = ["ModuleChain", "read_modules"]

# The paths that sentence-transformers has given its modules over the years; the file behind the
# package (`.dense` in `modules.dense.Dense`) is optional.
_TYPE = re.compile(
    r"sentence_transformers\.(models|(base|sentence_transformer|cross_encoder)\.modules)(\.\w+)?\.(?P<kind>[A-Z]\w*)"
)
_MOST_MODULES = 50  # real chains have two to five


@dataclass(frozen=True, kw_only=True)
class ModuleChain:
    """The chain of modules, read.

    Attributes:
        transformer_path: Sub-folder of the transformer, POSIX; "" for the root.
        modules: The modules after the transformer, in order, as they are listed.
        notes: What was assumed, for the user.
    """

    transformer_path: str
    modules: tuple[ModuleEntry, ...]
    notes: tuple[str, ...] = ()


def read_modules(folder: SourceFolder, kind: Kind = "embedding") -> ModuleChain:
    """Read the module chain, or the one that sentence-transformers makes up where there is none.

    Args:
        folder: The model.
        kind: What the model is; the chain of a reranker has no module after the transformer.

    Raises:
        CheckpointError: ``modules.json`` is damaged, or a path leaves the folder.
        UnsupportedModelError: A module is not sentence-transformers' own, or the first is no transformer.
    """
    if not folder.exists("modules.json"):
        return _bare_chain(folder) if kind == "embedding" else _bare_reranker(folder)
    entries = [_entry(folder, item) for item in _entries(folder)]
    first, path = entries[0]
    if first != "Transformer":
        raise UnsupportedModelError(
            f"The first module is {first}; stonnx converts models that start with a Transformer.",
            hint="Keep this model on sentence-transformers: static models, models of images, and those with a way of "
            "their own for queries and documents (Router) cannot be converted.",
        )
    if kind == "reranker":
        _check_alone([name for name, _ in entries])
        return ModuleChain(transformer_path=path, modules=())
    modules = tuple(ModuleEntry(kind=name, path=place) for name, place in entries[1:])
    return ModuleChain(transformer_path=path, modules=modules)


def _bare_chain(folder: SourceFolder) -> ModuleChain:
    if folder.exists("1_Pooling/config.json"):
        note = "There is no modules.json: pooling is taken from 1_Pooling/config.json."
        stored = ModuleEntry(kind="Pooling", path="1_Pooling")
        return ModuleChain(transformer_path="", modules=(stored,), notes=(note,))
    note = "There is no modules.json: mean pooling, as sentence-transformers does."
    made_up = ModuleEntry(kind="Pooling", path=None)
    return ModuleChain(transformer_path="", modules=(made_up,), notes=(note,))


def _bare_reranker(folder: SourceFolder) -> ModuleChain:
    config = Fields("config.json", folder.read_object("config.json"), error=CheckpointError)
    check_bare_reranker(folder, config)
    named = ", ".join(config.texts("architectures", default=(), nullable=True)) or "no architecture"
    note = f"No modules.json, and config.json names {named}: read as a cross-encoder, as sentence-transformers does."
    return ModuleChain(transformer_path="", modules=(), notes=(note,))


def _check_alone(kinds: list[str]) -> None:
    if len(kinds) > 1:
        raise UnsupportedModelError(
            f"The cross-encoder chains {', '.join(kinds)}; stonnx converts cross-encoders that are one Transformer.",
            hint="Its classifier must be the one of transformers (…ForSequenceClassification); "
            "scores of language models (LogitScore) and chains with Pooling and Dense are not supported.",
        )


def _entries(folder: SourceFolder) -> list[Any]:
    modules = folder.read_json("modules.json")
    if not isinstance(modules, list) or not modules:
        raise CheckpointError(f"{folder.path / 'modules.json'} must hold a list of modules.")
    if len(modules) > _MOST_MODULES:
        raise CheckpointError(
            f"{folder.path / 'modules.json'} lists {len(modules)} modules; expected at most {_MOST_MODULES}."
        )
    return modules


def _entry(folder: SourceFolder, item: object) -> tuple[str, str]:
    """Kind and path of one entry of ``modules.json``."""
    if not isinstance(item, dict) or not isinstance(item.get("type"), str) or not isinstance(item.get("path"), str):
        raise CheckpointError(f"{folder.path / 'modules.json'} has an entry without a type and a path: {item!r}")
    path = PurePosixPath(item["path"])
    folder.file(str(path))
    match = _TYPE.fullmatch(item["type"])
    if match is None and item["type"].startswith("sentence_transformers."):
        raise UnsupportedModelError(
            f"modules.json names the module {item['type']!r}, which stonnx does not convert.",
            hint="Keep this model on sentence-transformers; sparse and multi-vector encoders cannot be converted.",
        )
    if match is None:
        raise UnsupportedModelError(
            f"modules.json names the module {item['type']!r}, which is not one of sentence-transformers' own.",
            hint="stonnx runs no code that comes with a model; modules of its own cannot be converted.",
        )
    return match["kind"], "" if str(path) == "." else str(path)
