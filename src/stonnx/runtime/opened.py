"""``OpenedModel``: what every class that runs an artifact has in common.

For example::

    with Encoder.load("m3e-base-onnx") as encoder:     # Encoder and Reranker are opened models
        encoder.variant.name, encoder.threads, encoder.truncated_texts
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import ClassVar, Self

from stonnx.artifact import Artifact
from stonnx.artifact.manifest import Kind, Variant
from stonnx.runtime.engines.base import Engine
from stonnx.runtime.inputs import positive_int, resolve_prompt
from stonnx.runtime.pipeline import LoadSettings, Pipeline
from stonnx.runtime.streams import RunSettings

__all__ = ["OpenedModel"]


class OpenedModel:
    """An artifact that runs; ``load`` makes one.

    Safe to use from several threads, after a fork, and in process pools (it is pickled by path and settings).

    Args:
        pipeline: What it stands on; closed with it.

    Attributes:
        kind: The kind of model that the class runs.
    """

    kind: ClassVar[Kind]

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

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
            streams: Engine runs at a time, each with ``threads // streams`` threads; None for the tuned number, or
                else what is quicker for each call: one run with all threads, or several that share them.
            batch_tokens: Rows times longest row of one engine run; None for the tuned number, or else a default
                that suits CPUs.

        Raises:
            UsageError: The artifact holds another kind of model, there is no such variant, a number is not a whole
                one of at least 1, ``threads`` is more than four times the cores and than 16, or ``streams`` is more
                than ``threads``.
            ArtifactError: The artifact is missing, damaged or too new.
            MissingExtraError: The engine is not installed; the hint is the pip line.
            UnsupportedModelError: The variant needs an engine that this stonnx does not have.
            RunError: The system gives too little memory, or too few threads.
        """
        settings = LoadSettings(variant=variant, threads=threads, streams=streams, batch_tokens=batch_tokens)
        return cls(Pipeline.load(artifact, settings, kind=cls.kind))

    @property
    def artifact(self) -> Artifact:
        """The artifact that runs."""
        return self._pipeline.artifact

    @property
    def variant(self) -> Variant:
        """The variant that runs."""
        return self._pipeline.variant

    @property
    def engine(self) -> Engine:
        """The engine that runs, for its name and version."""
        return self._pipeline.engine

    @property
    def threads(self) -> int:
        """Threads of all engine runs together."""
        return self._pipeline.settings.threads

    @property
    def streams(self) -> int:
        """The most engine runs at a time; a number that was asked for is that of every call."""
        return self._pipeline.settings.streams

    @property
    def settings(self) -> RunSettings:
        """How batches are run: threads, streams, budget, and whether each call has what is quicker for it."""
        return self._pipeline.settings

    @property
    def batch_tokens(self) -> int:
        """Rows times longest row of one engine run, unless a call is told otherwise."""
        return self._pipeline.settings.batch_tokens

    @property
    def max_tokens(self) -> int:
        """Longest token row, special tokens included; longer texts are truncated."""
        return self._pipeline.tokenizer.max_tokens

    @property
    def prompts(self) -> Mapping[str, str]:
        """Prompt texts by name, read-only."""
        return MappingProxyType(self.artifact.manifest.tower.prompts)

    @property
    def default_prompt_name(self) -> str | None:
        """The prompt used when the caller names none; None for no prompt."""
        return self.artifact.manifest.tower.default_prompt_name

    @property
    def truncated_texts(self) -> int:
        """How many texts were longer than ``max_tokens`` and were truncated, since the model was loaded."""
        return self._pipeline.truncated_texts

    def close(self) -> None:
        """Release the engine; closing twice is harmless."""
        self._pipeline.close()

    def _prompt(self, prompt: str | None, prompt_name: str | None) -> str:
        """The prompt that a call asks for, empty for none.

        Raises:
            UsageError: There is no such prompt.
        """
        return resolve_prompt(self.prompts, self.default_prompt_name, prompt=prompt, prompt_name=prompt_name)

    def _budget(self, batch_tokens: int | None) -> int:
        """The ``batch_tokens`` that a call asks for.

        Raises:
            UsageError: It is not a whole number of at least 1.
        """
        return self.batch_tokens if batch_tokens is None else positive_int(batch_tokens, name="batch_tokens")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _repr(self, facts: str) -> str:
        state = ", closed" if self._pipeline.is_closed else ""
        return (
            f"{type(self).__name__}({str(self.artifact.path)!r}, variant={self.variant.name!r}, {facts}, "
            f"max_tokens={self.max_tokens}, threads={self.threads}, streams={self.streams}{state})"
        )
