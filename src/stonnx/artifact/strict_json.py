"""JSON files of an artifact: plain RFC 8259, no NaN, no key given twice, of a sane size."""

from __future__ import annotations

import json
import math
from pathlib import Path

from stonnx.errors import ArtifactError

__all__ = ["read_strict_json"]

_MAX_BYTES = 64 * 1024 * 1024  # the largest real file is golden.json, well below 1 MiB


def read_strict_json(path: Path) -> object:
    """Parse a UTF-8 JSON file of an artifact.

    Raises:
        ArtifactError: The file is missing, not a regular file, too large, not UTF-8 or not JSON; it holds ``NaN`` or a
            number outside the float64 range; an object names a key twice; it is nested too deeply.
    """
    if path.exists() and not path.is_file():  # opening a pipe would wait for a writer
        raise ArtifactError(f"{path} is not a regular file.")
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError as exc:
        raise ArtifactError(f"{path} does not exist.") from exc
    except OSError as exc:
        raise ArtifactError(f"{path} cannot be read: {exc.strerror or exc}.") from exc
    if len(raw) > _MAX_BYTES:
        raise ArtifactError(f"{path} is larger than {_MAX_BYTES} bytes; no artifact needs that.")
    try:
        return json.loads(
            raw.decode("utf-8"), object_pairs_hook=_object, parse_float=_float, parse_constant=_no_constant
        )
    except RecursionError as exc:
        raise ArtifactError(f"{path} cannot be read as JSON: nested too deeply.") from exc
    except ValueError as exc:  # JSON and UTF-8 errors, the three below, integers of thousands of digits
        raise ArtifactError(f"{path} cannot be read as JSON: {exc}") from exc


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object; readers disagree about which of two equal keys counts, so there may be none."""
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is given twice.")
    return value


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:40]} is outside the float64 range.")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number.")
