"""What a worker is told: plain data that travels as JSON into an environment without stonnx."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Encode", "Job"]

Encode = Callable[[Sequence[str]], "NDArray[np.float32]"]
"""Texts in, vectors out: float32, shape (texts, dimension)."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One side of the comparison.

    Attributes:
        backend: Module below ``peers.backends``.
        name: The model's name, without an organisation.
        source: The Sentence Transformers folder.
        artifact: The folder that stonnx made of it; its ``onnx/model.onnx`` is any tool's.
        prepared: Folder of what the backend's ``prepare`` writes.
        calibration: A ``.jsonl`` file of texts (key ``text``) that nothing is measured on.
        threads: How many the library may use.
        pooling: ``mean`` or ``cls``, for libraries that do not read the folder's own settings.
        normalize: Whether the model ends in a Normalize module, for the same.
        dimension: Length of a vector.
        max_tokens: The model's own limit.
        options: What distinguishes this side from others of the same backend.
    """

    backend: str
    name: str
    source: str
    artifact: str
    prepared: str
    calibration: str
    threads: int
    pooling: str
    normalize: bool
    dimension: int
    max_tokens: int
    options: Mapping[str, str]

    @property
    def prepared_folder(self) -> Path:
        """``prepared`` as a path."""
        return Path(self.prepared)

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """The job that ``to_json`` wrote."""
        value: dict[str, Any] = json.loads(text)
        return cls(**value)
