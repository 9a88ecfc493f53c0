"""``Encoder``: texts in, sentence embeddings out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stonnx.artifact import Artifact
from stonnx.artifact.manifest import Variant
from stonnx.errors import ArtifactError, UsageError
from stonnx.runtime.batching import plan_batches, stack_rows
from stonnx.runtime.engines.base import Engine
from stonnx.runtime.forks import tell_after_fork
from stonnx.runtime.inputs import as_texts, named_prompts, positive_int, resolve_prompt, resolve_truncate_dim
from stonnx.runtime.loading import choose_variant, open_checked
from stonnx.runtime.progress import text_progress
from stonnx.runtime.shortages import naming_shortages
from stonnx.runtime.similarity import normalize_rows, similarity_matrix
from stonnx.runtime.streams import RunSettings, Workers, one_ahead, run_settings
from stonnx.runtime.tokenize import TextTokenizer, TokenRows

__all__ = ["Encoder"]

logger = logging.getLogger("stonnx")

# Texts are tokenized and sorted this many at a time: enough to find equal lengths, and token rows of a
# million long texts never lie in memory at once. The next window is tokenized while this one runs.
_WINDOW_TEXTS = 16_384

_LOAD_AGAIN = "Load it again with Encoder.load."


class _Job(NamedTuple):
    """One engine run: the rows ``chosen`` of a window whose first text is number ``start``."""

    rows: TokenRows
    chosen: NDArray[np.int64]
    start: int
    prompt_length: int


class Encoder:
    """Runs an artifact. Safe to call from several threads; ``load`` makes one.

    Args:
        artifact: The artifact that the other arguments come from.
        variant: One of its variants.
        engine: Runs the variant's graph; closed with the encoder.
        tokenizer: The artifact's tokenizer.
        settings: How batches are run; the engine was opened for its ``threads_per_run``.
    """

    def __init__(
        self, artifact: Artifact, *, variant: Variant, engine: Engine, tokenizer: TextTokenizer, settings: RunSettings
    ) -> None:
        self._artifact = artifact
        self._variant = variant
        self._engine = engine
        self._tokenizer = tokenizer
        self._settings = settings
        self._workers = Workers(settings.streams)
        self._truncated_texts = 0
        self._closed = False
        self.after_fork()
        tell_after_fork(self)

    @classmethod
    def load(
        cls,
        artifact: str | Path | Artifact,
        *,
        variant: str = "auto",
        threads: int | None = None,
        streams: int | None = None,
        batch_tokens: int | None = None,
    ) -> Self:
        """Open an artifact; every file that is used is compared with its SHA-256 first.

        Args:
            artifact: The folder that ``stonnx convert`` wrote.
            variant: Name of a variant; ``"auto"`` takes what ``stonnx tune`` chose on this machine, or goes by
                static rules. An engine that was asked for and is missing is an error, never replaced by another one.
            threads: Threads of all engine runs together; None for the tuned number (with ``"auto"``), or else
                the cores that this process may use.
            streams: Engine runs at a time, each with ``threads // streams`` threads; None for the tuned number,
                or else one. More streams suit many texts, one stream suits one text.
            batch_tokens: Rows times longest row of one engine run; None for the tuned number, or else a default
                that suits CPUs.

        Raises:
            UsageError: There is no such variant, a number is not a whole one of at least 1, ``threads`` is more
                than four times the cores and than 16, or ``streams`` is more than ``threads``.
            ArtifactError: The artifact is missing, damaged or too new.
            MissingExtraError: The engine is not installed; the hint is the pip line.
            UnsupportedModelError: The variant needs an engine that this stonnx does not have.
            RunError: The system gives too little memory, or too few threads.
        """
        with naming_shortages():
            opened = artifact if isinstance(artifact, Artifact) else Artifact.open(artifact)
        # Other processes, and this one after a change of folder, must find it again.
        opened = Artifact(opened.path.absolute(), opened.manifest)
        name, tuned = (variant, None) if variant != "auto" else _tuned(opened)
        settings = run_settings(threads=threads, streams=streams, batch_tokens=batch_tokens, tuned=tuned)
        chosen = choose_variant(opened, name)
        engine, tokenizer = open_checked(opened, chosen, threads=settings.threads_per_run)
        return cls(opened, variant=chosen, engine=engine, tokenizer=tokenizer, settings=settings)

    @property
    def artifact(self) -> Artifact:
        """The artifact that runs."""
        return self._artifact

    @property
    def variant(self) -> Variant:
        """The variant that runs."""
        return self._variant

    @property
    def engine(self) -> Engine:
        """The engine that runs, for its name and version."""
        return self._engine

    @property
    def threads(self) -> int:
        """Threads of all engine runs together."""
        return self._settings.threads

    @property
    def streams(self) -> int:
        """Engine runs at a time; each has ``threads // streams`` threads."""
        return self._settings.streams

    @property
    def batch_tokens(self) -> int:
        """Rows times longest row of one engine run, unless ``encode`` is told otherwise."""
        return self._settings.batch_tokens

    @property
    def dimension(self) -> int:
        """Components of an embedding, unless ``truncate_dim`` cuts it."""
        return self._artifact.manifest.dimension

    @property
    def max_tokens(self) -> int:
        """Longest token row, special tokens included; longer texts are truncated."""
        return self._tokenizer.max_tokens

    @property
    def prompts(self) -> Mapping[str, str]:
        """Prompt texts by name, read-only; every model has ``query`` and ``document``, empty if it names none."""
        return MappingProxyType(named_prompts(self._artifact.manifest.tower.prompts))

    @property
    def default_prompt_name(self) -> str | None:
        """The prompt used when the caller names none; None for no prompt."""
        return self._artifact.manifest.tower.default_prompt_name

    @property
    def truncated_texts(self) -> int:
        """How many texts were longer than ``max_tokens`` and were truncated, since the encoder was loaded."""
        return self._truncated_texts

    def encode(
        self,
        texts: str | Iterable[str],
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        truncate_dim: int | None = None,
        normalize: bool | None = None,
        batch_tokens: int | None = None,
        show_progress: bool = False,
    ) -> NDArray[np.float32]:
        """Sentence embeddings of texts, in input order. Equal texts are computed each time.

        Args:
            texts: One str, or any iterable of str.
            prompt: Put in front of each text; it wins over ``prompt_name``.
            prompt_name: Name of one of ``prompts``; None for the default prompt, if there is one.
            truncate_dim: Leading components to keep; None for the model's default, usually all.
            normalize: True scales each embedding to unit length, after ``truncate_dim`` (one of zeros stays).
                None and False give the model's own output.
            batch_tokens: Rows times longest row of one engine run; None for what the encoder was loaded with.
            show_progress: Draw a progress bar on stderr.

        Returns:
            float32, shape (texts, components); (components,) for one str, (0, components) for none.

        Raises:
            UsageError: An argument is wrong; the message names the value found.
            RunError: The engine failed.
            ArtifactError: The graph's output is not of the manifest's dimension.
        """
        if self._closed:
            raise UsageError("This encoder is closed.", hint=_LOAD_AGAIN)
        manifest = self._artifact.manifest
        items, single = as_texts(texts)
        front = resolve_prompt(self.prompts, self.default_prompt_name, prompt=prompt, prompt_name=prompt_name)
        kept = resolve_truncate_dim(truncate_dim, default=manifest.truncate_dim, dimension=manifest.dimension)
        budget = self.batch_tokens if batch_tokens is None else positive_int(batch_tokens, name="batch_tokens")
        out = np.empty((len(items), kept), dtype=np.float32)
        self._open_again_after_fork()
        jobs = self._jobs(items, prompt=front, batch_tokens=budget)
        with (
            text_progress(len(items), show=show_progress) as advance,
            # Closed here and now when something fails, not when the exception's traceback is let go.
            closing(self._workers.run(self._run, jobs)) as results,
        ):
            for numbers, vectors in results:
                out[numbers] = vectors[:, :kept]
                advance(len(numbers))
        if normalize:
            normalize_rows(out)
        return out[0] if single else out

    def encode_query(
        self,
        texts: str | Iterable[str],
        *,
        truncate_dim: int | None = None,
        normalize: bool | None = None,
        batch_tokens: int | None = None,
        show_progress: bool = False,
    ) -> NDArray[np.float32]:
        """Sentence embeddings of queries: ``encode`` with the prompt ``query``, never with the default prompt."""
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
        normalize: bool | None = None,
        batch_tokens: int | None = None,
        show_progress: bool = False,
    ) -> NDArray[np.float32]:
        """Sentence embeddings of documents: ``encode`` with the prompt ``document``, never with the default prompt.

        A model that calls that prompt ``passage`` is encoded without it, as sentence-transformers does: there every
        model has a prompt ``document``. Pass ``prompt_name="passage"`` to ``encode`` where that is meant.
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
        return similarity_matrix(a, b, function=self._artifact.manifest.similarity or "cosine")

    def close(self) -> None:
        """Release the engine; closing twice is harmless."""
        self._closed = True
        self._engine.close()
        self._workers.close()

    def after_fork(self) -> None:
        """Called in a forked child: locks that another thread may have held there are made anew."""
        self._counter_lock = threading.Lock()
        self._open_lock = threading.Lock()

    def _open_again_after_fork(self) -> None:
        """Open the engine for this process, if it is a forked child that the engine did not come to."""
        if self._engine.lost_in_fork:
            with self._open_lock:
                if self._engine.lost_in_fork:
                    threads = self._settings.threads_per_run
                    self._engine, _ = open_checked(self._artifact, self._variant, threads=threads)

    def _jobs(self, texts: list[str], *, prompt: str, batch_tokens: int) -> Iterator[_Job]:
        """The engine runs for some texts, window by window."""
        prompt_length = self._tokenizer.prompt_length(prompt) if "prompt_length" in self._variant.graph.inputs else 0
        truncated = 0
        for start, rows in self._windows(texts, prompt):
            truncated += rows.truncated
            plan = plan_batches(
                rows.lengths,
                batch_tokens=batch_tokens,
                equal_lengths=self._variant.graph.layout == "equal_lengths",
                streams=self.streams,
            )
            for index in plan:
                yield _Job(rows, index, start, prompt_length)
        self._count_truncated(truncated, len(texts))

    def _windows(self, texts: list[str], prompt: str) -> Iterator[tuple[int, TokenRows]]:
        """Token rows, window by window, each with the number of its first text."""
        starts = range(0, len(texts), _WINDOW_TEXTS)
        windows = (
            (
                start,
                self._tokenizer.rows(texts[start : start + _WINDOW_TEXTS], prompt=prompt, parallel=self.threads > 1),
            )
            for start in starts
        )
        return windows if len(starts) < 2 else one_ahead(windows)

    def _run(self, job: _Job) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The texts' numbers, int64, shape (rows), and their embeddings, float32, shape (rows, dimension)."""
        pad_id = self._artifact.manifest.tower.tokenizer.pad_id
        vectors = self._engine.run(stack_rows(job.rows, job.chosen, pad_id=pad_id, prompt_length=job.prompt_length))
        if vectors.shape != (len(job.chosen), self.dimension):
            raise ArtifactError(
                f"The graph {self._variant.graph.file} gives vectors of the shape {vectors.shape} for "
                f"{len(job.chosen)} texts; the manifest says dimension {self.dimension}.",
                hint="Convert the model again.",
            )
        return job.start + job.chosen, vectors

    def _count_truncated(self, truncated: int, texts: int) -> None:
        if not truncated:
            return
        with self._counter_lock:
            first = self._truncated_texts == 0
            self._truncated_texts += truncated
        if first:  # once per encoder: the count is there for callers who want more
            logger.warning(
                "%d of %d texts were longer than %d tokens and were truncated", truncated, texts, self.max_tokens
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., Encoder], tuple[object, ...]]:
        """Pickled by path and settings, for process pools: the other process opens the artifact again."""
        if self._closed:
            raise UsageError("This encoder is closed, so it cannot be pickled.", hint=_LOAD_AGAIN)
        settings = self._settings
        arguments = (self._variant.name, settings.threads, settings.streams, settings.batch_tokens)
        return _load_pickled, (type(self), self._artifact.path, *arguments)

    def __repr__(self) -> str:
        state = ", closed" if self._closed else ""
        return (
            f"Encoder({str(self._artifact.path)!r}, variant={self._variant.name!r}, dimension={self.dimension}, "
            f"max_tokens={self.max_tokens}, threads={self.threads}, streams={self.streams}{state})"
        )


def _load_pickled(
    kind: type[Encoder], path: Path, variant: str, threads: int, streams: int, batch_tokens: int
) -> Encoder:
    return kind.load(path, variant=variant, threads=threads, streams=streams, batch_tokens=batch_tokens)


def _tuned(artifact: Artifact) -> tuple[str, RunSettings | None]:
    """Variant and settings that were tuned on this machine; else ``"auto"`` and None."""
    from stonnx.runtime.choice import read_choice

    choice = read_choice(artifact)
    if choice is None:
        return "auto", None
    settings = RunSettings(threads=choice.threads, streams=choice.streams, batch_tokens=choice.batch_tokens)
    return choice.variant, settings
