"""The original reranker: sentence-transformers' ``CrossEncoder`` on torch, float32, CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import clean_text
from stonnx.errors import RunError, UsageError
from stonnx.reference.loading import FOREIGN_RUN_ERRORS, import_reference, library_versions, load_model, model_name
from stonnx.reference.positions import PositionCut, cut_to_positions

__all__ = ["ReferenceReranker"]


class ReferenceReranker:
    """The original model; build one with ``load``.

    For example::

        reranker = ReferenceReranker.load("cross-encoder/ms-marco-MiniLM-L6-v2")
        logits = reranker.logits([("how do tides work", "The moon pulls the sea.")])
        scores = reranker.scores_of(logits)

    Attributes:
        versions: Versions of sentence-transformers, transformers and torch, and the dtype.
        position_cut: As in ``ReferenceEncoder``.
    """

    def __init__(self, model: Any, versions: dict[str, str], position_cut: PositionCut | None = None) -> None:
        self._model = model
        self.versions = versions
        self.position_cut = position_cut

    @classmethod
    def load(cls, source: str | Path, *, threads: int | None = None) -> Self:
        """Load a cross-encoder.

        Args:
            source: A folder, a hub id ``org/name[@revision]``, or the address of a model's page on the hub.
            threads: Torch's intra-op threads, for the whole process; None leaves them alone.

        Raises:
            MissingExtraError: torch or sentence-transformers is not installed.
            CheckpointError: The folder does not exist or cannot be read.
            UsageError: ``source`` is neither a folder nor shaped like a hub id, or has no classifier, or ``threads`` is
                below 1, or many more than there are cores.
            RunError: sentence-transformers cannot load the model.
        """
        name = model_name(source)
        model = load_model("CrossEncoder", name, source=source, threads=threads)
        classes = model.config.architectures or ()
        # CrossEncoder puts a classifier with random weights on any other model.
        if classes and not any(known.endswith("ForSequenceClassification") for known in classes):
            raise UsageError(
                f"{source} is no cross-encoder: its config.json names {', '.join(classes)}, which has no classifier.",
                hint="Name the cross-encoder that the artifact was converted from.",
            )
        return cls(model, library_versions(), cut_to_positions(model))

    @property
    def max_tokens(self) -> int:
        """Longest token row of a pair, special tokens included."""
        return int(self._model.max_length)

    @property
    def activation(self) -> str:
        """What makes scores of logits: the name of a class of ``torch.nn``, such as ``Sigmoid`` or ``Identity``."""
        return type(self._model.activation_fn).__name__

    def logits(
        self, pairs: Sequence[tuple[str, str]], *, batch_size: int = 32, show_progress: bool = False
    ) -> NDArray[np.float32]:
        """The outputs of the classifier, before any activation.

        Args:
            pairs: Query and document of each; lone surrogates become U+FFFD, as on our side.
            batch_size: Rows of one forward pass.
            show_progress: Show sentence-transformers' own bar.

        Returns:
            float32, shape (pairs, labels), in input order.

        Raises:
            RunError: The forward pass failed.
        """
        torch, _ = import_reference()
        cleaned = [[clean_text(query), clean_text(document)] for query, document in pairs]
        try:
            found = self._model.predict(
                cleaned,
                batch_size=batch_size,
                activation_fn=torch.nn.Identity(),
                show_progress_bar=show_progress,
                convert_to_numpy=True,
            )
        except FOREIGN_RUN_ERRORS as exc:
            raise RunError(f"sentence-transformers failed: {exc}") from exc
        labels = int(self._model.num_labels)
        result: NDArray[np.float32] = np.asarray(found, dtype=np.float32).reshape(len(cleaned), labels)
        return result

    def scores(
        self, pairs: Sequence[tuple[str, str]], *, batch_size: int = 32, show_progress: bool = False
    ) -> NDArray[np.float32]:
        """The scores as ``CrossEncoder.predict`` gives them, float32, shape (pairs, labels); arguments as ``logits``.

        Raises:
            RunError: The forward pass failed.
        """
        return self.scores_of(self.logits(pairs, batch_size=batch_size, show_progress=show_progress))

    def scores_of(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """The model's own activation of logits, float32, shape (pairs, labels), as ``CrossEncoder`` applies it."""
        torch, _ = import_reference()
        with torch.inference_mode():
            scores = self._model.activation_fn(torch.from_numpy(logits.copy()))
        result: NDArray[np.float32] = scores.numpy().astype(np.float32)
        return result
