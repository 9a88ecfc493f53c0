"""JSON files of an artifact: plain RFC 8259, no NaN, no key given twice, of a sane size."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

from stonnx._io import LARGEST_JSON_BYTES, read_regular
from stonnx.errors import ArtifactError

__all__ = ["read_strict_json"]


def read_strict_json(path: Path, *, limit_bytes: int = LARGEST_JSON_BYTES) -> object:
    """Parse a UTF-8 JSON file of an artifact.

    Args:
        path: The file.
        limit_bytes: A larger file is refused before it is read.

    Raises:
        ArtifactError: The file is missing, not a regular file, too large, not UTF-8 or not JSON; it holds ``NaN`` or a
            number outside the float64 range; an object names a key twice; it is nested too deeply.
    """
    raw = read_regular(path, error=ArtifactError, limit_bytes=limit_bytes)
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
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f"the key {twice!r} is given twice.")
    return value


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:40]} is outside the float64 range.")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number.")
