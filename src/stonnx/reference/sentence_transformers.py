"""The original embedding model, run by sentence-transformers on torch, float32, CPU."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import clean_text
from stonnx.errors import RunError
from stonnx.reference.bare_folder import readable_folder
from stonnx.reference.loading import FOREIGN_RUN_ERRORS, library_versions, load_model, model_name
from stonnx.reference.positions import PositionCut, cut_to_positions

__all__ = ["ReferenceEncoder"]


class ReferenceEncoder:
    """The original model; build one with ``load``.

    Attributes:
        versions: Versions of sentence-transformers, transformers and torch, and the dtype.
        position_cut: Where texts are cut that the files allow and the model has no positions for; None where the
            files' own limit fits.
    """

    def __init__(self, model: Any, versions: dict[str, str], position_cut: PositionCut | None = None) -> None:
        self._model = model
        self.versions = versions
        self.position_cut = position_cut

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
            name = model_name(source)
            if not as_it_is and Path(source).is_dir():
                name["model_name_or_path"] = str(stack.enter_context(readable_folder(Path(source))))
            model = load_model("SentenceTransformer", name, source=source, threads=threads)
        return cls(model, library_versions(), cut_to_positions(model))

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
        except FOREIGN_RUN_ERRORS as exc:
            raise RunError(f"sentence-transformers failed: {exc}") from exc
        result: NDArray[np.float32] = np.asarray(vectors, dtype=np.float32)
        return result
