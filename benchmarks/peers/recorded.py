"""Results as the page and the plots read them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Recorded", "class_of", "is_ours", "read_all"]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One file of results: one model on one machine.

    Attributes:
        slug: The file's name without its ending.
        command: What was run.
        date: When, UTC, the day alone.
        machine: Its description.
        results: What was measured.
    """

    slug: str
    command: str
    date: str
    machine: dict[str, Any]
    results: dict[str, Any]

    @property
    def measured(self) -> list[dict[str, Any]]:
        """Sides with a speed on the mix, the fastest first."""
        sides = [side for side in self.results["sides"] if "ratio" in side.get("mix", {}) and side.get("fidelity")]
        return sorted(sides, key=lambda side: -side["mix"]["ratio"])


def read_all(folder: Path) -> list[Recorded]:
    """Every ``peers-*.json`` of a folder, by name."""
    return [_read(path) for path in sorted(folder.glob("peers-*.json"))]


def class_of(side: dict[str, Any]) -> str:
    """The fidelity class of a measured side, in words."""
    return str(side["fidelity"]["class"] or "below")


def is_ours(side: dict[str, Any]) -> bool:
    """Whether it is a side of stonnx itself."""
    return str(side["key"]).startswith("stonnx-")


def _read(path: Path) -> Recorded:
    value = json.loads(path.read_text(encoding="utf-8"))
    return Recorded(
        slug=path.stem,
        # Written by older runs without the folder.
        command=value["command"].replace("benchmarks/run.py", "benchmarks/peers/run.py"),
        date=value["date"][:10],
        machine=value["machine"],
        results=value["results"],
    )
