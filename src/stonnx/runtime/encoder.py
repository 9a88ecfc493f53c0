"""``Encoder``: texts in, sentence embeddings out.

>>> from stonnx import Encoder
>>> encoder = Encoder.load("my-model-onnx")
>>> encoder.encode(["今天是周五啦", "a text"]).shape
(2, 32)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from types import MappingProxyType
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stonnx.artifact.manifest import Kind
from stonnx.runtime.inputs import as_texts, named_prompts, positive_int, resolve_truncate_dim
from stonnx.runtime.opened import OpenedModel
from stonnx.runtime.pipeline import WINDOW_TEXTS
from stonnx.runtime.progress import progress
from stonnx.runtime.similarity import normalize_rows, similarity_matrix
from stonnx.runtime.token_rows import TokenRows
from stonnx.runtime.windows import ReadWindows, windows_of

__all__ = ["Encoder"]

_STREAM_WINDOW_TEXTS = 2048  # enough to sort by length inside, little enough to wait for


class _Wanted(NamedTuple):
    """What a call asks for, resolved."""

    prompt: str
    components: int
    batch_tokens: int
    normalize: bool


class Encoder(OpenedModel):
    """Runs an artifact that holds an embedding model; ``load`` makes one.

    >>> from itertools import count, islice
    >>> with Encoder.load("my-model-onnx") as encoder:
    ...     vectors = encoder.encode(["a text", "another"])
    ...     similarities = encoder.similarity(vectors, vectors)
    ...     endless = encoder.stream(f"text {number}" for number in count())  # in order, in bounded memory
    ...     some = list(islice(endless, 3))
    >>> vectors.shape, similarities.shape, len(some)
    ((2, 32), (2, 2), 3)

    Safe to use from several threads, after a fork, and in process pools (it is pickled by path and settings).
    """

    kind: ClassVar[Kind] = "embedding"

    @property
    def dimension(self) -> int:
        """Components of an embedding, unless ``truncate_dim`` cuts it."""
        return self.artifact.manifest.dimension

    @property
    def prompts(self) -> Mapping[str, str]:
        """Prompt texts by name, read-only; every model has ``query`` and ``document``, empty if it names none."""
        return MappingProxyType(named_prompts(super().prompts))

    def encode(
        self,
        texts: str | Iterable[str],
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        truncate_dim: int | None = None,
        normalize: bool = False,
        batch_tokens: int | None = None,
        show_progress: bool = False,
    ) -> NDArray[np.float32]:
        """Sentence embeddings of texts, in input order. Equal texts are computed each time.

        Args:
            texts: One str, or any iterable of str.
            prompt: Put in front of each text; it wins over ``prompt_name``.
            prompt_name: Name of one of ``prompts``; None for the default prompt, if there is one.
            truncate_dim: Leading components to keep; None for the model's default, usually all.
            normalize: Scale each embedding to unit length, after ``truncate_dim`` (one of zeros stays). False gives
                the model's own output.
            batch_tokens: Rows times longest row of one engine run; None for what the encoder was loaded with.
            show_progress: Draw a progress bar on stderr.

        Returns:
            float32, shape (texts, components); (components,) for one str, (0, components) for none.

        Raises:
            UsageError: An argument is wrong; the message names the value found.
            RunError: The engine failed.
            ArtifactError: The graph's output is not of the manifest's dimension.
        """
        self._pipeline.check_open()
        items, single = as_texts(texts)
        wanted = self._wanted(prompt, prompt_name, truncate_dim, batch_tokens, normalize=normalize)
        tokenized = self._pipeline.text_windows(windows_of(items, WINDOW_TEXTS), prompt=wanted.prompt)
        with (
            closing(tokenized) as windows,
            progress("Encoding", len(items), noun="texts", show=show_progress) as advance,
        ):
            out = self._embed(windows, len(items), wanted, advance)
        return out[0] if single else out

    def stream(
        self,
        texts: Iterable[str],
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        truncate_dim: int | None = None,
        normalize: bool = False,
        batch_tokens: int | None = None,
        window_texts: int = _STREAM_WINDOW_TEXTS,
    ) -> Generator[NDArray[np.float32]]:
        """Sentence embeddings of texts that are read while they are encoded: from a file, a queue, without end.

        For example::

            for vector in encoder.stream(line.strip() for line in sys.stdin):
                print(vector[:3])

        Texts are read in windows, in the thread that asks for embeddings. While one window runs, the next has been
        read and is tokenized: no more than two windows of texts and one of embeddings are in memory, and the first
        embedding comes once two windows, or all texts, have been read.

        Args:
            texts: An iterable of str; it may have no end.
            prompt: As in ``encode``.
            prompt_name: As in ``encode``.
            truncate_dim: As in ``encode``.
            normalize: As in ``encode``.
            batch_tokens: As in ``encode``.
            window_texts: Texts of a window. More are sorted by length better; with fewer, embeddings come sooner.

        Yields:
            float32, shape (components,): one for each text, in order. What the iterator raises is raised as it is,
            after the embeddings of the texts before it; so is what is wrong with an item.

        Raises:
            UsageError: An argument is wrong, an item is not a str, or the encoder is closed.
            RunError: The engine failed.
            ArtifactError: The graph's output is not of the manifest's dimension.
        """
        self._pipeline.check_open()
        wanted = self._wanted(prompt, prompt_name, truncate_dim, batch_tokens, normalize=normalize)
        return self._stream(ReadWindows(texts, positive_int(window_texts, name="window_texts")), wanted)

    def encode_query(
        self,
        texts: str | Iterable[str],
        *,
        truncate_dim: int | None = None,
        normalize: bool = False,
        batch_tokens: int | None = None,
        show_progress: bool = False,
    ) -> NDArray[np.float32]:
        """Sentence embeddings of queries: ``encode`` with the prompt ``query``, never with the default prompt.

        Arguments, results and errors are those of ``encode``: float32, shape (texts, components).
        """
        return self.encode(
            texts,
            prompt_name="query",
            truncate_dim=truncate_dim,
            normalize=normalize,
            batch_tokens=batch_tokens,
            show_progress=show_progress,
        )

    def encode_document(
        self,
        texts: str | Iterable[str],
        *,
        truncate_dim: int | None = None,
        normalize: bool = False,
        batch_tokens: int | None = None,
        show_progress: bool = False,
    ) -> NDArray[np.float32]:
        """Sentence embeddings of documents: ``encode`` with the prompt ``document``, never with the default prompt.

        A model that calls that prompt ``passage`` is encoded without it, as sentence-transformers does: there every
        model has a prompt ``document``. Pass ``prompt_name="passage"`` to ``encode`` where that is meant.

        Arguments, results and errors are those of ``encode``: float32, shape (texts, components).
        """
        return self.encode(
            texts,
            prompt_name="document",
            truncate_dim=truncate_dim,
            normalize=normalize,
            batch_tokens=batch_tokens,
            show_progress=show_progress,
        )

    def similarity(self, a: ArrayLike, b: ArrayLike) -> NDArray[np.float32]:
        """Similarity of embeddings by the function that the model was made for (cosine where it names none).

        Args:
            a: float32, shape (rows of a, dimension) or (dimension,).
            b: float32, shape (rows of b, dimension) or (dimension,).

        Returns:
            float32, shape (rows of a, rows of b); distances come negated, so that larger is more similar.

        Raises:
            UsageError: The shapes do not fit.
        """
        return similarity_matrix(a, b, function=self.artifact.manifest.similarity or "cosine")

    def _wanted(
        self,
        prompt: str | None,
        prompt_name: str | None,
        truncate_dim: int | None,
        batch_tokens: int | None,
        *,
        normalize: bool,
    ) -> _Wanted:
        default = self.artifact.manifest.truncate_dim
        return _Wanted(
            prompt=self._prompt(prompt, prompt_name),
            components=resolve_truncate_dim(truncate_dim, default=default, dimension=self.dimension),
            batch_tokens=self._budget(batch_tokens),
            normalize=normalize,
        )

    def _embed(
        self, windows: Iterable[TokenRows], texts: int, wanted: _Wanted, advance: Callable[[int], None]
    ) -> NDArray[np.float32]:
        """Embeddings of token rows, float32, shape (texts, components)."""
        out = np.empty((texts, wanted.components), dtype=np.float32)
        runs = self._pipeline.run(
            windows, outputs=(self.artifact.manifest.output.name,), batch_tokens=wanted.batch_tokens
        )
        with closing(runs):  # here and now when something fails, not when the exception's traceback is let go
            for numbers, (vectors,) in runs:
                out[numbers] = vectors[:, : wanted.components]
                advance(len(numbers))
        if wanted.normalize:
            normalize_rows(out)
        return out

    def _stream(self, windows: ReadWindows, wanted: _Wanted) -> Generator[NDArray[np.float32]]:
        with closing(self._pipeline.text_windows(windows, prompt=wanted.prompt)) as tokenized:
            for rows in tokenized:
                # Copies: one embedding that is kept must not keep its whole window.
                yield from map(np.copy, self._embed([rows], len(rows), wanted, advance=_no_bar))
        if windows.error is not None:
            raise windows.error

    def __repr__(self) -> str:
        return self._repr(f"dimension={self.dimension}")


def _no_bar(_: int) -> None:
    """Nobody watches."""
