"""The original model, run by sentence-transformers on torch, float32, CPU."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stonnx._extras import available, require
from stonnx._io import why_closed
from stonnx._sources import hub_model
from stonnx.artifact import clean_text
from stonnx.artifact.thread_limit import check_threads
from stonnx.errors import CheckpointError, RunError
from stonnx.reference.bare_folder import readable_folder

__all__ = ["ReferenceEncoder", "import_reference", "reference_available"]

_DISTRIBUTIONS = ("sentence-transformers", "transformers", "torch")


def reference_available() -> bool:
    """Whether torch and sentence-transformers can be imported, without importing them."""
    return available("torch") and available("sentence_transformers")


def import_reference() -> tuple[ModuleType, ModuleType]:
    """The packages ``torch`` and ``sentence_transformers``, made to draw no bars of their own.

    Raises:
        MissingExtraError: One of them is not installed.
    """
    purpose = "run the original model"
    torch = require("torch", extra="reference", purpose=purpose)
    library = require("sentence_transformers", extra="reference", purpose=purpose)
    require("transformers.utils.logging", extra="reference", purpose=purpose).disable_progress_bar()
    return torch, library


class ReferenceEncoder:
    """The original model; build one with ``load``.

    Attributes:
        versions: Versions of sentence-transformers, transformers and torch, and the dtype.
    """

    def __init__(self, model: Any, versions: dict[str, str]) -> None:
        self._model = model
        self.versions = versions

    @classmethod
    def load(cls, source: str | Path, *, threads: int | None = None, as_it_is: bool = False) -> Self:
        """Load a model folder.

        Args:
            source: A Sentence Transformers or Hugging Face folder, a hub id ``org/name[@revision]``, or the address
                of a model's page on the hub.
            threads: Torch's intra-op threads, for the whole process; None leaves them alone.
            as_it_is: Leave a folder without ``modules.json`` to sentence-transformers' own reading, which ignores the
                settings beside it (``stonnx.reference.ignored_settings``).

        Raises:
            MissingExtraError: torch or sentence-transformers is not installed.
            CheckpointError: The folder does not exist or cannot be read.
            UsageError: ``source`` is neither a folder nor shaped like a hub id.
            RunError: sentence-transformers cannot load the folder.
            UsageError: ``threads`` is below 1, or many more than there are cores.
        """
        with ExitStack() as stack:
            # A wrong name is told before seconds of imports.
            options = _what_to_load(source, stack, as_it_is=as_it_is)
            torch, library = import_reference()
            if threads is not None:
                torch.set_num_threads(check_threads(threads, cores=os.cpu_count() or 1))
            try:
                model = library.SentenceTransformer(
                    **options, device="cpu", trust_remote_code=False, model_kwargs={"torch_dtype": torch.float32}
                )
            except (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError) as exc:
                raise RunError(
                    f"sentence-transformers cannot load {source}: {exc}",
                    hint="Check the folder with sentence-transformers.",
                ) from exc
        versions = {name: importlib.metadata.version(name) for name in _DISTRIBUTIONS}
        return cls(model.float().eval(), {**versions, "dtype": "float32"})

    @property
    def max_tokens(self) -> int:
        """Longest token row, special tokens included."""
        return int(self._model.max_seq_length)

    def encode(
        self,
        texts: Sequence[str],
        *,
        prompt: str | None = None,
        normalize: bool = False,
        batch_size: int = 32,
        show_progress: bool = False,
    ) -> NDArray[np.float32]:
        """Embed texts.

        Args:
            texts: The texts; lone surrogates become U+FFFD, as on our side.
            prompt: Put before every text; None for the model's default prompt, if it has one.
            normalize: Scale each vector to unit length.
            batch_size: Rows of one forward pass.
            show_progress: Show sentence-transformers' own bar.

        Returns:
            float32, shape (len(texts), dimension), in input order.

        Raises:
            RunError: The forward pass failed.
        """
        cleaned = [clean_text(text) for text in texts]
        try:
            vectors = self._model.encode(
                cleaned,
                prompt=prompt,
                batch_size=batch_size,
                normalize_embeddings=normalize,
                show_progress_bar=show_progress,
                convert_to_numpy=True,
            )
        except (ValueError, RuntimeError, IndexError) as exc:
            raise RunError(f"sentence-transformers failed: {exc}") from exc
        result: NDArray[np.float32] = np.asarray(vectors, dtype=np.float32)
        return result


def _what_to_load(source: str | Path, stack: ExitStack, *, as_it_is: bool) -> dict[str, Any]:
    """The arguments that name the model."""
    path = Path(source)
    reason = why_closed(path, listed=True)
    if reason is not None:
        raise CheckpointError(f"{path} cannot be read: {reason}.")
    if path.is_dir():
        folder = path if as_it_is else stack.enter_context(readable_folder(path))
        return {"model_name_or_path": str(folder), "local_files_only": True}
    model = hub_model(source)
    return {"model_name_or_path": model.repo, "revision": model.revision}
