"""``Reranker``: pairs of texts in, scores out; or one query and documents in, a ranking out.

>>> from stonnx import Reranker
>>> reranker = Reranker.load("my-reranker-onnx")
>>> scores = reranker.predict([("a query", "a document"), ("a query", "another document")])
>>> scores.shape, scores.dtype
((2,), dtype('float32'))
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from stonnx.artifact.manifest import Kind, Scoring
from stonnx.errors import ArtifactError, UsageError
from stonnx.runtime.inputs import as_documents, as_pairs, positive_int
from stonnx.runtime.opened import OpenedModel
from stonnx.runtime.pipeline import WINDOW_TEXTS
from stonnx.runtime.progress import progress
from stonnx.runtime.scores import ActivationName, check_activation, sigmoid, softmax
from stonnx.runtime.windows import windows_of

__all__ = ["Reranker"]


class Reranker(OpenedModel):
    """Runs an artifact that holds a cross-encoder; ``load`` makes one.

    >>> documents = ["a document", "another document", "one more"]
    >>> with Reranker.load("my-reranker-onnx") as reranker:
    ...     best = reranker.rank("a query", documents, top_k=2, return_documents=True)
    >>> [documents[result["corpus_id"]] == result["text"] for result in best]
    [True, True]
    >>> best[0]["score"] >= best[1]["score"]
    True

    Safe to use from several threads, after a fork, and in process pools (it is pickled by path and settings).
    """

    kind: ClassVar[Kind] = "reranker"

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels, one a score; most rerankers have one."""
        return self._scoring.labels

    @property
    def activation(self) -> str:
        """What turns logits into scores unless ``predict`` is told otherwise, such as ``Sigmoid``."""
        return self._scoring.activation

    def predict(
        self,
        pairs: tuple[str, str] | Iterable[tuple[str, str]],
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        activation_fn: ActivationName | None = None,
        apply_softmax: bool = False,
        batch_tokens: int | None = None,
        show_progress: bool = False,
    ) -> NDArray[np.float32] | np.float32:
        """Scores of pairs of texts, in input order, as ``CrossEncoder.predict`` of sentence-transformers gives them.

        A pair that is too long is cut by ``longest_first``: its longer text gives way first. Batches are measured in
        tokens, ``batch_tokens``, where ``CrossEncoder`` counts pairs, ``batch_size``; scores are NumPy's always.

        Args:
            pairs: One pair (query, document), or any iterable of pairs; a pair is a tuple, a list or an array.
            prompt: Put in front of the first text of each pair; it wins over ``prompt_name``.
            prompt_name: Name of one of ``prompts``; None for the default prompt, if there is one.
            activation_fn: What turns logits into scores: ``"Sigmoid"``, or ``"Identity"`` for the logits themselves;
                None for the model's own, see ``activation``.
            apply_softmax: Make the scores of a pair sum to 1, after the activation; nothing happens with one label.
            batch_tokens: Rows times longest row of one engine run; None for what the reranker was loaded with.
            show_progress: Draw a progress bar on stderr.

        Returns:
            float32, shape (pairs,) for a model with one label, else (pairs, labels); without the first axis for a
            single pair, (0,) or (0, labels) for none.

        Raises:
            UsageError: An argument is wrong; the message names the value found.
            RunError: The engine failed.
            ArtifactError: The graph's output has not one component a label.
        """
        self._pipeline.check_open()
        items, single = as_pairs(pairs)
        front = self._prompt(prompt, prompt_name)
        budget = self._budget(batch_tokens)
        activation = None if activation_fn is None else check_activation(activation_fn)
        from_logits = activation not in (None, self.activation)
        output = self._logits(activation) if from_logits else self.artifact.manifest.output.name
        template = self._scoring.pair_template
        tokenized = self._pipeline.pair_windows(windows_of(items, WINDOW_TEXTS), prompt=front, template=template)
        scores = np.empty((len(items), len(self.labels)), dtype=np.float32)
        with (
            closing(tokenized) as windows,
            closing(self._pipeline.run(windows, outputs=(output,), batch_tokens=budget)) as runs,
            progress("Scoring", len(items), noun="pairs", show=show_progress) as advance,
        ):
            for numbers, (values,) in runs:
                scores[numbers] = values
                advance(len(numbers))
        if from_logits and activation == "Sigmoid":
            scores = sigmoid(scores)
        if len(self.labels) == 1:
            scores = scores[:, 0]
        elif apply_softmax:
            scores = softmax(scores)
        return scores[0] if single else scores

    def rank(
        self,
        query: str,
        documents: Iterable[str],
        *,
        top_k: int | None = None,
        return_documents: bool = False,
        prompt: str | None = None,
        prompt_name: str | None = None,
        activation_fn: ActivationName | None = None,
    ) -> list[dict[str, Any]]:
        """Documents by their score for a query, the best first, as ``CrossEncoder.rank`` gives them.

        Args:
            query: The query.
            documents: Any iterable of str.
            top_k: How many to return; None for all.
            return_documents: Whether each result has its document.
            prompt: As in ``predict``.
            prompt_name: As in ``predict``.
            activation_fn: As in ``predict``.

        Returns:
            A dict a document: ``corpus_id``, its number, an int; ``score``, a float; ``text``, the document, with
            ``return_documents`` only. Documents of equal score stay in their order.

        Raises:
            UsageError: An argument is wrong, or the model has several labels.
            RunError: The engine failed.
            ArtifactError: The graph's output has not one component a label.
        """
        if len(self.labels) != 1:
            raise UsageError(
                f"rank needs a model with one label; this one has {len(self.labels)}: {', '.join(self.labels)}.",
                hint="In Python, Reranker.predict gives a score for each label.",
            )
        if not isinstance(query, str):
            raise UsageError(
                f"query is {query!r:.40}; expected a str.", hint="Rank for one query at a time, or predict on pairs."
            )
        texts = as_documents(documents)
        count = None if top_k is None else positive_int(top_k, name="top_k")
        pairs = [(query, text) for text in texts]
        scores = np.asarray(self.predict(pairs, prompt=prompt, prompt_name=prompt_name, activation_fn=activation_fn))
        results: list[dict[str, Any]] = [
            {"corpus_id": number, "score": score, **({"text": texts[number]} if return_documents else {})}
            for number, score in enumerate(scores.tolist())
        ]
        return sorted(results, key=lambda result: result["score"], reverse=True)[:count]

    @property
    def _scoring(self) -> Scoring:
        scoring = self.artifact.manifest.scoring
        if scoring is None:  # the rules of manifests forbid it; one that was made in Python may break them
            raise ArtifactError("The manifest says nothing about scoring.", hint="Convert the model again.")
        return scoring

    def _logits(self, activation: ActivationName | None) -> str:
        """Name of the output that another activation than the model's is applied to.

        Raises:
            UsageError: The graph has none.
        """
        name = next((output.name for output in self.artifact.manifest.outputs if output.kind == "logits"), None)
        if name is None:
            raise UsageError(
                f"{self.artifact.path} gives no logits, so that activation_fn cannot be {activation!r}.",
                hint=f"Leave it out for the model's own, {self.activation}.",
            )
        return name

    def __repr__(self) -> str:
        return self._repr(f"labels={len(self.labels)}")
