"""From texts to what the graph gives for them: tokenise, plan, run. Everything that runs a model stands on this.

For example::

    pipeline = Pipeline.load("m3e-base-onnx", LoadSettings(), kind="embedding")
    windows = pipeline.text_windows([["a text", "another"]])
    for numbers, (vectors,) in pipeline.run(windows, outputs=["sentence_embedding"]):
        out[numbers] = vectors                         # the sink: here an array
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact import Artifact
from stonnx.artifact.manifest import Kind, Variant
from stonnx.errors import ArtifactError, RunError, UsageError
from stonnx.runtime.batching import plan_rows
from stonnx.runtime.engines.base import Engine
from stonnx.runtime.feeds import ONE_PROMPT_LENGTH, PROMPT_LENGTHS, make_feeds
from stonnx.runtime.fitting import Batches, Planned, Way, costs_of, fit_plan
from stonnx.runtime.forks import tell_after_fork
from stonnx.runtime.kinds import check_kind, runner_of
from stonnx.runtime.loading import choose_variant, open_checked
from stonnx.runtime.shortages import naming_shortages
from stonnx.runtime.streams import RunSettings, Workers, closed_error, map_ahead, run_settings
from stonnx.runtime.token_rows import TokenRows
from stonnx.runtime.tokenize import TextTokenizer

__all__ = ["WINDOW_TEXTS", "LoadSettings", "Pipeline", "Result"]

logger = logging.getLogger("stonnx")

WINDOW_TEXTS = 16_384
"""Texts are tokenized and sorted this many at a time: enough to find equal lengths, and token rows of a million long
texts never lie in memory at once. The next window is tokenized while this one runs."""


class Result(NamedTuple):
    """What one engine run gave.

    Attributes:
        numbers: Which rows these are, counted over all windows of the call, int64, shape (rows,).
        outputs: float32, each shape (rows, dimension of the output), in the order in which they were asked for.
    """

    numbers: NDArray[np.int64]
    outputs: tuple[NDArray[np.float32], ...]


class _Job(NamedTuple):
    """One engine run: the rows ``chosen`` of a window whose first row is number ``start`` of the call."""

    rows: TokenRows
    chosen: NDArray[np.int64]
    start: int
    way: Way


class LoadSettings(NamedTuple):
    """What a caller may say about how an artifact is opened; None leaves it to ``stonnx tune`` or static rules.

    Attributes:
        variant: Name of a variant, or ``"auto"``.
        threads: Threads of all engine runs together.
        streams: Engine runs at a time; None lets each call have what is quicker for it.
        batch_tokens: Rows times longest row of one engine run.
    """

    variant: str = "auto"
    threads: int | None = None
    streams: int | None = None
    batch_tokens: int | None = None


class Pipeline:
    """An opened variant of an artifact with its tokenizer and its workers. Safe to call from several threads.

    It lives on in forked children, and is pickled by path and settings.

    Args:
        artifact: The artifact that the other arguments come from.
        variant: One of its variants.
        engine: Runs the variant's graph; closed with the pipeline.
        tokenizer: The artifact's tokenizer.
        settings: How batches are run; the engine was opened for its ``threads_per_run``. What fits each call needs an
            engine whose runs share its threads; with another one, there is one run at a time.
    """

    def __init__(
        self,
        artifact: Artifact,
        *,
        variant: Variant,
        engine: Engine,
        tokenizer: TextTokenizer,
        settings: RunSettings,
    ) -> None:
        self.artifact = artifact
        self.variant = variant
        self.engine = engine
        self.tokenizer = tokenizer
        if settings.by_call and not engine.shares_threads:
            settings = replace(settings, streams=1, by_call=False)
        self.settings = settings
        self._runner = runner_of(artifact.manifest.kind)
        self._dimensions = {output.name: output.dimension for output in artifact.manifest.outputs}
        self.truncated_texts = 0
        self.is_closed = False
        self._workers = Workers(settings.streams, owner=self._runner.class_name)
        self.after_fork()
        tell_after_fork(self)

    @classmethod
    def load(cls, artifact: str | Path | Artifact, settings: LoadSettings, *, kind: Kind) -> Self:
        """Open an artifact; every file that is used is compared with its SHA-256 first.

        Args:
            artifact: The folder that ``stonnx convert`` wrote.
            settings: What the caller asks for.
            kind: What kind of model the caller can use.

        Raises:
            UsageError: The artifact holds another kind of model, there is no such variant, or a setting is out of
                range.
            ArtifactError: The artifact is missing, damaged or too new.
            MissingExtraError: The engine is not installed; the hint is the pip line.
            UnsupportedModelError: The variant needs an engine that this stonnx does not have.
            RunError: The system gives too little memory, or too few threads.
        """
        with naming_shortages():
            opened = artifact if isinstance(artifact, Artifact) else Artifact.open(artifact)
        check_kind(opened, kind)
        # Other processes, and this one after a change of folder, must find it again.
        opened = replace(opened, path=opened.path.absolute())
        name, tuned = (settings.variant, None) if settings.variant != "auto" else _tuned(opened)
        run = run_settings(
            threads=settings.threads, streams=settings.streams, batch_tokens=settings.batch_tokens, tuned=tuned
        )
        chosen = choose_variant(opened, name)
        engine, tokenizer = open_checked(opened, chosen, threads=run.threads_per_run, shared=run.by_call)
        return cls(opened, variant=chosen, engine=engine, tokenizer=tokenizer, settings=run)

    def check_open(self) -> None:
        """See that nobody has closed it.

        Raises:
            UsageError: Somebody has.
        """
        if self.is_closed:
            raise closed_error(self._runner.class_name)

    def text_windows(self, windows: Iterable[Sequence[str]], *, prompt: str = "") -> Generator[TokenRows]:
        """Token rows of texts, each with the prompt in front; one window ahead of the one that is in use.

        Args:
            windows: Texts in windows; drawn in the calling thread.
            prompt: Prepended to each text; empty for none.
        """
        self.check_open()
        return map_ahead(partial(self._text_rows, prompt=prompt), windows)

    def pair_windows(
        self, windows: Iterable[Sequence[tuple[str, str]]], *, prompt: str = "", template: str | None = None
    ) -> Generator[TokenRows]:
        """As ``text_windows``, for pairs of texts.

        Args:
            windows: Pairs in windows; drawn in the calling thread.
            prompt: Prepended to the first text of each pair; empty for none.
            template: How one text is made of two; None for the tokenizer's own way to write pairs.
        """
        self.check_open()
        tokenize = partial(self.tokenizer.pair_rows, prompt=prompt, template=template, parallel=self._parallel)
        return map_ahead(tokenize, windows)

    def run(
        self, windows: Iterable[TokenRows], *, outputs: Sequence[str], batch_tokens: int | None = None
    ) -> Generator[Result]:
        """Run the graph on token rows, batch by batch. Close the generator where you stop early, and your windows.

        Rows of several callers and with several prompts may be joined in a window (``join_rows``).

        Args:
            windows: Token rows; batches are planned within each.
            outputs: Names of outputs of the graph.
            batch_tokens: Rows times longest row of one engine run; None for what the pipeline was loaded with.

        Yields:
            What each engine run gave, in any order; every row is in exactly one.

        Raises:
            UsageError: The pipeline is closed, or another thread closes it meanwhile.
            RunError: The engine failed.
            ArtifactError: An output is not of the manifest's dimension.
        """
        self.check_open()
        self._open_again_after_fork()
        budget = self.settings.batch_tokens if batch_tokens is None else batch_tokens
        return self._results(partial(self._run_job, tuple(outputs)), self._jobs(windows, batch_tokens=budget))

    def close(self) -> None:
        """Release the engine; closing twice is harmless."""
        self.is_closed = True
        self.engine.close()
        self._workers.close()

    def after_fork(self) -> None:
        """Called in a forked child: locks that another thread may have held there are made anew."""
        self._counter_lock = threading.Lock()
        self._open_lock = threading.Lock()

    @property
    def _parallel(self) -> bool:
        return self.settings.threads > 1

    def _text_rows(self, texts: Sequence[str], *, prompt: str) -> TokenRows:
        rows = self.tokenizer.rows(texts, prompt=prompt, parallel=self._parallel)
        if prompt and not {PROMPT_LENGTHS, ONE_PROMPT_LENGTH}.isdisjoint(self.variant.graph.inputs):
            length = self.tokenizer.prompt_length(prompt)
            return replace(rows, prompt_lengths=np.full(len(rows), length, dtype=np.int64))
        return rows

    def _results(self, run: Callable[[_Job], Result], jobs: Generator[_Job]) -> Generator[Result]:
        # Closed when something fails, not when the exception's traceback is let go.
        with closing(jobs):
            for way, group in groupby(jobs, key=attrgetter("way")):
                with closing(self._run_group(run, group, way)) as results:
                    yield from results

    def _run_group(self, run: Callable[[_Job], Result], jobs: Iterator[_Job], way: Way) -> Generator[Result]:
        if way == "side by side":
            return self._workers.run(run, jobs)
        return self._workers.run_here(run, jobs, alone=way == "alone")

    def _jobs(self, windows: Iterable[TokenRows], *, batch_tokens: int) -> Generator[_Job]:
        """The engine runs for some windows."""
        start = truncated = 0
        for rows in windows:
            truncated += rows.truncated
            plan = self._planned(rows, batch_tokens)
            for index, _ in plan.batches:
                yield _Job(rows, index, start, plan.way)
            start += len(rows)
        self._count_truncated(truncated, start)

    def _planned(self, rows: TokenRows, batch_tokens: int) -> Planned:
        """The engine runs for a window, and how they are run."""

        def make(streams: int) -> Batches:
            batches = plan_rows(
                rows,
                batch_tokens=batch_tokens,
                equal_lengths=self.variant.graph.layout == "equal_lengths",
                streams=streams,
                one_prompt_length=ONE_PROMPT_LENGTH in self.variant.graph.inputs,
            )
            return [(batch, len(batch) * int(rows.lengths[batch].max())) for batch in batches]

        if self.settings.by_call:
            return fit_plan(make, threads=self.settings.threads, costs=costs_of(self.variant.precision))
        return Planned(make(self.settings.streams), "side by side")

    def _run_job(self, outputs: tuple[str, ...], job: _Job) -> Result:
        spec = self.artifact.manifest.tower.tokenizer
        feeds = make_feeds(
            job.rows,
            job.chosen,
            inputs=self.variant.graph.inputs,
            pad_id=spec.pad_id,
            padding_side=spec.padding_side,
        )
        try:
            arrays = self.engine.run(feeds, outputs)
        except RunError:
            self.check_open()  # another thread may have closed it in the meantime
            raise
        for name, array in zip(outputs, arrays, strict=True):
            expected = (len(job.chosen), self._dimensions[name])
            if array.shape != expected:
                raise ArtifactError(
                    f"The graph {self.variant.graph.file} gives {name} of the shape {array.shape} for {expected[0]} "
                    f"{self._runner.items}; the manifest says dimension {expected[1]}.",
                    hint="Convert the model again.",
                )
        return Result(job.start + job.chosen, arrays)

    def _open_again_after_fork(self) -> None:
        """Open the engine for this process, if it is a forked child that the engine did not come to."""
        if self.engine.lost_in_fork:
            with self._open_lock:
                if self.engine.lost_in_fork:
                    run = self.settings
                    self.engine, _ = open_checked(
                        self.artifact, self.variant, threads=run.threads_per_run, shared=run.by_call
                    )

    def _count_truncated(self, truncated: int, items: int) -> None:
        if not truncated:
            return
        with self._counter_lock:
            first = self.truncated_texts == 0
            self.truncated_texts += truncated
        if first:  # once per pipeline: the count is there for callers who want more
            logger.warning(
                "%d of %d %s were longer than %d tokens and were truncated",
                truncated,
                items,
                self._runner.items,
                self.tokenizer.max_tokens,
                extra={"truncated_texts": truncated},
            )

    def __reduce__(self) -> tuple[Callable[..., Pipeline], tuple[object, ...]]:
        """Pickled by path and settings, for process pools: the other process opens the artifact again."""
        if self.is_closed:
            closed = closed_error(self._runner.class_name)
            raise UsageError(f"{closed.message[:-1]}, so it cannot be pickled.", hint=closed.hint)
        run = self.settings
        streams = None if run.by_call else run.streams
        settings = LoadSettings(
            variant=self.variant.name, threads=run.threads, streams=streams, batch_tokens=run.batch_tokens
        )
        return _load_pickled, (type(self), self.artifact.path, settings, self.artifact.manifest.kind)


def _load_pickled(made: type[Pipeline], path: Path, settings: LoadSettings, kind: Kind) -> Pipeline:
    return made.load(path, settings, kind=kind)


def _tuned(artifact: Artifact) -> tuple[str, RunSettings | None]:
    """Variant and settings that were tuned on this machine; else ``"auto"`` and None."""
    from stonnx.runtime.choice import read_choice

    choice = read_choice(artifact)
    if choice is None:
        return "auto", None
    return choice.variant, choice.settings
