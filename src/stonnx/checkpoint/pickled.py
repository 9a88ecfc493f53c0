"""``pytorch_model.bin`` through ``torch.load(weights_only=True)``, the only pickle that is ever opened."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from stonnx._extras import require
from stonnx.checkpoint.stored import StoredTensor, float_type
from stonnx.errors import CheckpointError, MissingExtraError, UnsupportedModelError

__all__ = ["PickledFile"]

# Before it, weights_only=True could be made to run code (CVE-2025-32434).
_SAFE_TORCH = (2, 6)


class PickledFile:
    """A pickled PyTorch state dict.

    Args:
        path: The file.

    Raises:
        MissingExtraError: torch is not installed, or older than 2.6.
        CheckpointError: The file is damaged, holds something else than tensors, or tries to run code.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._torch: Any = _safe_torch(path)
        self._tensors: dict[str, Any] = _load(self._torch, path)

    def names(self) -> tuple[str, ...]:
        """Names of the tensors."""
        return tuple(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        return tuple(self._tensor(name).shape)

    def dtype(self, name: str) -> str:
        """Type of a tensor, by torch's name: for floating-point types that is NumPy's, too."""
        return str(self._tensor(name).dtype).removeprefix("torch.")

    def get(self, name: str) -> StoredTensor:
        """A tensor as it is stored.

        Raises:
            CheckpointError: The file is closed.
            UnsupportedModelError: The tensor is not stored in a floating-point type.
        """
        tensor = self._tensor(name)
        kind = float_type(self.dtype(name))
        if kind is None:
            raise UnsupportedModelError(
                f"The tensor {name!r} of {self._path} is stored as {tensor.dtype}; expected a floating-point type.",
                hint="Quantised checkpoints are not supported: pass the original model.",
            )
        whole = tensor.detach().contiguous()
        if kind == "bfloat16":
            return StoredTensor(kind, whole.view(self._torch.int16).numpy().view(np.uint16))
        return StoredTensor(kind, whole.numpy())

    def close(self) -> None:
        """Drop the tensors."""
        self._tensors = {}

    def _tensor(self, name: str) -> Any:
        try:
            return self._tensors[name]
        except KeyError:
            raise CheckpointError(f"{self._path} is closed.") from None


def _safe_torch(path: Path) -> Any:
    torch = require("torch", extra="reference", purpose=f"read the pickled weights {path.name}")
    version = tuple(int(part) for part in str(torch.__version__).split(".")[:2])
    if version < _SAFE_TORCH:
        raise MissingExtraError(
            f"torch {torch.__version__} cannot open pickled weights safely; 2.6 or newer can.",
            hint='pip install "torch>=2.6", or pass a model with model.safetensors',
        )
    return torch


def _load(torch: Any, path: Path) -> dict[str, Any]:
    try:
        # Files from before torch 1.6 are no zip archives and cannot be memory-mapped.
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as exc:
        raise CheckpointError(
            f"{path} is damaged or holds more than tensors; opening it could run code, so it was not opened.",
            hint="Pass a model with model.safetensors.",
        ) from exc
    except Exception as exc:  # torch's unpickler fails in a dozen ways on bytes that are no pickle
        raise CheckpointError(f"{path} is damaged: {exc}", hint="Download the model again.") from exc
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise CheckpointError(
            f"{path} is no state dict: expected tensors by name.", hint="Pass a model with model.safetensors."
        )
    return dict(state)
