"""What a user may call a model that is no folder here: a hub id, or the address of its page on the hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from stonnx.errors import CheckpointError, UsageError

__all__ = ["HubModel", "hub_model"]

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_REVISION = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
_HUB_ID = re.compile(rf"(?P<repo>{_PART}/{_PART})(?:@(?P<revision>{_REVISION}))?")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HUB_ADDRESS = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<path>[^?#]*)", re.IGNORECASE)
# Of a page of the hub: the id, and below it the revision of a tree or of a file (refs/pr/1 is one revision).
_HUB_PAGE = re.compile(
    rf"(?P<id>{_PART}/[A-Za-z0-9._@/-]*?)(?:/(?:tree|blob|resolve|commit)/(?P<revision>refs/[a-z]+/\d+|{_PART})(?:/.*)?)?/?"
)
_NO_MODELS = frozenset({"api", "blog", "collections", "datasets", "docs", "papers", "spaces"})


@dataclass(frozen=True, kw_only=True)
class HubModel:
    """A repository of the Hugging Face hub.

    Attributes:
        repo: ``org/name``.
        revision: Branch, tag or commit; None for the main branch.
    """

    repo: str
    revision: str | None

    def __str__(self) -> str:
        """The hub id: ``org/name``, or ``org/name@revision``."""
        return self.repo if self.revision is None else f"{self.repo}@{self.revision}"


def hub_model(source: str | Path) -> HubModel:
    """The hub model that a user means by something that is no folder here.

    Args:
        source: ``org/name``, ``org/name@revision``, or the address of a page such as
            ``https://huggingface.co/org/name/tree/revision``; a path object never means the hub.

    Raises:
        CheckpointError: It is a path, and there is no such folder.
        UsageError: It is another address, or looks like a hub id and is none.
    """
    name = str(source)
    page = _HUB_ADDRESS.fullmatch(name.partition("?")[0].partition("#")[0])
    if page is not None:
        found = _of_page(page["path"])
    elif _ADDRESS.match(name):
        found = None
    else:
        match = _HUB_ID.fullmatch(name) if isinstance(source, str) else None
        if match is None:
            raise _not_found(name)
        return HubModel(repo=match["repo"], revision=match["revision"])
    if found is None:
        raise UsageError(
            f"{name} is an address, not a folder or a hub id.",
            hint="Pass org/name for a model of the hub; what lies elsewhere, download first and pass its folder.",
        )
    return found


def _of_page(path: str) -> HubModel | None:
    page = _HUB_PAGE.fullmatch(path)
    match = None if page is None else _HUB_ID.fullmatch(page["id"])
    if page is None or match is None or match["repo"].partition("/")[0] in _NO_MODELS:
        return None
    return HubModel(repo=match["repo"], revision=page["revision"] or match["revision"])


def _not_found(name: str) -> CheckpointError | UsageError:
    if "/" not in name and "\\" not in name:
        return CheckpointError(
            f"There is no folder {name!r} here, and a hub id needs its organisation.",
            hint=f"Pass the path of a model folder, or a full hub id such as sentence-transformers/{name}",
        )
    if "@" in name and not Path(name).is_absolute():
        return UsageError(
            f"{name!r} is neither a folder nor a hub id.", hint="A hub id reads org/name or org/name@revision."
        )
    return CheckpointError(f"The folder {name} does not exist.", hint="Check the path of the model folder.")
