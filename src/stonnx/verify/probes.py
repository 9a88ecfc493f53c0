"""The probe texts that stonnx ships: what a faithful copy of a model must embed alike.

All of them were written for stonnx, so they may travel with every artifact. They lie in
``probes.json``, ASCII-escaped, because some hold unpaired surrogates that UTF-8 cannot carry.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources

__all__ = ["Probe", "probe_texts", "probes"]


@dataclass(frozen=True)
class Probe:
    """One text to embed on both sides of a verification.

    Attributes:
        kind: What the text tries, as a short slug such as ``"long-512-zh"``.
        text: The text; it may be empty, and may hold NUL or unpaired surrogates.
    """

    kind: str
    text: str


@functools.cache
def probes() -> tuple[Probe, ...]:
    """The shipped probes, always in the same order, no text twice."""
    source = resources.files("stonnx.verify").joinpath("probes.json")
    return tuple(Probe(**entry) for entry in json.loads(source.read_text(encoding="ascii")))


@functools.cache
def probe_texts() -> tuple[str, ...]:
    """The texts of `probes`, in the same order."""
    return tuple(probe.text for probe in probes())
