"""``stonnx rerank ARTIFACT QUERY [DOCUMENT ...]``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from stonnx.cli._arguments import add_run_options, positive_int
from stonnx.cli._console import Output
from stonnx.cli._text import plural
from stonnx.cli._texts import TextPlaces, add_prompt, add_text_file, texts_of_verb, utf8_text
from stonnx.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stonnx.runtime import Reranker

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = """\
Order documents by how well they fit a query, with a reranker (a cross-encoder).
Documents come from the command line, from --documents, or from stdin, one per
line (empty lines are left out) or as JSON lines. With --json the ranking is one
JSON document; corpus_id is the document's number, from 0, and lines that were
left out have none:
  [{"corpus_id": 2, "score": 0.98, "text": "..."}, ...]"""

EXAMPLES = """\
examples:
  stonnx rerank bge-reranker-onnx "a query" "a document" "another document"
  stonnx rerank bge-reranker-onnx "a query" --documents found.txt --top-k 5
  cat found.jsonl | stonnx rerank bge-reranker-onnx "a query" --jsonl --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("artifact", metavar="ARTIFACT", help="a reranker's folder, as 'stonnx convert' wrote it")
    parser.add_argument("query", metavar="QUERY", type=utf8_text, help="what the documents are compared with")
    parser.add_argument(
        "document",
        metavar="DOCUMENT",
        nargs="*",
        default=[],  # or argparse calls it required
        type=utf8_text,
        help="a document; without any, --documents or stdin is read",
    )
    add_text_file(parser, "--documents", "documents: ")
    add_prompt(parser, before="the query")
    parser.add_argument("--top-k", metavar="K", type=positive_int, help="show the best K only (default: all)")
    add_run_options(parser)


def run(args: argparse.Namespace) -> int:
    """Rank the documents.

    Raises:
        StonnxError: No documents, wrong options, an artifact that is broken or no reranker, or an engine that failed.
    """
    output = Output.of(args)
    example = f'stonnx rerank {args.artifact} "a query" "a document"'
    places = TextPlaces(noun="documents", flag="--documents", example=example)
    documents = texts_of_verb(args.document, args.documents, places, jsonl=args.jsonl, keep_empty=False)
    with _loaded(args) as reranker:
        texts = list(documents)
        results = _ranked(reranker, args, texts)
    if output.json_mode:
        output.data(results)
    else:
        _to_table(output, results, documents=len(texts))
    if reranker.truncated_texts:
        output.say(f"note: {plural(reranker.truncated_texts, 'pair')} cut to the model's {reranker.max_tokens} tokens")
    return 0


def _loaded(args: argparse.Namespace) -> Reranker:
    from stonnx.runtime import Reranker

    return Reranker.load(args.artifact, variant=args.variant, threads=args.threads, batch_tokens=args.batch_tokens)


def _ranked(reranker: Reranker, args: argparse.Namespace, documents: Sequence[str]) -> list[dict[str, Any]]:
    import math

    results: list[dict[str, Any]] = reranker.rank(
        args.query,
        documents,
        top_k=args.top_k,
        return_documents=True,
        prompt=args.prompt,
        prompt_name=args.prompt_name,
    )
    if not all(math.isfinite(result["score"]) for result in results):
        raise RunError(
            "The model gave a score that is not a number.",
            hint="'stonnx verify' checks the artifact on this machine; --variant portable runs the plain graph.",
        )
    return results


def _to_table(output: Output, results: Sequence[dict[str, Any]], *, documents: int) -> None:
    if not results:
        output.text("No documents, no ranking.")
        return
    rows = [(f"{place}  {result['text']}", f"{result['score']:.4f}") for place, result in enumerate(results, start=1)]
    output.table(("document", "score"), rows, shorten=True)
    if documents > len(results):
        output.text(f"{plural(documents - len(results), 'document')} below these; without --top-k all are shown")
