"""The layout of a Hugging Face cache, whose folders hold links where others hold files."""

from __future__ import annotations

from pathlib import Path

__all__ = ["blob_stores"]

# Written by huggingface_hub into a blob store that it shares between repositories.
_SHARED_BLOBS_MARKER = ".huggingface-shared-blobs"


def blob_stores(path: Path) -> tuple[Path, ...]:
    """The blob stores that links of a Hugging Face cache snapshot lead to; none for other folders.

    The layout is ``CACHE/models--org--name/{snapshots/COMMIT,blobs}``; since huggingface_hub 2, blobs may be
    links themselves, into ``CACHE/blobs``. A store that is a link is not trusted: it could lead anywhere.

    Args:
        path: The snapshot, or a folder somewhere below it.
    """
    path = path.resolve()
    snapshot = next((folder for folder in (path, *path.parents) if _is_snapshot(folder)), None)
    if snapshot is None:
        return ()
    repository = snapshot.parent.parent
    shared = repository.parent / "blobs"
    stores = [repository / "blobs"]
    if (shared / _SHARED_BLOBS_MARKER).is_file():
        stores.append(shared)
    return tuple(store for store in stores if not store.is_symlink())


def _is_snapshot(folder: Path) -> bool:
    return folder.parent.name == "snapshots" and folder.parent.parent.name.startswith("models--")
