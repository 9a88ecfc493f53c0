"""Folders without ``modules.json`` whose other Sentence Transformers files say how they are meant.

sentence-transformers ignores those files then and pools by mean. stonnx honours them (bge-small-zh-v1.5
is often passed around this way, and needs CLS pooling), so the original has to be run with them too.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stonnx._io import write_json

__all__ = ["ignored_settings", "readable_folder"]

_POOLING = "1_Pooling/config.json"
_TYPES = "sentence_transformers.models."


def ignored_settings(source: str | Path) -> tuple[str, ...]:
    """The settings in a folder without ``modules.json`` that sentence-transformers does not read there, POSIX paths.

    Args:
        source: A model folder, or a hub id, which has none.
    """
    folder = Path(source)
    if not folder.is_dir() or (folder / "modules.json").exists():
        return ()
    configs = sorted(path.name for path in folder.glob("sentence_*_config.json"))
    names = (_POOLING, "config_sentence_transformers.json", *configs)
    return tuple(name for name in names if (folder / name).exists())


@contextlib.contextmanager
def readable_folder(source: Path) -> Iterator[Path]:
    """A folder that sentence-transformers reads as it is meant, for as long as the context lasts.

    Args:
        source: A model folder.

    Yields:
        ``source`` itself where it has ``modules.json`` or nothing beside the bare model; else a temporary folder
        of links to its files, with the ``modules.json`` that is missing.
    """
    if not ignored_settings(source):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="stonnx-reference-") as name:
        folder = Path(name)
        for path in source.iterdir():
            (folder / path.name).symlink_to(path.resolve())
        if not (folder / _POOLING).exists():
            _write_mean_pooling(folder)
        modules = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling")]
        write_json(
            folder / "modules.json",
            [{"idx": int(index), "name": index, "path": path, "type": _TYPES + kind} for index, path, kind in modules],
        )
        yield folder


def _write_mean_pooling(folder: Path) -> None:
    width = json.loads((folder / "config.json").read_text(encoding="utf-8"))["hidden_size"]
    (folder / "1_Pooling").mkdir()
    write_json(folder / _POOLING, {"word_embedding_dimension": width, "pooling_mode_mean_tokens": True})
