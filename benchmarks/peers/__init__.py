"""stonnx beside its peers: same texts, same threads, by turns; speed and fidelity of each."""

from __future__ import annotations
