"""``modules.json``: which modules a Sentence Transformers model chains, and where they lie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from stonnx.checkpoint.head import read_head_module
from stonnx.checkpoint.source import SourceFolder
from stonnx.checkpoint.spec import HeadModule, Pooling
from stonnx.errors import CheckpointError, UnsupportedModelError

__all__ = ["ModuleChain", "read_modules"]

# The paths that sentence-transformers has given its modules over the years; the file behind the
# package (`.dense` in `modules.dense.Dense`) is optional.
_TYPE = re.compile(
    r"sentence_transformers\.(models|base\.modules|sentence_transformer\.modules)(\.\w+)?\.(?P<kind>[A-Z]\w*)"
)
_HEAD_KINDS = ("Pooling", "Dense", "LayerNorm", "Normalize", "Dropout")
_MOST_MODULES = 50  # real chains have two to five
_SUPPORTED = "Transformer, Pooling, Dense, LayerNorm, Normalize and Dropout"


@dataclass(frozen=True, kw_only=True)
class ModuleChain:
    """The chain of modules, read.

    Attributes:
        transformer_path: Sub-folder of the transformer, POSIX; "" for the root.
        head: The modules behind the transformer, in order.
        notes: What was assumed, for the user.
    """

    transformer_path: str
    head: tuple[HeadModule, ...]
    notes: tuple[str, ...] = ()


def read_modules(folder: SourceFolder) -> ModuleChain:
    """Read the module chain, or the one that sentence-transformers makes up where there is none.

    Raises:
        CheckpointError: ``modules.json`` or a module's configuration is damaged or missing, or a
            path leaves the folder.
        UnsupportedModelError: A module, its order or an option of it is not one that stonnx authors.
    """
    if not folder.exists("modules.json"):
        return _bare_chain(folder)
    entries = [_entry(folder, item) for item in _entries(folder)]
    kind, path = entries[0]
    if kind != "Transformer":
        raise UnsupportedModelError(
            f"The first module is {kind}; stonnx converts models that start with a Transformer.",
            hint="Static and other models without a transformer cannot be converted.",
        )
    notes: list[str] = []
    head = [module for entry in entries[1:] if (module := _head(folder, *entry, notes)) is not None]
    _check_order(head)
    return ModuleChain(transformer_path=path, head=tuple(head), notes=tuple(notes))


def _bare_chain(folder: SourceFolder) -> ModuleChain:
    if folder.exists("1_Pooling/config.json"):
        notes: list[str] = []
        pooling = read_head_module(folder, "Pooling", "1_Pooling", notes)
        note = "There is no modules.json: pooling is taken from 1_Pooling/config.json."
        return ModuleChain(transformer_path="", head=(pooling,), notes=(note, *notes))
    note = "There is no modules.json: mean pooling, as sentence-transformers does."
    return ModuleChain(transformer_path="", head=(Pooling(modes=("mean",)),), notes=(note,))


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
    if match is None:
        raise UnsupportedModelError(
            f"modules.json names the module {item['type']!r}, which is not one of sentence-transformers' own.",
            hint="stonnx runs no code that comes with a model; modules of its own cannot be converted.",
        )
    return match["kind"], "" if str(path) == "." else str(path)


def _head(folder: SourceFolder, kind: str, path: str, notes: list[str]) -> HeadModule | None:
    if kind not in _HEAD_KINDS:
        raise UnsupportedModelError(
            f"The model has a {kind} module ({path or 'root'}), which stonnx does not convert.",
            hint=f"Modules that are converted: {_SUPPORTED}. Ask for this one in the issue tracker.",
        )
    if kind == "Dropout":
        notes.append(f"The Dropout module {path} is left out: it does nothing at inference.")
        return None
    return read_head_module(folder, kind, path, notes)


def _check_order(head: list[HeadModule]) -> None:
    """Only what reads the sentence vector may follow the pooling, and something must make that vector."""
    if not head or not isinstance(head[0], Pooling):
        found = type(head[0]).__name__ if head else "no module"
        raise UnsupportedModelError(
            f"The Transformer is followed by {found}; stonnx converts chains where Pooling comes next.",
            hint="Models whose output is one vector per token are not supported.",
        )
    if any(isinstance(module, Pooling) for module in head[1:]):
        raise UnsupportedModelError(
            "The model has more than one Pooling module; stonnx converts chains with exactly one.",
            hint="Several pooling modes in one Pooling module are fine.",
        )
