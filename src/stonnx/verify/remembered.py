"""The original model's results of the probes, remembered on this machine, so that torch runs once for a model.

There is a file for each model in ``$XDG_CACHE_HOME/stonnx/originals``: numbers, no code. It is found again only where
everything that decides the results is the same: each file of the model by its SHA-256, the probes, the versions of the
libraries, the processor, its cores, and the settings of torch in the environment. What is damaged, or fits in no such
way, is ignored. The user's own texts are never kept. Where torch or sentence-transformers is not installed, there is
no version of it, so nothing is found: what is remembered spares time, and does not replace the extra ``reference``.

For example::

    facts = original_facts("./my-model", kind="embedding", probes=probe_texts())
    remember(facts, Remembered(goldens=goldens, bare_folder=None, position_cut=None))
    recall(facts)  # the same, with the time; None for a model that never ran here
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import os
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from stonnx._caches import cache_folder
from stonnx._io import read_json, write_json
from stonnx.artifact import AnyGoldens, Goldens, PairGoldens
from stonnx.errors import RunError, StonnxError
from stonnx.reference import PositionCut
from stonnx.verify.bare_folder import BareFolder
from stonnx.verify.original_facts import OriginalFacts, canonical

__all__ = ["Remembered", "recall", "remember"]

_LOG = logging.getLogger("stonnx")

_FORMAT = 1
_MOST_MODELS = 32
_MOST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """What the original model gave.

    Attributes:
        goldens: Its results of the shipped probes.
        bare_folder: As in ``Original``.
        position_cut: As in ``Original``.
        ran_at: When it ran, UTC, ISO 8601.
    """

    goldens: AnyGoldens
    bare_folder: BareFolder | None
    position_cut: PositionCut | None
    ran_at: str = ""


def recall(facts: OriginalFacts) -> Remembered | None:
    """What the original gave when it last ran with these facts; None where it never did.

    A file that cannot be used is ignored with a logged warning.
    """
    path = _file(facts)
    if path is None or not path.is_file():
        return None
    try:
        found = _decoded(read_json(path, error=RunError, limit_bytes=_MOST_BYTES), facts)
    except (StonnxError, ValueError, KeyError, TypeError, AttributeError) as exc:
        _LOG.warning("What is remembered of the original model in %s is ignored: %s", path, exc)
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # the ones that were not used for longest go first
    return found


def remember(facts: OriginalFacts, found: Remembered) -> None:
    """Keep what the original gave, instead of what was kept longest unused; a cache that cannot be written is none.

    Nothing is kept of a model whose files were changed while it ran.

    Args:
        facts: What decided it, taken before the original was run.
        found: The results; when they were made is noted here.
    """
    path = _file(facts)
    if path is None:
        return
    try:
        if facts.still_hold():
            write_json(path, _encoded(facts, replace(found, ran_at=datetime.now(UTC).isoformat(timespec="seconds"))))
            _forget_the_oldest(path.parent)
    except (OSError, StonnxError) as exc:
        _LOG.info("The original model's results cannot be remembered in %s: %s", path.parent, exc)


def _file(facts: OriginalFacts) -> Path | None:
    folder = cache_folder("originals")
    return None if folder is None else folder / f"{facts.key}.json"


def _forget_the_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[_MOST_MODELS:]:
        path.unlink(missing_ok=True)


def _encoded(facts: OriginalFacts, found: Remembered) -> dict[str, object]:
    goldens = found.goldens
    arrays = {"vectors": goldens.vectors} if isinstance(goldens, Goldens) else _arrays_of_pairs(goldens)
    value = {
        "format": _FORMAT,
        "facts": facts.values,
        "ran_at": found.ran_at,
        "reference": goldens.reference,
        "bare_folder": None if found.bare_folder is None else asdict(found.bare_folder),
        "position_cut": None if found.position_cut is None else asdict(found.position_cut),
        "arrays": {name: _array_text(array) for name, array in arrays.items()},
    }
    return {**value, "sha256": hashlib.sha256(canonical(value)).hexdigest()}


def _arrays_of_pairs(goldens: PairGoldens) -> dict[str, NDArray[np.float32]]:
    return {"scores": goldens.scores, "logits": goldens.logits}


def _array_text(array: NDArray[np.float32]) -> str:
    """A float32 array, rows first, as base64 of its bytes, the lowest first."""
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode("ascii")


def _decoded(value: dict[str, Any], facts: OriginalFacts) -> Remembered:
    """The results in a parsed file.

    Raises:
        RunError: The file is damaged, or belongs to other facts.
        ValueError, KeyError, TypeError, AttributeError: It is of another form.
    """
    told = value.pop("sha256")
    if hashlib.sha256(canonical(value)).hexdigest() != told:
        raise RunError("it is damaged.")
    if value["format"] != _FORMAT or value["facts"] != facts.values:
        raise RunError("it belongs to something else.")
    bare, cut = value["bare_folder"], value["position_cut"]
    return Remembered(
        goldens=_goldens(value, facts),
        bare_folder=None if bare is None else BareFolder(**{**bare, "ignored": tuple(bare["ignored"])}),
        position_cut=None if cut is None else PositionCut(**cut),
        ran_at=str(value["ran_at"]),
    )


def _goldens(value: dict[str, Any], facts: OriginalFacts) -> AnyGoldens:
    reference = {str(name): str(text) for name, text in value["reference"].items()}
    arrays = {name: _array(text, len(facts.probes)) for name, text in value["arrays"].items()}
    if facts.kind == "embedding":
        return Goldens(texts=cast("Any", facts.probes), reference=reference, **arrays)
    return PairGoldens(pairs=cast("Any", facts.probes), reference=reference, **arrays)


def _array(text: str, rows: int) -> NDArray[np.float32]:
    """float32, shape (rows, width)."""
    flat = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4")
    return flat.astype(np.float32).reshape(rows, -1)
