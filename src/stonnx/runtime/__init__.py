"""Runs an artifact: texts in, embeddings or scores out.

>>> from stonnx import Encoder
>>> with Encoder.load("my-model-onnx") as encoder:
...     vectors = encoder.encode(["a text", "another text"])
>>> len(vectors)
2
>>> from stonnx import Reranker
>>> with Reranker.load("my-reranker-onnx") as reranker:
...     best = reranker.rank("a query", ["a document", "another document"], top_k=1)
>>> sorted(best[0])
['corpus_id', 'score']
"""

from __future__ import annotations

from stonnx.runtime.cores import usable_cores
from stonnx.runtime.encoder import Encoder
from stonnx.runtime.engines.base import Engine
from stonnx.runtime.reranker import Reranker

__all__ = ["Encoder", "Engine", "Reranker", "usable_cores"]
