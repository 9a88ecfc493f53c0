"""The part of a hub repository that a conversion reads, fetched with huggingface_hub."""

from __future__ import annotations

import errno
import logging
import re
from pathlib import Path, PurePosixPath
from typing import Any

from stonnx._io import read_json
from stonnx._quiet import turn_off_telemetry
from stonnx.errors import CheckpointError, RunError, StonnxError

__all__ = ["CARD_FILES", "download"]

_log = logging.getLogger(__name__)

CARD_FILES = ("README.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE")
"""The model card and the terms of use, at the root: they go with every artifact."""

_FILES = ["*.json", "vocab.txt", "*/vocab.txt", "merges.txt", "*/merges.txt", "chat_template.jinja", *CARD_FILES]
_SAFETENSORS = ["model.safetensors", "*/model.safetensors", "model-*.safetensors", "*/model-*.safetensors"]
# Patterns match across slashes, so exports and training leftovers have to be named to stay out.
_IGNORED = ["onnx/*", "openvino/*", "coreml/*", "checkpoint-*", "runs/*", "eval/*"]
_WITH_WEIGHTS = ("Transformer", "Dense", "LayerNorm")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_FOLDER_HINT = "Without the hub: download the model elsewhere and pass its folder instead of the hub id."


def download(repo: str, revision: str | None) -> tuple[Path, str | None]:
    """Fetch a repository's configuration, tokenizer, weights and model card into the Hugging Face cache.

    ``HF_HOME``, ``HF_HUB_OFFLINE``, ``HF_ENDPOINT`` and stored tokens work as everywhere. Pickled
    weights are fetched only for the modules that have no safetensors; code never.

    Args:
        repo: ``org/name``.
        revision: Branch, tag or commit; None for the main branch.

    Returns:
        The snapshot folder and its commit.

    Raises:
        RunError: The repository does not exist, is gated, or the hub cannot be reached.
    """
    snapshot = _fetch(repo, revision, _FILES + _SAFETENSORS)
    commit = snapshot.name if _COMMIT.fullmatch(snapshot.name) else None
    pickled = _pickle_patterns(snapshot)
    if pickled:
        _log.info("%s has no safetensors for every module; fetching %s", repo, ", ".join(pickled))
        snapshot = _fetch(repo, commit or revision, pickled)
    return snapshot, commit


def _fetch(repo: str, revision: str | None, patterns: list[str]) -> Path:
    turn_off_telemetry()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # The bases of HfHubHTTPError are OSError and the root of the HTTP library's errors, whichever library it is.
    failures: tuple[type[Any], ...] = (*HfHubHTTPError.__bases__, HFValidationError)
    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=patterns, ignore_patterns=_IGNORED))
    except failures as exc:
        raise _translate(exc, repo, revision) from exc


def _translate(exc: Exception, repo: str, revision: str | None) -> StonnxError:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(exc, GatedRepoError):
        return RunError(
            f"{repo} is gated: its owner asks you to accept terms first.",
            hint=f"Accept them on the model's page, then log in with `hf auth login`. {_FOLDER_HINT}",
        )
    if isinstance(exc, RevisionNotFoundError):
        return RunError(f"{repo} has no revision {revision!r}.", hint="Name a branch, a tag or a commit of it.")
    if isinstance(exc, RepositoryNotFoundError) or _status(exc) in {401, 403}:
        return RunError(
            f"{repo} is neither a folder here nor a repository of the hub that you may read.",
            hint=f"Check the spelling; for a private model log in with `hf auth login`. {_FOLDER_HINT}",
        )
    if isinstance(exc, OSError) and exc.errno in {errno.ENOSPC, errno.EDQUOT}:
        return RunError(f"The disk is full: {repo} cannot be downloaded.", hint="Free space, or set HF_HOME elsewhere.")
    reason = str(exc).strip().splitlines() or [type(exc).__name__]
    return RunError(
        f"{repo} is no folder here, and it cannot be downloaded from the Hugging Face hub: {reason[0]}",
        hint=f"Check the network and HF_HUB_OFFLINE. {_FOLDER_HINT}",
    )


def _status(exc: Exception) -> int | None:
    status = getattr(getattr(exc, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _pickle_patterns(snapshot: Path) -> list[str]:
    """The pickled weight files of the modules that came without safetensors."""
    return [
        str(PurePosixPath(folder) / "pytorch_model*.bin")
        for folder in _weight_folders(snapshot)
        if not any((snapshot / folder).glob("*.safetensors"))
    ]


def _weight_folders(snapshot: Path) -> list[str]:
    """Paths of the modules with weights. The file is untrusted: it is validated later, where it is read."""
    try:
        modules = read_json(snapshot / "modules.json", error=CheckpointError)
        chain = [(str(module["type"]).rpartition(".")[2], PurePosixPath(str(module["path"]))) for module in modules]
    except (CheckpointError, TypeError, KeyError):
        return [""]
    return [
        str(path) for kind, path in chain if kind in _WITH_WEIGHTS and not path.is_absolute() and ".." not in path.parts
    ]
